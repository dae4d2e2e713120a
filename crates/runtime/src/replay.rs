//! A partition replayed beside its worker: what a task did with the records of its log, done again
//! by whoever wants to know, with the outputs dropped.

use crate::control::{ControlLog, Directive, Directives};
use crate::outbox::ReplayOutbox;
use crate::refusals::KnownRefusals;
use crate::{InputRecord, Task, TaskError};

/// A task over the records of one partition, with the events beside them at their places.
#[derive(Debug)]
pub struct Replay<T> {
    task: T,
    next: i64,
    directives: Directives,
    refusals: KnownRefusals,
}

impl<T: Task> Replay<T> {
    /// Of a task as it was before the record at `from`, when it had had the first `done` of the
    /// events there.
    pub(crate) fn new(task: T, log: &ControlLog, from: i64, done: u32) -> Self {
        Self {
            task,
            next: from,
            directives: log.directives(from, done, i64::MAX),
            refusals: log.refusals(),
        }
    }

    /// The task as it is by now.
    pub fn task(&self) -> &T {
        &self.task
    }

    /// The offset that it goes on from.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Repeats the events that were before the record at `offset`, and says by what code the record
    /// was refused, if it was, by word of somebody outside of the log. To be asked in the order of
    /// the log.
    ///
    /// # Errors
    /// As of [`Task::configure`].
    pub fn go_to(&mut self, offset: i64) -> Result<Option<&str>, TaskError> {
        let mut outbox = self.outbox();
        while let Some(directive) = self.directives.take_before(offset) {
            match directive {
                Directive::Advance(watermark_ms) => self.task.advance(watermark_ms, &mut outbox)?,
                Directive::Configure(policy) => self.task.configure(&policy, &mut outbox)?,
            }
        }
        Ok(self.refusals.code(offset))
    }

    /// Takes the next record, after the events that were before it.
    ///
    /// # Errors
    /// As of [`Task::process`]; also where the record was read then and cannot be read now.
    pub fn take(&mut self, record: &InputRecord<'_>) -> Result<(), TaskError> {
        if self.go_to(record.offset)?.is_none() {
            let mut outbox = self.outbox();
            self.task.process(record, &mut outbox)?;
        }
        self.next = record.offset + 1;
        Ok(())
    }

    fn outbox(&self) -> ReplayOutbox {
        ReplayOutbox {
            refusals_from: self.refusals.whole_from,
        }
    }
}
