//! The gateway's metrics. Labels are streams, statuses and codes: all from fixed sets.

use millrace_publisher::Names;
use millrace_telemetry::metrics::{DURATION_BUCKETS_S, MetricError, counters, histograms, int_gauge};
use prometheus::{HistogramVec, IntCounterVec, IntGauge};

use crate::report::Report;

const SENDING: Names = Names {
    sent: "millrace_gateway_sent_total",
    bytes: "millrace_gateway_bytes_total",
    acknowledged: "millrace_gateway_acknowledged_total",
    failed: "millrace_gateway_failed_total",
    queue_full: "millrace_gateway_queue_full_total",
    queue: "millrace_gateway_queue_records",
    durations: "millrace_gateway_delivery_duration_seconds",
    asides: "none",
};

/// The gateway's metrics beside those of sending, registered.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// Those of sending.
    pub(crate) sending: millrace_publisher::Metrics,
    requests: IntCounterVec,
    durations: HistogramVec,
    items: IntCounterVec,
    refused: IntCounterVec,
    problems: IntCounterVec,
    /// Bytes of bodies that are read or waited with.
    pub(crate) in_flight_bytes: IntGauge,
    /// Requests whose outcome is remembered.
    pub(crate) idempotency_keys: IntGauge,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// A name is taken.
    pub(crate) fn register() -> Result<Self, MetricError> {
        Ok(Self {
            sending: millrace_publisher::Metrics::register(SENDING)?,
            requests: counters(
                "millrace_gateway_requests_total",
                "Requests to a stream, by HTTP status.",
                &["stream", "status"],
            )?,
            durations: histograms(
                "millrace_gateway_request_duration_seconds",
                "Time of a request to a stream, from its head to its answer.",
                &["stream"],
                &DURATION_BUCKETS_S,
            )?,
            items: counters(
                "millrace_gateway_items_total",
                "Items of requests by what became of them: accepted, refused, unacknowledged.",
                &["stream", "outcome"],
            )?,
            refused: counters(
                "millrace_gateway_refused_items_total",
                "Items that the contract refuses, by why.",
                &["stream", "code"],
            )?,
            problems: counters(
                "millrace_gateway_problems_total",
                "Requests that were refused whole, by why: rate_limit, bytes_in_flight and records_in_flight are back-pressure.",
                &["code"],
            )?,
            in_flight_bytes: int_gauge(
                "millrace_gateway_in_flight_bytes",
                "Bytes of the bodies that are read or waited with.",
            )?,
            idempotency_keys: int_gauge(
                "millrace_gateway_idempotency_keys",
                "Requests with an Idempotency-Key whose outcome is remembered.",
            )?,
        })
    }

    /// Counts a request and its time.
    pub(crate) fn request(&self, stream: &str, status: u16, seconds: f64) {
        let status = status.to_string();
        self.requests.with_label_values(&[stream, &status]).inc();
        self.durations.with_label_values(&[stream]).observe(seconds);
    }

    /// Counts a request that was refused whole.
    pub(crate) fn problem(&self, code: &str) {
        self.problems.with_label_values(&[code]).inc();
    }

    /// Counts a request's items.
    pub(crate) fn items(&self, report: &Report) {
        let stream = &*report.stream;
        for (outcome, count) in [
            ("accepted", report.accepted),
            ("refused", report.refused),
            ("unacknowledged", report.unacknowledged),
        ] {
            let counter = self.items.with_label_values(&[stream, outcome]);
            counter.inc_by(count as u64);
        }
        for error in report.errors.iter().filter(|error| !error.is_retriable()) {
            let counter = self.refused.with_label_values(&[stream, &*error.code]);
            counter.inc();
        }
    }
}
