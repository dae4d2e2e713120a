//! What is due once in a while: idle partitions, lag, snapshots, gauges.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::commit::publish;
use super::core::{Core, finish_replay, task_failure};
use super::partition::active_of;
use super::side::{Probe, Probed, Request};
use crate::clock::now_ms;
use crate::control::ControlRecord;
use crate::idle::Idle;
use crate::outbox::LiveOutbox;
use crate::snapshot_writer::SnapshotWriter;
use crate::stall::Look;
use crate::status::WorkerState;
use crate::transaction::Failure;
use crate::{Job, Task};

/// The value of the shared highest watermark while none is known.
pub(crate) const NO_WATERMARK: i64 = i64::MIN;

impl<J: Job> Core<J> {
    /// Looks after everything that is not a record.
    pub(super) fn tick(&mut self) {
        self.take_due_snapshot();
        let now = Instant::now();
        if now < self.next_tick {
            return;
        }
        let idle_timeout = Duration::from_millis(self.config.worker.idle_timeout_ms);
        let interval = (idle_timeout / 4).clamp(Duration::from_millis(50), Duration::from_secs(1));
        self.next_tick = now + interval;
        self.show_assignment();
        self.show_partitions();
        if !self.probing {
            self.probe(idle_timeout);
        }
    }

    /// Asks for the ends of the partitions: for the lag, and to confirm that a quiet one has nothing to read.
    fn probe(&mut self, idle_timeout: Duration) {
        let advances = self.job.control_topic().is_some();
        let probe = |partition: &mut super::partition::Partition<J::Task>| {
            let active = partition.active.as_mut()?;
            let quiet = match &mut active.replay {
                Some(replay) => {
                    replay.records == std::mem::replace(&mut replay.records_at_tick, replay.records)
                }
                None => advances && active.last_record.elapsed() >= idle_timeout,
            };
            Some(Probe {
                partition: partition.number,
                epoch: partition.epoch,
                next: active.next,
                live: active.is_live(),
                quiet,
            })
        };
        let probes: Vec<Probe> = self.partitions.iter_mut().filter_map(probe).collect();
        if !probes.is_empty() {
            self.probing = true;
            self.side.ask(Request::Probe(probes));
        }
    }

    /// Takes the partitions' ends, advances those that are idle, and ends replays that have nothing left to read.
    ///
    /// The leader's end was looked up after the last record had been processed: if it is still at the position, the
    /// partition has had nothing new since that record, which is longer than the idle timeout ago.
    pub(super) fn take_probed(&mut self, probed: &[Probed]) -> Result<(), Failure> {
        self.probing = false;
        for Probed { probe, end, at_end } in probed {
            let same = |partition: &&mut super::partition::Partition<J::Task>| {
                partition.number == probe.partition && partition.epoch == probe.epoch
            };
            let Some(partition) = self.partitions.iter_mut().find(same) else {
                continue;
            };
            let Some(active) = partition.active.as_mut() else {
                continue;
            };
            let lag = if *at_end { 0 } else { end - active.next };
            active.lag = lag.max(0);
            self.metrics.set_consumer_lag(probe.partition, active.lag);
            let same = active.next == probe.next && active.is_live() == probe.live;
            if !(probe.quiet && *at_end && same) {
                continue;
            }
            if active.is_live() {
                self.advance(probe.partition)?;
            } else {
                // What is between here and the committed offset is markers of transactions.
                finish_replay(active, &self.metrics, probe.partition, partition.since)
                    .map_err(|reason| task_failure(self.job.input_topic(), probe.partition, reason))?;
            }
        }
        Ok(())
    }

    /// Moves an idle partition's watermark as far as it may go, as an event of its order: the control record is in the
    /// transaction that commits the offset it belongs to.
    fn advance(&mut self, number: i32) -> Result<(), Failure> {
        let Some(control) = self.job.control_topic() else {
            return Ok(());
        };
        let highest = self.highest_watermark_ms.load(Ordering::Relaxed);
        let Some((active, _)) = active_of(&mut self.partitions, number) else {
            return Ok(());
        };
        let idle = Idle {
            watermark_ms: active.task.watermark_ms(),
            max_event_time_ms: active.task.max_event_time_ms(),
            open_until_ms: active.task.open_until_ms(),
            idle_ms: i64::try_from(active.last_record.elapsed().as_millis()).unwrap_or(i64::MAX),
            max_disorder_ms: self.config.max_disorder_ms,
            highest_ms: (highest != NO_WATERMARK).then_some(highest),
        };
        let Some(watermark_ms) = idle.target_ms() else {
            return Ok(());
        };
        self.producer.begin()?;
        active.dirty = true;
        active.changed = true;
        let mut outbox = LiveOutbox {
            producer: &mut self.producer,
            state: &mut self.outbox,
            metrics: &self.metrics,
        };
        let advanced = active.task.advance(watermark_ms, &mut outbox);
        advanced.map_err(|reason| task_failure(self.job.input_topic(), number, reason))?;
        let offset = active.next;
        publish(
            &mut outbox,
            control,
            number,
            ControlRecord::Advance { offset, watermark_ms },
        );
        if let Some(failure) = self.outbox.take_failure() {
            return Err(failure);
        }
        let now = Instant::now();
        active.published = Some((watermark_ms, now));
        self.batch_started.get_or_insert(now);
        // What it closes is awaited, however old the last record is.
        self.newest_append_ms = -1;
        self.metrics.idle_advances.inc();
        Ok(())
    }

    /// Says how many partitions there are and how many are not live yet.
    pub(super) fn show_assignment(&self) {
        let live = |partition: &&super::partition::Partition<J::Task>| {
            partition
                .active
                .as_ref()
                .is_some_and(super::partition::Active::is_live)
        };
        let assigned = self.partitions.len();
        let state = WorkerState {
            joined: self.joined,
            assigned,
            restoring: assigned - self.partitions.iter().filter(live).count(),
        };
        self.status.set(self.thread, state);
        let all: usize = self.status.workers().iter().map(|worker| worker.assigned).sum();
        self.metrics
            .assigned_partitions
            .set(i64::try_from(all).unwrap_or(i64::MAX));
    }

    fn show_partitions(&mut self) {
        let done = self.snapshots.as_ref().map(SnapshotWriter::take_done);
        let now_ms = now_ms();
        let at = Instant::now();
        let idle_timeout = Duration::from_millis(self.config.worker.idle_timeout_ms);
        let advances_idle = self.job.control_topic().is_some();
        for partition in &mut self.partitions {
            let Some(active) = partition.active.as_mut() else {
                continue;
            };
            let watermark_ms = active.task.watermark_ms();
            let stall = active.stall.observe(&Look {
                at,
                watermark_ms,
                next: active.next,
                has_lag: active.lag > 0,
                is_idle: advances_idle && active.last_record.elapsed() >= idle_timeout,
            });
            self.metrics
                .set_watermark_stall(partition.number, stall.as_secs_f64());
            if let Some(watermark_ms) = watermark_ms {
                let lag_ms = now_ms.saturating_sub(watermark_ms);
                self.metrics
                    .set_watermark_lag(partition.number, lag_ms as f64 / 1_000.0);
            }
            if let Some(done) = &done {
                for done in done.iter().filter(|done| done.partition == partition.number) {
                    match done.size {
                        Some(bytes) => {
                            active.snapshot_stored = done.at;
                            active.snapshot_cost = done.cost;
                            self.metrics.set_snapshot_size(partition.number, bytes);
                        }
                        // What was to be stored is still to be stored.
                        None => active.changed = true,
                    }
                }
                self.metrics
                    .set_snapshot_age(partition.number, active.snapshot_stored.elapsed().as_secs_f64());
            }
        }
    }
}
