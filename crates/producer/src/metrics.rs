//! The producer's metrics.

use std::sync::atomic::Ordering;

use millrace_telemetry::metrics::{DURATION_BUCKETS_S, MetricError, counter, counters, histogram, int_gauge};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use crate::ledger::Tally;
use crate::sender::Counters;

/// The producer's metrics, registered.
#[derive(Debug, Clone)]
pub struct Metrics {
    sent: IntCounter,
    bytes: IntCounter,
    acknowledged: IntCounter,
    failed: IntCounterVec,
    queue_full: IntCounter,
    rejected: IntCounter,
    /// Records in flight.
    pub queue: IntGauge,
    /// Time from sending to acknowledgement, of a sample.
    pub durations: Histogram,
    /// The configured rate; 0 is as fast as it goes.
    pub target_rate: IntGauge,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// A name is taken.
    pub fn register() -> Result<Self, MetricError> {
        Ok(Self {
            sent: counter(
                "millrace_producer_sent_total",
                "Records given to the client library.",
            )?,
            bytes: counter(
                "millrace_producer_bytes_total",
                "Bytes of the keys and values of sent records.",
            )?,
            acknowledged: counter(
                "millrace_producer_acknowledged_total",
                "Records that every in-sync replica has.",
            )?,
            failed: counters(
                "millrace_producer_failed_total",
                "Records of unknown outcome, labels among them.",
                &["code"],
            )?,
            queue_full: counter(
                "millrace_producer_queue_full_total",
                "How often a full queue was waited for: back-pressure.",
            )?,
            rejected: counter(
                "millrace_producer_rejected_rows_total",
                "Rows of a replayed file that are no transaction.",
            )?,
            queue: int_gauge(
                "millrace_producer_queue_records",
                "Records sent and not acknowledged yet.",
            )?,
            durations: histogram(
                "millrace_producer_delivery_duration_seconds",
                "Time from sending to acknowledgement, of one record in 64.",
                &DURATION_BUCKETS_S,
            )?,
            target_rate: int_gauge(
                "millrace_producer_target_rate_per_second",
                "The configured rate; 0 is as fast as it goes.",
            )?,
        })
    }

    /// Adds what a thread sent since the last call, and gives the number of records.
    pub fn add_counters(&self, thread: &Counters) -> u64 {
        let sent = thread.sent.swap(0, Ordering::Relaxed);
        self.sent.inc_by(sent);
        self.bytes.inc_by(thread.bytes.swap(0, Ordering::Relaxed));
        self.queue_full
            .inc_by(thread.queue_full.swap(0, Ordering::Relaxed));
        sent
    }

    /// Adds what became of records. The codes are librdkafka's, a bounded set.
    pub fn add_tally(&self, tally: &Tally) {
        self.acknowledged.inc_by(tally.acknowledged);
        for (code, &count) in &tally.failures {
            self.failed.with_label_values(&[code.as_str()]).inc_by(count);
        }
    }

    /// Adds rejected rows.
    pub fn add_rejected(&self, count: u64) {
        self.rejected.inc_by(count);
    }
}
