//! What a service implements to run on the worker loop: a [`Job`] makes one [`Task`] for each input
//! partition.

use std::sync::Arc;

use millrace_engine::{FrozenState, RestoreError};
use millrace_kafka::{InputRecord, OutputRecord, SourcePartitions};
use thiserror::Error;

use crate::control::ControlRecord;

/// Where a task puts its outputs. While a task replays what was committed before, they are dropped,
/// as they are in the log already.
pub trait Outbox {
    /// Adds a record to the current transaction. A full producer queue is waited for: it is the
    /// back-pressure. A failure is kept and aborts the transaction.
    fn send(&mut self, record: OutputRecord<'_>);

    /// Sends a copy of an input record to `topic`, as [`millrace_kafka::copies`] makes it:
    /// `headers` first, then those that say where it came from, then its own; cut, and counted,
    /// where it would be larger than the topic takes.
    fn copy(&mut self, record: &InputRecord<'_>, topic: &str, headers: &[(&str, &[u8])]);

    /// Sends a copy of an input record to its topic's dead-letter topic, with headers `error` (the
    /// message), `error.code` and `service`, and counts it under `code`.
    fn dead_letter(&mut self, record: &InputRecord<'_>, code: &'static str, error: &str);

    /// Notes that a record is refused by word of somebody outside of the log, as the schema
    /// registry is, who may say something else another time; `code` and `why` are as of
    /// [`Outbox::dead_letter`]. It is written to the control topic, so that a replay refuses the
    /// record too, without asking. The caller refuses the record after it.
    ///
    /// # Errors
    /// In a replay of a record that was not refused the first time: the task must not go on without
    /// it.
    fn note_refusal(
        &mut self,
        _record: &InputRecord<'_>,
        _code: &'static str,
        _why: &str,
    ) -> Result<(), TaskError> {
        Ok(())
    }

    /// Whether outputs are being dropped because the input is a replay. Counters must not count a
    /// replay again.
    fn is_replay(&self) -> bool;
}

/// The processing of one partition: decoding at the edge, a pure operator inside, encoding at the
/// edge.
///
/// A task is a function of its calls, as an operator is; what it does with `outbox` is its only
/// effect.
pub trait Task: Send {
    /// Tells which records most probably come next, in offset order: at most
    /// [`millrace_engine::near::GROUP`] of them. A hint, so that their memory is asked for
    /// together; none of them counts before [`Task::process`], and any of them may not come, or
    /// come later.
    fn prepare(&mut self, _records: &[InputRecord<'_>]) {}

    /// The event time of the next record, in milliseconds since 1970, where it has one: asked
    /// before [`Task::process`] of a job with [`Job::max_skew_ms`], and changes nothing.
    fn event_time_ms(&mut self, _record: &InputRecord<'_>) -> Option<i64> {
        None
    }

    /// Takes the next record, in offset order.
    ///
    /// # Errors
    /// Only what makes going on wrong for every record (a registry that is away after its retries).
    /// A bad record is no error: it goes to [`Outbox::dead_letter`].
    fn process(&mut self, record: &InputRecord<'_>, outbox: &mut dyn Outbox) -> Result<(), TaskError>;

    /// Moves the watermark of an idle partition.
    ///
    /// # Errors
    /// As for [`Task::process`].
    fn advance(&mut self, watermark_ms: i64, outbox: &mut dyn Outbox) -> Result<(), TaskError>;

    /// The policy that the state has; see [`Job::policy`].
    fn policy(&self) -> String {
        String::new()
    }

    /// Takes another policy, from this offset on. An event in the partition's order, as
    /// [`Task::advance`] is: a replay repeats it.
    ///
    /// # Errors
    /// As for [`Task::process`]; also a policy that cannot take the place of the present one over
    /// this state: nothing is written then.
    fn configure(&mut self, _policy: &str, _outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        Ok(())
    }

    /// Called once before each commit, with everything up to the commit processed: what is sent
    /// here is in the transaction. For outputs that are due once a commit, such as a watermark. Not
    /// called in a replay.
    ///
    /// # Errors
    /// As for [`Task::process`].
    fn before_commit(&mut self, _outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        Ok(())
    }

    /// The partition's watermark in milliseconds since 1970.
    fn watermark_ms(&self) -> Option<i64>;

    /// The highest event time accepted, in milliseconds since 1970.
    fn max_event_time_ms(&self) -> Option<i64>;

    /// As [`millrace_engine::Operator::open_until_ms`].
    fn open_until_ms(&self) -> Option<i64>;

    /// Up to where the task has sent windows that several sources contribute to, in milliseconds
    /// since 1970: what a source sends it for one of those comes too late. Written beside its
    /// policy in the control topic, for [`Job::beginning`] of the job whose partitions those
    /// sources are.
    fn closed_until_ms(&self) -> Option<i64> {
        None
    }

    /// As [`millrace_engine::Operator::freeze`]: called between two records, written by another
    /// thread.
    fn freeze(&mut self) -> FrozenState;

    /// Replaces the state.
    ///
    /// # Errors
    /// The bytes are no state of this task.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError>;
}

/// Where a partition begins that was never worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// With whatever comes first.
    Anywhere,
    /// With this watermark, in milliseconds since 1970: what is before was closed without it.
    At(i64),
    /// Not yet, and why.
    NotYet(String),
}

/// Gives the records of one partition of a control topic.
pub type Controls<'a> = dyn FnMut(&str, i32) -> Result<Vec<ControlRecord>, String> + 'a;

/// A consume–transform–produce job over one input topic.
pub trait Job: Send + Sync + 'static {
    /// What runs for each partition.
    type Task: Task;

    /// The job's name, without `kafka.topic_prefix`: its consumer group, the prefix of its
    /// transactional ids and its metric label.
    fn name(&self) -> &str;

    /// The topic it reads, by its full name, as [`millrace_kafka::topic_name`] makes it.
    fn input_topic(&self) -> &str;

    /// The control topic (its full name), with at least as many partitions as the input: it records
    /// what happens to a partition beside its records, advances of idle partitions and changes of
    /// policy. `None` for a job without either.
    fn control_topic(&self) -> Option<&str>;

    /// Whether the watermark of an idle partition is advanced; not where it comes in the records
    /// alone.
    fn advances_idle(&self) -> bool {
        self.control_topic().is_some()
    }

    /// Whether each commit in which there are outputs of a partition has a control record of it, so
    /// that a lost offset can be found again after a crash too. Not where nearly every commit has
    /// outputs, and those come again harmlessly.
    fn tells_outputs(&self) -> bool {
        self.control_topic().is_some()
    }

    /// Whether what a partition's records become depends on those before them. Where it does not, a
    /// restore goes on from the committed offset and needs neither a snapshot nor what retention
    /// has deleted.
    fn has_state(&self) -> bool {
        true
    }

    /// Whether past snapshots are kept, as the settings say, for who looks back by
    /// [`crate::past::Past`].
    fn keeps_past(&self) -> bool {
        false
    }

    /// How far the event time of one partition's records may be ahead of another's that has more to
    /// read, in milliseconds; `None` where partitions do not wait for each other. It holds within a
    /// process.
    fn max_skew_ms(&self) -> Option<i64> {
        None
    }

    /// The job that writes the input, where that is one of ours: while it has more to read, a
    /// partition of the input is not idle, however quiet it is.
    fn upstream(&self) -> Option<Upstream> {
        None
    }

    /// A stable description of what the bytes of a state depend on: a snapshot of another layout is
    /// refused.
    fn layout(&self) -> String;

    /// The settings that may be changed over an existing state, as text: equal texts are equal
    /// policies. Empty where there are none. A state of another policy is restored as it is, and
    /// then configured.
    fn policy(&self) -> String {
        String::new()
    }

    /// How often [`Job::policy`] has changed since the job was made. Asked after each batch: the
    /// partitions follow a policy that changes while the job runs.
    fn policy_changes(&self) -> u64 {
        0
    }

    /// The policy of a state that a release without policies has written, by the fingerprint in its
    /// snapshot; `None` where that is none of this job's.
    fn policy_of_fingerprint(&self, _fingerprint: &str) -> Option<String> {
        None
    }

    /// Where a partition begins that was never worked on. `controls` gives the records of one
    /// partition of a control topic, by the topic's full name.
    ///
    /// # Errors
    /// Those of `controls`: it is tried again.
    fn beginning(&self, _partition: i32, _controls: &mut Controls<'_>) -> Result<Beginning, String> {
        Ok(Beginning::Anywhere)
    }

    /// The partitions of the input, where the job is to end in good order once there are more of
    /// them.
    fn source(&self) -> Option<&Arc<SourcePartitions>> {
        None
    }

    /// A fresh task for a partition of the input.
    fn task(&self, partition: i32) -> Self::Task;

    /// A fresh task with another policy than [`Job::policy`], for a log that began with it.
    ///
    /// # Errors
    /// The text is no policy of this job.
    fn task_under(&self, partition: i32, _policy: &str) -> Result<Self::Task, String> {
        Ok(self.task(partition))
    }
}

/// A job whose output another one reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The topic that it reads, by its full name.
    pub topic: String,
    /// Its consumer group, by its full name.
    pub group: String,
}

/// Why a task cannot go on: what it met, of whatever type, with that one's words.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct TaskError(pub Box<dyn std::error::Error + Send + Sync>);

impl TaskError {
    /// Of an error, or of words.
    pub fn new(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }
}
