//! Watches the sending threads: ledger, metrics, progress, and when to stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millrace_telemetry::{Component, Shutdown};

use crate::lanes::{Lanes, first_failure};
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::progress::{Progress, Snapshot};
use crate::replay::ReplayCounts;

/// Time between two looks at the threads.
const TICK: Duration = Duration::from_millis(250);
/// Without any acknowledgement for so long while records wait for one, the producer is not ready.
const STALL: Duration = Duration::from_secs(10);

/// How a run ended.
pub(crate) struct Outcome {
    pub(crate) ledger: Ledger,
    /// What ended it before its time.
    pub(crate) failure: Option<anyhow::Error>,
}

pub(crate) struct Supervisor {
    pub(crate) deadline: Option<Instant>,
    pub(crate) progress: Progress,
    pub(crate) ledger: Ledger,
    pub(crate) metrics: Metrics,
    pub(crate) counts: Arc<ReplayCounts>,
    pub(crate) rejected: u64,
    pub(crate) sent: u64,
    pub(crate) kafka_health: Component,
    pub(crate) last_acknowledgement: Instant,
}

impl Supervisor {
    /// Waits until every thread has ended, and finishes the ledger whatever happened.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub(crate) async fn watch(mut self, mut lanes: Lanes, shutdown: &Shutdown) -> anyhow::Result<Outcome> {
        let mut failure = None;
        while lanes.threads.iter().any(|thread| !thread.is_finished()) {
            if shutdown.is_triggered() {
                lanes.stop.hurry();
                tokio::time::sleep(TICK).await;
            } else {
                tokio::select! {
                    () = tokio::time::sleep(TICK) => {}
                    () = shutdown.wait() => continue,
                }
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                lanes.stop.finish();
            }
            let (ended, going): (Vec<_>, Vec<_>) =
                lanes.threads.into_iter().partition(JoinHandle::is_finished);
            lanes.threads = going;
            failure = failure.or(first_failure(ended));
            if failure.is_some() {
                lanes.stop.finish();
            }
            let written = self
                .collect(&lanes)
                .and_then(|()| Ok(self.ledger.write_if_due()?));
            if let Err(error) = written {
                failure = failure.or(Some(error));
                lanes.stop.finish();
            }
        }
        let threads = std::mem::take(&mut lanes.threads);
        failure = failure.or(first_failure(threads));
        self.collect(&lanes)?;
        self.progress.finish();
        self.ledger.finish()?;
        Ok(Outcome {
            ledger: self.ledger,
            failure,
        })
    }

    /// Takes what the threads counted into metrics, ledger and progress.
    fn collect(&mut self, lanes: &Lanes) -> anyhow::Result<()> {
        for counters in &lanes.counters {
            self.sent += self.metrics.add_counters(counters);
        }
        let rejected = self.counts.rejected.load(Ordering::Relaxed);
        self.metrics.add_rejected(rejected - self.rejected);
        self.rejected = rejected;
        let (mut queue, mut acknowledged) = (0, 0);
        for deliveries in &lanes.deliveries {
            let tally = deliveries.take_tally();
            queue += deliveries.in_flight();
            acknowledged += tally.acknowledged;
            self.metrics.add_tally(&tally);
            self.ledger.add(&tally);
        }
        self.metrics.queue.set(queue as i64);
        if acknowledged > 0 || queue == 0 {
            self.last_acknowledgement = Instant::now();
            self.kafka_health.ready();
        } else if self.last_acknowledgement.elapsed() > STALL {
            self.kafka_health
                .not_ready(format!("no acknowledgement for {} s", STALL.as_secs()));
        }
        let totals = self.ledger.totals();
        self.progress.show(Snapshot {
            sent: self.sent,
            acknowledged: totals.acknowledged,
            failed: totals.failed + totals.failed_labels,
            rejected,
            queue: queue as u64,
        });
        Ok(())
    }
}
