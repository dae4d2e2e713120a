//! What the lake counts; the rest is in `millrace_sink::Metrics`.

use millrace_telemetry::metrics::{DURATION_BUCKETS_S, MetricError, counters, histogram};
use prometheus::{Histogram, IntCounterVec};

use crate::tables;

/// Every metric of files and rows.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Seconds to make and publish a file.
    pub(crate) duration: Histogram,
    files: IntCounterVec,
    rows: IntCounterVec,
    bytes: IntCounterVec,
    covered: IntCounterVec,
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
                "millrace_lake_file_duration_seconds",
                "Time to make a file and put it into its place.",
                &DURATION_BUCKETS_S,
            )?,
            files: of_table("millrace_lake_files_total", "Files put into their places.")?,
            rows: of_table("millrace_lake_rows_total", "Rows of these files.")?,
            bytes: of_table("millrace_lake_bytes_total", "Bytes of these files.")?,
            covered: of_table(
                "millrace_lake_covered_records_total",
                "Records read again that a file has already: written before a stop, and not committed.",
            )?,
        };
        // A rate needs its series from the start, not from the first event.
        for table in tables::NAMES {
            metrics.published(table, 0, 0, 0);
            metrics.covered(table, 0);
        }
        Ok(metrics)
    }

    /// Counts files of a table.
    pub(crate) fn published(&self, table: &str, files: usize, rows: usize, bytes: usize) {
        self.files.with_label_values(&[table]).inc_by(files as u64);
        self.rows.with_label_values(&[table]).inc_by(rows as u64);
        self.bytes.with_label_values(&[table]).inc_by(bytes as u64);
    }

    /// Counts records that a file has already.
    pub(crate) fn covered(&self, table: &str, records: u64) {
        self.covered.with_label_values(&[table]).inc_by(records);
    }
}
