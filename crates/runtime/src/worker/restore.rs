//! Restoring a partition: where it goes on, newest valid snapshot at or below that, and the
//! advances since.

mod patience;
mod plan;
mod position;
mod proof;
mod snapshots;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_engine::snapshot::SnapshotWriter;
use millrace_kafka::reader::Reader;
use millrace_settings::LostPosition;

pub(super) use patience::Patience;
use plan::Plan;
use position::Position;
pub(crate) use proof::is_of_log;
use snapshots::Newest;
pub(crate) use snapshots::read_state;

use super::envelope::Envelope;
use crate::control::ControlError;
use crate::control::{ControlLog, Directives};
use crate::metrics::JobMetrics;
use crate::refusals::KnownRefusals;
use crate::snapshot_store::SnapshotStore;
use crate::{Beginning, Job, Task, WorkerError, processor_time};

/// How long one look-up may take.
const CALL: Duration = Duration::from_secs(5);
/// How often a committed offset beyond the log's end is looked up again, as a new leader may lag
/// for a moment.
const AHEAD_ATTEMPTS: u32 = 20;

/// Least time between two lines in the log about one restore that waits.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// What earlier tries of a restore have met.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    ahead: u32,
    told_at: Option<Instant>,
}

impl Attempt {
    /// Whether the log has all that is committed.
    fn check_ahead(&mut self, committed: Option<i64>, end: i64) -> Result<(), Trouble> {
        if committed.is_some_and(|committed| committed > end) && self.ahead < AHEAD_ATTEMPTS {
            self.ahead += 1;
            return Err(Trouble::Later(format!(
                "{committed:?} is committed, and the log ends at {end}"
            )));
        }
        Ok(())
    }
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
    /// Directives at `start` that the state has had.
    pub(super) directives_done: u32,
    pub(super) directives: Directives,
    /// The watermark that it begins with, where it was never worked on.
    pub(super) begins_at_ms: Option<i64>,
    pub(super) refusals: KnownRefusals,
    /// The processor time that the restore took.
    pub(super) cost: Duration,
}

/// Restores partitions of one job.
pub(super) struct Restorer<J> {
    pub(super) job: Arc<J>,
    pub(super) reader: Reader,
    pub(super) high_watermarks: Arc<Reader>,
    pub(super) topic: String,
    pub(super) store: Option<SnapshotStore>,
    pub(super) patience: Patience,
    /// The cluster, the topic, and the layout.
    pub(super) fingerprint: String,
    /// What the fingerprints of all snapshots of this cluster and topic begin with.
    pub(super) identity: String,
    /// The consumer group.
    pub(super) group: String,
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
                let now = Instant::now();
                let is_told = |at: Instant| now.saturating_duration_since(at) < TELL_INTERVAL;
                if !attempt.told_at.is_some_and(is_told) {
                    tracing::warn!(partition, reason, "a restore waits");
                    attempt.told_at = Some(now);
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
        attempt.check_ahead(committed, end)?;
        let at = self.position(partition, committed, (low, end))?;
        let begins_at_ms = match at {
            None => self.beginning(partition)?,
            Some(_) => None,
        };
        let has_state = self.job.has_state();
        let Newest {
            snapshot,
            refused,
            unanswered,
        } = match has_state {
            true => self.newest_snapshot(partition, at)?,
            false => Newest::default(),
        };
        let from_snapshot = snapshot.as_ref().map(|(offset, ..)| *offset);
        let plan = match has_state {
            true => Plan::of(at, from_snapshot, low, end),
            false => Plan::without_state(at, low, end),
        };
        self.check_lost(partition, &plan, &refused, unanswered.as_deref())?;
        let log = self.control_log(partition, at, plan.start)?;
        let (task, directives_done) = match snapshot {
            Some((offset, task, done)) if plan.with_snapshot => {
                (task, if offset == plan.start { done } else { 0 })
            }
            _ => (self.fresh(partition, &plan, at, low, &log)?, 0),
        };
        let directives = log.directives(plan.start, directives_done, plan.replay_until);
        let refusals = log.refusals();
        tracing::info!(
            partition,
            committed,
            snapshot = from_snapshot,
            start = plan.start,
            directives = directives.len(),
            "partition restored"
        );
        self.forget_mark(partition)?;
        Ok(Restored {
            partition,
            epoch,
            task,
            start: plan.start,
            committed: at,
            replay_until: plan.replay_until,
            directives_done,
            directives,
            begins_at_ms,
            refusals,
            cost: processor_time::of_this_thread().saturating_sub(started),
        })
    }

    /// What the control topic says of a partition from `start` on, if anything was done there.
    fn control_log(&self, partition: i32, at: Option<i64>, start: i64) -> Result<ControlLog, Trouble> {
        match self.job.control_topic() {
            Some(control) if at.is_some() => {
                let log = ControlLog::read(&self.reader, control, partition, start);
                log.map_err(|error| self.control_trouble(control, partition, error))
            }
            _ => Ok(ControlLog::default()),
        }
    }

    /// The watermark that a partition begins with that was never worked on.
    fn beginning(&self, partition: i32) -> Result<Option<i64>, Trouble> {
        let mut controls = |topic: &str, number: i32| {
            let log = ControlLog::read(&self.reader, topic, number, i64::MIN);
            log.map(|log| log.records)
                .map_err(|error| format!("partition {number} of {topic} cannot be read: {error}"))
        };
        match self.job.beginning(partition, &mut controls) {
            Ok(Beginning::Anywhere) => Ok(None),
            Ok(Beginning::At(watermark_ms)) => Ok(Some(watermark_ms)),
            Ok(Beginning::NotYet(reason)) | Err(reason) => Err(Trouble::Later(reason)),
        }
    }

    /// Where the partition goes on, by the group and by what the job proves itself; an error where
    /// that is lost, unless the settings say to go on.
    fn position(
        &self,
        partition: i32,
        committed: Option<i64>,
        bounds: (i64, i64),
    ) -> Result<Option<i64>, Trouble> {
        let found = self.proof(partition, committed, bounds.1)?;
        let is_same_log = committed.is_some() || self.is_same_log(partition, found, bounds)?;
        let position = Position::of(committed, found.proof, bounds.1, is_same_log);
        if position.is_recovered {
            self.metrics.recovered_positions.inc();
            tracing::warn!(
                partition,
                topic = self.topic,
                group = self.group,
                offset = position.at,
                "the group has no committed offset any more: the partition goes on where the job has left it"
            );
        }
        if let Some(doubt) = position.doubt {
            self.lost(
                partition,
                doubt.what((&self.group, &self.topic, partition), bounds.0),
            )?;
        }
        // Where a group has lost its offsets, a snapshot without a watermark proves nothing.
        if position.doubt.is_some() || position.is_recovered {
            self.set_aside(partition, position.at)?;
        }
        Ok(position.at)
    }

    /// Whether nothing is missing of what the plan needs, or the settings say to go on. What a
    /// store may have that does not answer is not lost: it is waited for, whatever the settings
    /// say.
    fn check_lost(
        &self,
        partition: i32,
        plan: &Plan,
        refused: &[String],
        unanswered: Option<&str>,
    ) -> Result<(), Trouble> {
        match (plan.what_is_lost(refused), unanswered) {
            (None, _) => Ok(()),
            (Some(what), None) => self.lost(partition, what),
            (Some(what), Some(reason)) => Err(Trouble::Later(format!(
                "the snapshot store does not answer ({reason}), and the log cannot serve in its place: {what}. The store \
                 is waited for; to do without it, set snapshots.url to another, and worker.lost_position to continue"
            ))),
        }
    }

    /// Tells of a lost position; an error unless the settings say to go on.
    fn lost(&self, partition: i32, what: String) -> Result<(), Trouble> {
        self.metrics.lost_positions.inc();
        tracing::error!(partition, topic = self.topic, what, policy = ?self.lost_position, "a position was lost");
        match self.lost_position {
            LostPosition::Continue => Ok(()),
            LostPosition::Stop => Err(Trouble::Stop(WorkerError::LostPosition {
                topic: self.topic.clone(),
                partition,
                what,
            })),
        }
    }

    fn control_trouble(&self, control: &str, partition: i32, error: ControlError) -> Trouble {
        match error {
            ControlError::Kafka(error) => Trouble::Later(error.to_string()),
            ControlError::Broken { offset, reason } => Trouble::Stop(WorkerError::Topic(format!(
                "offset {offset} of partition {partition} of {control} cannot be replayed: {reason}"
            ))),
        }
    }

    /// A task without state, with the policy that the log begins with. On the job's very first
    /// start in a log that has lost its beginning, the empty state is stored as a snapshot: it says
    /// that nothing before is part of the state, so that a restart before the first real snapshot
    /// is not taken for a loss.
    fn fresh(
        &self,
        partition: i32,
        plan: &Plan,
        at: Option<i64>,
        low: i64,
        log: &ControlLog,
    ) -> Result<J::Task, Trouble> {
        let mut task = match log.policy_at(plan.start) {
            Some(policy) => self.job.task_under(partition, policy).map_err(|reason| {
                Trouble::Stop(WorkerError::Topic(format!(
                    "partition {partition} of {} cannot be replayed: {} is no policy of this job: {reason}",
                    self.topic,
                    crate::processor::brief(policy)
                )))
            })?,
            None => self.job.task(partition),
        };
        let start = plan.start;
        if at.is_none()
            && low > 0
            && let Some(store) = &self.store
        {
            let mut container = SnapshotWriter::new(&self.header(partition, start, task.watermark_ms()));
            let envelope = Envelope {
                directives: 0,
                policy: &task.policy(),
            };
            envelope.write(container.state());
            task.freeze().write(container.state());
            store
                .begin(partition, start)
                .finish(container.finish())
                .map_err(|error| Trouble::Later(error.to_string()))?;
        }
        Ok(task)
    }
}
