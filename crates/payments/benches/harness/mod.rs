//! What the benches of operators share, those of other crates too.

use std::time::Duration;

use millrace_engine::{Operator, near};
use nix::time::ClockId;

/// This thread's time on a processor.
pub(crate) fn busy() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID
        .now()
        .expect("a thread has a clock")
        .into()
}

/// Processes records as they come.
pub(crate) fn one_by_one<O: Operator>(operator: &mut O, records: &[O::Record]) {
    let mut outputs = Vec::new();
    for record in records {
        operator.process(record, &mut outputs);
        outputs.clear();
    }
}

/// Processes records in groups, each prepared first, as the worker does.
pub(crate) fn in_groups<O: Operator>(operator: &mut O, records: &[O::Record]) {
    for group in records.chunks(near::GROUP) {
        operator.prepare(group);
        one_by_one(operator, group);
    }
}
