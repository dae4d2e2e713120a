//! What a job writes that nothing ever disturbs.

use super::cluster::{Log, Output, task_under};
use super::seen::Seen;
use super::transaction::Transaction;
use crate::control::ControlRecord;
use crate::control::directives::policy_at;
use crate::refusals::KnownRefusals;
use crate::worker::effects::Effects as _;
use crate::{Job, Task};

/// The outputs of one task over all that a log has, with the directives of its control topic by
/// offset, and its state. What the control topic says besides must be true of this task too.
pub(super) fn undisturbed<J: Job>(
    job: &J,
    partition: i32,
    log: &Log,
    seen: &mut Seen,
) -> (Vec<Output>, Vec<u8>) {
    let first = policy_at(&log.control, 0).unwrap_or_else(|| panic!("every partition is given a policy"));
    let mut task = task_under(job, partition, first);
    let mut outbox = Transaction::default();
    outbox.speak_for(partition);
    outbox.begin().unwrap_or_else(|_| panic!("no fault was made"));
    let mut records = log.control.iter().peekable();
    let mut refusals = KnownRefusals::of(&log.control, None);
    for offset in 0..=log.end() {
        let mut directives = 0;
        while let Some(record) = records.next_if(|record| record.offset() <= offset) {
            direct(&mut task, record, (offset, &mut directives), &mut outbox, seen);
        }
        if let Some(Some(record)) = log.records.get(offset as usize) {
            let input = record.as_input(job.input_topic(), partition, offset);
            if refusals.contains(offset) {
                seen.recalled += 1;
                continue;
            }
            let done = task.process(&input, &mut outbox);
            done.unwrap_or_else(|reason| panic!("offset {offset}: {reason}"));
        }
    }
    assert!(records.next().is_none(), "a directive beyond the log's end");
    let mut state = Vec::new();
    task.freeze().write(&mut state);
    (outbox.take_sent(), state)
}

/// Gives a task what a control record says, or holds it to it.
fn direct(
    task: &mut impl Task,
    record: &ControlRecord,
    (at, directives): (i64, &mut u32),
    outbox: &mut Transaction,
    seen: &mut Seen,
) {
    assert_eq!(record.offset(), at, "control records are in order");
    let done = match record {
        ControlRecord::Advance {
            watermark_ms, nth, ..
        } => {
            assert_eq!(nth, directives);
            *directives += 1;
            seen.advances += 1;
            task.advance(*watermark_ms, outbox)
        }
        ControlRecord::Configure {
            nth, before, policy, ..
        } => {
            assert_eq!(nth, directives);
            if let Some(before) = before {
                assert_eq!(*before, task.policy());
            }
            *directives += 1;
            seen.changes += 1;
            task.configure(policy, outbox)
        }
        ControlRecord::Policy { policy, .. } => {
            assert_eq!(*policy, task.policy());
            Ok(())
        }
        ControlRecord::Refused { .. } => Ok(()),
        ControlRecord::Watermark { watermark_ms, .. } => {
            assert_eq!(Some(*watermark_ms), task.watermark_ms());
            Ok(())
        }
    };
    done.unwrap_or_else(|reason| panic!("what was done cannot be repeated: {reason}"));
    if let Some((_, closed_until_ms)) = record.policy() {
        assert_eq!(closed_until_ms, task.closed_until_ms());
    }
}
