//! What the sink counts of Cassandra; the rest is in `millrace_sink::Metrics`.

use millrace_telemetry::metrics::{DURATION_BUCKETS_S, MetricError, counters, histogram};
use prometheus::{Histogram, IntCounterVec};

use crate::tables;

/// Every metric of rows and requests.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Seconds of a request.
    pub(crate) duration: Histogram,
    rows: IntCounterVec,
    expired: IntCounterVec,
    failed: IntCounterVec,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// A name is taken by another kind of metric.
    pub fn register() -> Result<Self, MetricError> {
        let of_table = |name, help| counters(name, help, &["table"]);
        let metrics = Self {
            duration: histogram(
                "millrace_cassandra_request_duration_seconds",
                "Time of a request that writes a row.",
                &DURATION_BUCKETS_S,
            )?,
            rows: of_table(
                "millrace_cassandra_rows_total",
                "Rows written, repeats among them.",
            )?,
            expired: of_table(
                "millrace_cassandra_expired_rows_total",
                "Rows that were older than they are kept, and not written.",
            )?,
            failed: of_table(
                "millrace_cassandra_failed_requests_total",
                "Requests to write a row that did not succeed.",
            )?,
        };
        // A rate needs its series from the start, not from the first event.
        for table in tables::all() {
            for counter in [&metrics.rows, &metrics.expired, &metrics.failed] {
                counter.with_label_values(&[table.name]).inc_by(0);
            }
        }
        Ok(metrics)
    }

    pub(crate) fn written(&self, table: &str) {
        self.rows.with_label_values(&[table]).inc();
    }

    pub(crate) fn expired(&self, table: &str) {
        self.expired.with_label_values(&[table]).inc();
    }

    pub(crate) fn failed(&self, table: &str) {
        self.failed.with_label_values(&[table]).inc();
    }
}
