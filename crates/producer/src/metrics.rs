//! The producer's metrics.

use millrace_publisher::Names;
use millrace_telemetry::metrics::{MetricError, counter, int_gauge};
use prometheus::{IntCounter, IntGauge};

const SENDING: Names = Names {
    sent: "millrace_producer_sent_total",
    bytes: "millrace_producer_bytes_total",
    acknowledged: "millrace_producer_acknowledged_total",
    failed: "millrace_producer_failed_total",
    queue_full: "millrace_producer_queue_full_total",
    queue: "millrace_producer_queue_records",
    durations: "millrace_producer_delivery_duration_seconds",
    asides: "labels",
};

/// The producer's metrics beside those of sending, registered.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Those of sending.
    pub sending: millrace_publisher::Metrics,
    /// Rows of a replayed file that are no transaction.
    pub rejected: IntCounter,
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
            sending: millrace_publisher::Metrics::register(SENDING)?,
            rejected: counter(
                "millrace_producer_rejected_rows_total",
                "Rows of a replayed file that are no transaction.",
            )?,
            target_rate: int_gauge(
                "millrace_producer_target_rate_per_second",
                "The configured rate; 0 is as fast as it goes.",
            )?,
        })
    }
}
