//! Restoring a partition: committed offset, newest valid snapshot at or below it, and the advances since.

mod patience;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use millrace_engine::snapshot::{Expected, Header, SnapshotError, SnapshotWriter, container};
use millrace_settings::LostPosition;

pub(super) use patience::Patience;
use plan::Plan;

use crate::control::Advances;
use crate::metrics::JobMetrics;
use crate::reader::{ControlError, Reader};
use crate::snapshot_store::SnapshotStore;
use crate::{Job, Task, WorkerError, processor_time};

/// How often a committed offset beyond the log's end is looked up again, as a new leader may lag for a moment.
const AHEAD_ATTEMPTS: u32 = 20;

/// What earlier tries of a restore have met.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    ahead: u32,
    logged: bool,
}

/// A partition's state, and what to replay to be where the group has committed.
pub(super) struct Restored<T> {
    pub(super) partition: i32,
    pub(super) epoch: u64,
    pub(super) task: T,
    /// The first record to read.
    pub(super) start: i64,
    /// What the group has committed.
    pub(super) committed: Option<i64>,
    /// The first record that is new.
    pub(super) replay_until: i64,
    pub(super) advances: Advances,
    /// The processor time that the restore took.
    pub(super) cost: Duration,
}

/// Restores partitions of one job.
pub(super) struct Restorer<J> {
    pub(super) job: Arc<J>,
    pub(super) reader: Reader,
    pub(super) topic: String,
    pub(super) store: Option<SnapshotStore>,
    pub(super) patience: Patience,
    pub(super) fingerprint: String,
    pub(super) lost_position: LostPosition,
    pub(super) metrics: JobMetrics,
}

/// Why a restore is not done yet.
enum Trouble {
    /// Try again.
    Later(String),
    Stop(WorkerError),
}

impl From<rdkafka::error::KafkaError> for Trouble {
    fn from(error: rdkafka::error::KafkaError) -> Self {
        Self::Later(error.to_string())
    }
}

impl<J: Job> Restorer<J> {
    /// Tries once; `None` is to be tried again.
    pub(super) fn attempt(
        &self,
        partition: i32,
        epoch: u64,
        attempt: &mut Attempt,
    ) -> Result<Option<Restored<J::Task>>, WorkerError> {
        match self.try_restore(partition, epoch, attempt) {
            Ok(restored) => Ok(Some(restored)),
            Err(Trouble::Stop(error)) => Err(error),
            Err(Trouble::Later(reason)) => {
                if !attempt.logged {
                    tracing::warn!(partition, reason, "a restore waits");
                    attempt.logged = true;
                }
                Ok(None)
            }
        }
    }

    fn try_restore(
        &self,
        partition: i32,
        epoch: u64,
        attempt: &mut Attempt,
    ) -> Result<Restored<J::Task>, Trouble> {
        let started = processor_time::of_this_thread();
        let committed = self.reader.committed(&self.topic, partition)?;
        let (low, end) = self.reader.bounds(&self.topic, partition)?;
        if committed.is_some_and(|committed| committed > end) && attempt.ahead < AHEAD_ATTEMPTS {
            attempt.ahead += 1;
            return Err(Trouble::Later(format!(
                "{committed:?} is committed, and the log ends at {end}"
            )));
        }
        let snapshot = self.newest_snapshot(partition, committed)?;
        let from_snapshot = snapshot.as_ref().map(|(offset, _)| *offset);
        let plan = Plan::of(committed, from_snapshot, low, end);
        if let Some(what) = plan.lost {
            self.metrics.lost_positions.inc();
            tracing::error!(partition, topic = self.topic, what, policy = ?self.lost_position, "a position was lost");
            if self.lost_position == LostPosition::Stop {
                return Err(Trouble::Stop(WorkerError::LostPosition {
                    topic: self.topic.clone(),
                    partition,
                    what,
                }));
            }
        }
        let task = match snapshot {
            Some((_, task)) if plan.with_snapshot => task,
            _ => self.fresh(partition, plan.start, committed, low)?,
        };
        let advances = match self.job.control_topic() {
            Some(control) if committed.is_some() => {
                let records = self.reader.control_records(control, partition, plan.start);
                let records = records.map_err(|error| self.control_trouble(control, partition, error))?;
                Advances::between(&records, plan.start, plan.replay_until)
            }
            _ => Advances::default(),
        };
        tracing::info!(
            partition,
            committed,
            snapshot = from_snapshot,
            start = plan.start,
            advances = advances.len(),
            "partition restored"
        );
        Ok(Restored {
            partition,
            epoch,
            task,
            start: plan.start,
            committed,
            replay_until: plan.replay_until,
            advances,
            cost: processor_time::of_this_thread().saturating_sub(started),
        })
    }

    fn control_trouble(&self, control: &str, partition: i32, error: ControlError) -> Trouble {
        match error {
            ControlError::Kafka(error) => Trouble::Later(error.to_string()),
            ControlError::Broken { offset, reason } => Trouble::Stop(WorkerError::Topic(format!(
                "offset {offset} of partition {partition} of {control} cannot be replayed: {reason}"
            ))),
        }
    }

    /// A task without state. On the job's very first start in a log that has lost its beginning, the empty state is
    /// stored as a snapshot: it says that nothing before is part of the state, so that a restart before the first real
    /// snapshot is not taken for a loss.
    fn fresh(
        &self,
        partition: i32,
        start: i64,
        committed: Option<i64>,
        low: i64,
    ) -> Result<J::Task, Trouble> {
        let mut task = self.job.task(partition);
        if committed.is_none()
            && low > 0
            && let Some(store) = &self.store
        {
            let mut container = SnapshotWriter::new(&self.header(partition, start, task.watermark_ms()));
            task.freeze().write(container.state());
            store
                .begin(partition, start)
                .finish(container.finish())
                .map_err(|error| Trouble::Later(error.to_string()))?;
        }
        Ok(task)
    }

    pub(super) fn header(&self, partition: i32, offset: i64, watermark_ms: Option<i64>) -> Header<'_> {
        Header {
            job: self.job.name(),
            partition,
            offset,
            watermark_ms,
            fingerprint: &self.fingerprint,
        }
    }

    /// The newest snapshot that is whole, ours, and not ahead of the committed offset. Those ahead are of another
    /// history of the log (a topic made anew, offsets set back) and are deleted, as the log will pass their offsets.
    fn newest_snapshot(
        &self,
        partition: i32,
        committed: Option<i64>,
    ) -> Result<Option<(i64, J::Task)>, Trouble> {
        let Some(store) = &self.store else { return Ok(None) };
        let offsets = match store.list(partition) {
            Ok(offsets) => offsets,
            Err(error) => {
                if !self.patience.is_over() {
                    return Err(Trouble::Later(error.to_string()));
                }
                self.metrics.snapshot_failed("store");
                tracing::error!(partition, %error, "the snapshot store does not answer: the log serves");
                return Ok(None);
            }
        };
        let mut answers = true;
        for offset in offsets {
            if committed.is_none_or(|committed| offset > committed) {
                self.refuse(
                    partition,
                    offset,
                    "future",
                    &format!("the committed offset is {committed:?}"),
                );
                if let Err(error) = store.delete(partition, offset) {
                    tracing::warn!(partition, offset, %error, "a snapshot of the future could not be deleted");
                }
                continue;
            }
            match self.read_snapshot(store, partition, offset) {
                Ok(task) => {
                    self.patience.renew();
                    return Ok(Some((offset, task)));
                }
                Err(("store", reason)) if !self.patience.is_over() => return Err(Trouble::Later(reason)),
                Err((code, reason)) => {
                    answers &= code != "store";
                    self.refuse(partition, offset, code, &reason);
                }
            }
        }
        if answers {
            self.patience.renew();
        }
        Ok(None)
    }

    fn read_snapshot(
        &self,
        store: &SnapshotStore,
        partition: i32,
        offset: i64,
    ) -> Result<J::Task, (&'static str, String)> {
        let bytes = store
            .read(partition, offset)
            .map_err(|error| (error.code(), error.to_string()))?;
        let expected = Expected {
            job: self.job.name(),
            partition,
            fingerprint: &self.fingerprint,
        };
        let refused = |error: SnapshotError| (error.code(), error.to_string());
        let snapshot = container::read(&bytes, &expected).map_err(refused)?;
        if snapshot.header.offset != offset {
            return Err(("foreign", format!("it is of offset {}", snapshot.header.offset)));
        }
        let mut task = self.job.task(partition);
        task.restore(snapshot.state)
            .map_err(|error| refused(error.into()))?;
        Ok(task)
    }

    fn refuse(&self, partition: i32, offset: i64, code: &str, reason: &str) {
        self.metrics.snapshot_failed(code);
        tracing::warn!(
            partition,
            offset,
            code,
            reason,
            "a snapshot is refused, and the next older one or the log serves"
        );
    }
}
