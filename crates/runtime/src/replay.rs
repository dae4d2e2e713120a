//! A partition replayed beside its worker: what a task did with the records of its log, done again
//! by whoever wants to know, with the outputs dropped.

use crate::control::{ControlLog, Directive, Directives, policy_at};
use crate::outbox::ReplayOutbox;
use crate::refusals::KnownRefusals;
use crate::{InputRecord, Job, Task, TaskError};

/// What a job's control topic says of one partition.
#[derive(Debug, Default)]
pub struct PartitionEvents(ControlLog);

impl PartitionEvents {
    /// Adds the value of the partition's next control record.
    ///
    /// # Errors
    /// It is none of this release's kinds: an event that is not understood cannot be left out.
    pub fn add(&mut self, payload: &[u8]) -> Result<(), String> {
        self.0.add(payload)
    }
}

/// A task over the records of one partition, with the events beside them at their places.
#[derive(Debug)]
pub struct Replay<T> {
    task: T,
    directives: Directives,
    refusals: KnownRefusals,
}

impl<T: Task> Replay<T> {
    /// A task before the record at `from`, under the policy that held there, without what came
    /// before it.
    ///
    /// # Errors
    /// The policy is none of this job's.
    pub fn begin<J: Job<Task = T>>(
        job: &J,
        partition: i32,
        PartitionEvents(log): &PartitionEvents,
        from: i64,
    ) -> Result<Self, String> {
        let task = match policy_at(&log.records, from) {
            Some(policy) => job.task_under(partition, policy)?,
            None => job.task(partition),
        };
        Ok(Self {
            task,
            directives: Directives::between(&log.records, from, 0, i64::MAX),
            refusals: KnownRefusals::of(&log.records, log.refusals_from),
        })
    }

    /// The task as it is by now.
    pub fn task(&self) -> &T {
        &self.task
    }

    /// Repeats the next event that was before the record at `offset`; `false` where none is left.
    ///
    /// # Errors
    /// As of [`Task::configure`].
    pub fn repeat_before(&mut self, offset: i64) -> Result<bool, TaskError> {
        let mut outbox = self.outbox();
        match self.directives.take_before(offset) {
            None => return Ok(false),
            Some(Directive::Advance(watermark_ms)) => self.task.advance(watermark_ms, &mut outbox)?,
            Some(Directive::Configure(policy)) => self.task.configure(&policy, &mut outbox)?,
        }
        Ok(true)
    }

    /// Whether a record was refused by word of somebody outside of the log; asked for in the order
    /// of the log.
    pub fn was_refused(&mut self, offset: i64) -> bool {
        self.refusals.contains(offset)
    }

    /// Takes the next record: one that was not refused, after the events before it.
    ///
    /// # Errors
    /// As of [`Task::process`]; also where the record was read then and cannot be read now.
    pub fn process(&mut self, record: &InputRecord<'_>) -> Result<(), TaskError> {
        let mut outbox = self.outbox();
        self.task.process(record, &mut outbox)
    }

    fn outbox(&self) -> ReplayOutbox {
        ReplayOutbox {
            refusals_from: self.refusals.whole_from,
        }
    }
}
