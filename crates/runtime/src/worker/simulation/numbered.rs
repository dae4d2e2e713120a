//! A task that tells which partition's its outputs are.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use millrace_engine::{FrozenState, RestoreError};

use crate::{InputRecord, Outbox, Task, TaskError};

/// The partition whose task has spoken last, shared by the tasks of a worker and its transaction.
pub(super) type Speaker = Arc<AtomicI32>;

/// A task with its partition's number, which it says before it may send anything.
pub(super) struct Numbered<T> {
    number: i32,
    speaker: Speaker,
    task: T,
}

impl<T> Numbered<T> {
    pub(super) fn new(number: i32, speaker: &Speaker, task: T) -> Self {
        Self {
            number,
            speaker: Arc::clone(speaker),
            task,
        }
    }

    fn speaking(&mut self) -> &mut T {
        self.speaker.store(self.number, Ordering::Relaxed);
        &mut self.task
    }
}

impl<T: Task> Task for Numbered<T> {
    fn prepare(&mut self, records: &[InputRecord<'_>]) {
        self.task.prepare(records);
    }

    fn event_time_ms(&mut self, record: &InputRecord<'_>) -> Option<i64> {
        self.task.event_time_ms(record)
    }

    fn process(&mut self, record: &InputRecord<'_>, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        self.speaking().process(record, outbox)
    }

    fn advance(&mut self, watermark_ms: i64, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        self.speaking().advance(watermark_ms, outbox)
    }

    fn policy(&self) -> String {
        self.task.policy()
    }

    fn configure(&mut self, policy: &str, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        self.speaking().configure(policy, outbox)
    }

    fn before_commit(&mut self, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        self.speaking().before_commit(outbox)
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.task.watermark_ms()
    }

    fn max_event_time_ms(&self) -> Option<i64> {
        self.task.max_event_time_ms()
    }

    fn open_until_ms(&self) -> Option<i64> {
        self.task.open_until_ms()
    }

    fn closed_until_ms(&self) -> Option<i64> {
        self.task.closed_until_ms()
    }

    fn freeze(&mut self) -> FrozenState {
        self.task.freeze()
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.task.restore(bytes)
    }
}
