//! From a pure operator to a job: whoever has a [`Processor`] has a [`Job`](crate::Job).
//!
//! Of a job, only what is its own is written by hand: its operator and policy, how its input is
//! read, and what its outputs are as records. The rest is here, once: bounds on times and places of
//! records, what becomes of bad, late and duplicate ones, changes of policy, snapshots.

mod emitter;
mod event_time;
mod intake;
mod job;
mod spec;
mod task;
mod text;

use millrace_engine::{EventTimeBounds, Operator};
use millrace_kafka::{InputRecord, Misplaced};

use crate::{Beginning, Controls, Outbox, Placement};
pub use emitter::Emitter;
pub use event_time::check_event;
pub use intake::{Converted, Intake};
pub use spec::{JobSpec, LateRecords, Refusal, SkippedRecords};
pub use task::ProcessorTask;
pub(crate) use text::brief;
pub use text::{policy_of_text, policy_to_text};

/// A record as a processor's operator takes it.
pub type Record<P> = <<P as Processor>::Operator as Operator>::Record;
/// What a processor's operator emits.
pub type Output<P> = <<P as Processor>::Operator as Operator>::Output;
/// A processor's policy.
pub type Policy<P> = <<P as Processor>::Operator as Operator>::Policy;

/// Why a record is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The reason's bounded name.
    pub code: &'static str,
    /// The reason in words.
    pub why: String,
}

/// What is a job's own around its operator. Everything is known when the job is compiled: a record
/// passes no pointer to a function but those of its outbox.
pub trait Processor: Clone + Send + Sync + 'static {
    /// The state machine over one partition.
    type Operator: Operator<Output: Send> + Send;
    /// What reads one partition's values.
    type Intake: Intake<Record = Record<Self>> + Send;
    /// What the job shows of one partition; it goes with the partition's task.
    type Gauges: Send;

    /// Its name, its topics, and the policies of the stream that it reads.
    fn spec(&self) -> &JobSpec;

    /// The policy of the settings, or what it has become since.
    fn present_policy(&self) -> Policy<Self>;

    /// As [`crate::Job::keeps_past`].
    fn keeps_past(&self) -> bool {
        false
    }

    /// As [`crate::Job::policy_changes`].
    fn policy_changes(&self) -> u64 {
        0
    }

    /// As [`crate::Job::policy_of_fingerprint`].
    fn policy_of_fingerprint(&self, _fingerprint: &str) -> Option<Policy<Self>> {
        None
    }

    /// As [`crate::Job::beginning`].
    ///
    /// # Errors
    /// Those of `controls`.
    fn beginning(&self, _partition: i32, _controls: &mut Controls<'_>) -> Result<Beginning, String> {
        Ok(Beginning::Anywhere)
    }

    /// An operator before its first record, with the policy of the settings.
    fn operator(&self) -> Self::Operator;

    /// As [`Self::operator`], with another policy.
    fn operator_under(&self, policy: Policy<Self>) -> Self::Operator;

    /// What reads one partition.
    fn intake(&self) -> Self::Intake;

    /// What is shown of one partition.
    fn gauges(&self, partition: i32) -> Self::Gauges;

    /// The bounds on times and places that a policy has.
    fn bounds(_policy: &Policy<Self>) -> EventTimeBounds {
        EventTimeBounds::NONE
    }

    /// Whether a record is one that its stream may have. `append_time_ms` is when the broker
    /// appended it, in milliseconds since 1970, where that is known.
    ///
    /// # Errors
    /// Why it is left out.
    fn check(
        operator: &Self::Operator,
        record: &Record<Self>,
        append_time_ms: Option<i64>,
        bounds: &EventTimeBounds,
    ) -> Result<(), Refused>;

    /// Whether a record lies elsewhere than those that belong with it; asked where
    /// [`JobSpec::source`] is there.
    fn place(
        _placement: &mut Placement,
        _input: &InputRecord<'_>,
        _record: &Record<Self>,
        _outbox: &dyn Outbox,
    ) -> Option<Misplaced> {
        None
    }

    /// Whether this process may give a partition another policy, beside what the operator says of
    /// it. Not asked in a replay.
    ///
    /// # Errors
    /// Why not, and what would be right.
    fn check_change(&self, _present: &Policy<Self>, _wanted: &Policy<Self>) -> Result<(), String> {
        Ok(())
    }

    /// Writes what the operator has emitted, and leaves nothing of it.
    fn emit(&self, outputs: &mut Vec<Output<Self>>, gauges: &Self::Gauges, emitter: &mut Emitter<'_>);

    /// Shows what has changed with a record, an advance or a policy. Called for each of them: it
    /// must cost next to nothing where nothing has.
    fn show_change(&self, _gauges: &mut Self::Gauges, _operator: &Self::Operator, _outbox: &dyn Outbox) {}

    /// Shows a state that was restored.
    fn show_restored(&self, _gauges: &mut Self::Gauges, _operator: &Self::Operator) {}

    /// Shows what is looked at once a commit.
    fn show_at_commit(&self, _gauges: &mut Self::Gauges, _operator: &Self::Operator) {}

    /// As [`crate::Task::max_event_time_ms`].
    fn max_event_time_ms(operator: &Self::Operator) -> Option<i64>;

    /// As [`crate::Task::closed_until_ms`].
    fn closed_until_ms(_operator: &Self::Operator) -> Option<i64> {
        None
    }
}
