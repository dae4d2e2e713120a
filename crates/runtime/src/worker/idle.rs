//! What is due once in a while: idle partitions, lag, snapshots, gauges.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use millrace_kafka::clock::now_ms;

use super::core::Core;
use super::partitions::Confirmed;
use super::side::{Probed, Request};
use crate::Job;
use crate::failure::Failure;
use crate::snapshot_writer::SnapshotWriter;
use crate::status::WorkerState;

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

    /// Asks for the ends of the partitions: for the lag, and to confirm that a quiet one has
    /// nothing to read.
    fn probe(&mut self, idle_timeout: Duration) {
        let probes = self.partitions.probes(idle_timeout, Instant::now());
        if !probes.is_empty() {
            self.probing = true;
            self.side.ask(Request::Probe(probes));
        }
    }

    /// Takes the partitions' ends, advances those that are idle, and ends replays that have nothing
    /// left to read.
    ///
    /// The end that counts for an advance is the high watermark: below it and beyond the last
    /// stable offset, an open transaction hides records that have come already.
    pub(super) fn take_probed(&mut self, probed: &[Probed]) -> Result<(), Failure> {
        self.probing = false;
        for probed in probed {
            let partition = probed.probe.partition;
            let Some((lag, confirmed)) = self.partitions.take_probed(probed) else {
                continue;
            };
            self.metrics.set_consumer_lag(partition, lag);
            self.show_open_transaction(probed);
            if let Some(alignment) = &self.alignment {
                let next = probed.probe.next;
                alignment.ends(partition, next, if probed.at_end { next } else { probed.end });
            }
            match confirmed {
                Confirmed::Nothing => {}
                Confirmed::Idle => {
                    if probed.high.is_some_and(|high| high <= probed.end)
                        && let Some(at) = probed.written_until
                    {
                        self.advance(partition, at)?;
                    }
                }
                Confirmed::ReplayRead => {
                    let (partitions, mut effects) = self.effects();
                    partitions.end_replay(partition, &mut effects)?;
                }
            }
        }
        Ok(())
    }

    /// Shows for how long an open transaction has held a partition back.
    fn show_open_transaction(&mut self, probed: &Probed) {
        let Probed { probe, end, high, .. } = probed;
        let open = self.open_transactions.entry(probe.partition).or_default();
        let held_back = open.observe(*end, *high, Instant::now());
        self.metrics.set_open_transaction(probe.partition, held_back);
        if open.is_to_be_told(Duration::from_millis(self.config.worker.idle_timeout_ms)) {
            tracing::warn!(
                operator = self.metrics.operator,
                partition = probe.partition,
                offset = end,
                high_watermark = high,
                seconds = held_back.as_secs(),
                "an open transaction of a writer holds the partition back: what comes after its first record is not \
                 seen, and no window closes, before it ends"
            );
        }
    }

    /// Moves an idle partition's watermark as far as it may go, as an event of its order: the
    /// control record is in the transaction that commits the offset it belongs to.
    ///
    /// It has had nothing until `at`.
    fn advance(&mut self, number: i32, at: Instant) -> Result<(), Failure> {
        let idle_timeout = Duration::from_millis(self.config.worker.idle_timeout_ms);
        let highest = self.highest_watermark_ms.load(Ordering::Relaxed);
        let highest_ms = (highest != NO_WATERMARK).then_some(highest);
        let max_disorder_ms = self.config.max_disorder_ms;
        let Some(active) = self.partitions.active_of(number) else {
            return Ok(());
        };
        let quiet = active.quiet_until(at);
        if quiet < idle_timeout {
            return Ok(());
        }
        let Some(watermark_ms) = active.idle(quiet, max_disorder_ms, highest_ms).target_ms() else {
            return Ok(());
        };
        let (partitions, mut effects) = self.effects();
        partitions.advance(number, watermark_ms, &mut effects)?;
        self.metrics.idle_advances.inc();
        Ok(())
    }

    /// Says how many partitions there are and how many are not live yet.
    pub(super) fn show_assignment(&mut self) {
        let partitions = &self.partitions;
        self.open_transactions
            .retain(|number, _| partitions.iter().any(|partition| partition.number() == *number));
        let assigned = self.partitions.iter().count();
        let live = self.partitions.active().filter(|active| active.is_live());
        let state = WorkerState {
            joined: self.joined,
            assigned,
            restoring: assigned - live.count(),
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
        let advances_idle = self.job.advances_idle();
        for partition in self.partitions.iter_mut() {
            let number = partition.number();
            let Some(active) = partition.active_mut() else {
                continue;
            };
            let watermark_ms = active.watermark_ms();
            let is_idle = advances_idle && active.is_quiet(idle_timeout, at);
            let stall = active.stall(at, is_idle);
            self.metrics.set_watermark_stall(number, stall.as_secs_f64());
            if let Some(watermark_ms) = watermark_ms {
                let lag_ms = now_ms.saturating_sub(watermark_ms);
                self.metrics.set_watermark_lag(number, lag_ms as f64 / 1_000.0);
            }
            if let Some(done) = &done {
                for done in done.iter().filter(|done| done.partition == number) {
                    match done.size {
                        Some(bytes) => {
                            active.snapshots.stored(done.at, done.cost);
                            self.metrics.set_snapshot_size(number, bytes);
                        }
                        None => active.snapshots.failed(),
                    }
                }
                self.metrics
                    .set_snapshot_age(number, active.snapshots.age(at).as_secs_f64());
            }
        }
    }
}
