//! What every publisher counts.

use std::sync::atomic::Ordering;

use millrace_telemetry::metrics::{DURATION_BUCKETS_S, MetricError, counter, counters, histogram, int_gauge};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use crate::Entry;
use crate::ledger::Tally;
use crate::sender::Counters;

/// How the metrics of a service are named, each in full, so that a search finds them.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// Records given to the client library.
    pub sent: &'static str,
    /// Their bytes.
    pub bytes: &'static str,
    /// Records acknowledged.
    pub acknowledged: &'static str,
    /// Records of unknown outcome, by code.
    pub failed: &'static str,
    /// How often a full queue was waited for.
    pub queue_full: &'static str,
    /// Records in flight.
    pub queue: &'static str,
    /// Time from sending to acknowledgement.
    pub durations: &'static str,
    /// What asides are, as `labels`.
    pub asides: &'static str,
}

/// The metrics of sending, registered.
#[derive(Debug, Clone)]
pub struct Metrics {
    sent: IntCounter,
    bytes: IntCounter,
    acknowledged: IntCounter,
    failed: IntCounterVec,
    queue_full: IntCounter,
    queue: IntGauge,
    durations: Histogram,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// A name is taken.
    pub fn register(names: Names) -> Result<Self, MetricError> {
        Ok(Self {
            sent: counter(names.sent, "Records given to the client library.")?,
            bytes: counter(names.bytes, "Bytes of the keys and values of sent records.")?,
            acknowledged: counter(names.acknowledged, "Records that every in-sync replica has.")?,
            failed: counters(
                names.failed,
                &format!("Records of unknown outcome, {} among them.", names.asides),
                &["code"],
            )?,
            queue_full: counter(
                names.queue_full,
                "How often a full queue was waited for: back-pressure.",
            )?,
            queue: int_gauge(names.queue, "Records sent and not acknowledged yet.")?,
            durations: histogram(
                names.durations,
                "Time from sending to acknowledgement, of one record in 64.",
                &DURATION_BUCKETS_S,
            )?,
        })
    }

    /// Takes the time from sending to acknowledgement in seconds.
    #[must_use]
    pub fn durations(&self) -> Histogram {
        self.durations.clone()
    }

    /// Adds what a thread sent since the last call, and gives the number of records.
    pub(crate) fn add_counters(&self, thread: &Counters) -> u64 {
        let sent = thread.sent.swap(0, Ordering::Relaxed);
        self.sent.inc_by(sent);
        self.bytes.inc_by(thread.bytes.swap(0, Ordering::Relaxed));
        self.queue_full
            .inc_by(thread.queue_full.swap(0, Ordering::Relaxed));
        sent
    }

    /// Adds what became of records. The codes are librdkafka's, a bounded set.
    pub(crate) fn add_tally<E: Entry>(&self, tally: &Tally<E>) {
        self.acknowledged.inc_by(tally.acknowledged);
        for (code, &count) in &tally.failures {
            self.failed.with_label_values(&[code.as_str()]).inc_by(count);
        }
    }

    /// Sets how many records are in flight.
    pub(crate) fn set_queue(&self, records: usize) {
        self.queue.set(records as i64);
    }
}
