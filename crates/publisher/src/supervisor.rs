//! Watches the sending threads: ledger, metrics, readiness, and when to stop.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millrace_telemetry::{Component, Shutdown};

use crate::lanes::{Lanes, first_failure};
use crate::ledger::Ledger;
use crate::{Entry, Metrics};

/// Time between two looks at the threads.
const TICK: Duration = Duration::from_millis(250);
/// Without any acknowledgement for so long while records wait for one, the service is not ready.
const STALL: Duration = Duration::from_secs(10);

/// How a run ended.
#[derive(Debug)]
pub struct Ended<E: Entry> {
    /// Its ledger, which is finished.
    pub ledger: Ledger<E>,
    /// What ended it before its time.
    pub failure: Option<anyhow::Error>,
}

/// A state of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// Records sent, without asides.
    pub sent: u64,
    /// Records acknowledged, without asides.
    pub acknowledged: u64,
    /// Records of unknown outcome, asides among them.
    pub failed: u64,
    /// Records in flight.
    pub queue: u64,
}

/// Watches the threads of a run.
#[derive(Debug)]
pub struct Supervisor<E: Entry> {
    deadline: Option<Instant>,
    ledger: Ledger<E>,
    metrics: Metrics,
    kafka_health: Component,
    sent: u64,
    last_acknowledgement: Instant,
}

impl<E: Entry> Supervisor<E> {
    /// One that takes what becomes of records into `ledger` and `metrics`, and says by
    /// `kafka_health` whether the brokers acknowledge. At `deadline` no more records are sent.
    #[must_use]
    pub fn new(
        ledger: Ledger<E>,
        metrics: Metrics,
        kafka_health: Component,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            deadline,
            ledger,
            metrics,
            kafka_health,
            sent: 0,
            last_acknowledgement: Instant::now(),
        }
    }

    /// Waits until every thread has ended, and finishes the ledger whatever happened. `seen` is
    /// told the state four times a second, and at the end. A trigger of `shutdown` bounds how long
    /// what is in flight is waited for.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn watch(
        mut self,
        mut lanes: Lanes<E>,
        shutdown: &Shutdown,
        mut seen: impl FnMut(State),
    ) -> anyhow::Result<Ended<E>> {
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
            seen(self.collect(&lanes));
            if let Err(error) = self.ledger.write_if_due() {
                failure = failure.or(Some(error.into()));
                lanes.stop.finish();
            }
        }
        let threads = std::mem::take(&mut lanes.threads);
        failure = failure.or(first_failure(threads));
        seen(self.collect(&lanes));
        self.ledger.finish()?;
        Ok(Ended {
            ledger: self.ledger,
            failure,
        })
    }

    /// Takes what the threads counted into metrics and ledger.
    fn collect(&mut self, lanes: &Lanes<E>) -> State {
        for counters in &lanes.counters {
            self.sent += self.metrics.add_counters(counters);
        }
        let (mut queue, mut acknowledged) = (0, 0);
        for deliveries in &lanes.deliveries {
            let tally = deliveries.take_tally();
            queue += deliveries.in_flight();
            acknowledged += tally.acknowledged;
            self.metrics.add_tally(&tally);
            self.ledger.add(&tally);
        }
        self.metrics.set_queue(queue);
        if acknowledged > 0 || queue == 0 {
            self.last_acknowledgement = Instant::now();
            self.kafka_health.ready();
        } else if self.last_acknowledgement.elapsed() > STALL {
            self.kafka_health
                .not_ready(format!("no acknowledgement for {} s", STALL.as_secs()));
        }
        let totals = self.ledger.totals();
        State {
            sent: self.sent,
            acknowledged: totals.acknowledged,
            failed: totals.failed + totals.failed_labels,
            queue: queue as u64,
        }
    }
}
