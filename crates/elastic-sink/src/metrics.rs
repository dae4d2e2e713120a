//! What the sink counts of Elasticsearch; the rest is in `millrace_sink::Metrics`.

use millrace_catalog::Service;
use millrace_telemetry::metrics::{
    DURATION_BUCKETS_S, MetricError, SIZE_BUCKETS_BYTES, counters, histogram, int_gauge,
};
use prometheus::{Histogram, IntCounterVec, IntGauge};

use crate::bulk::RetryReason;
use crate::stream::Stream;

/// The value of the label `operator`.
pub const OPERATOR: &str = Service::ElasticSink.name();

/// Every metric of bulk requests and documents.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Seconds from the start of a bulk request to its answer.
    pub bulk_duration: Histogram,
    /// Bytes of a bulk request.
    pub bulk_bytes: Histogram,
    /// The most bytes of a bulk request at present.
    pub bulk_limit: IntGauge,
    documents: IntCounterVec,
    not_compared: IntCounterVec,
    retries: IntCounterVec,
}

/// What became of a document; the label `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Written.
    Indexed,
    /// There already.
    Unchanged,
    /// There already, and known to have other content, of other topics.
    Differs,
    /// A transaction with other content than an earlier one of the same id, which stays.
    Repeated,
    /// Refused for good.
    DeadLettered,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Indexed => "indexed",
            Self::Unchanged => "unchanged",
            Self::Differs => "differs",
            Self::Repeated => "repeated",
            Self::DeadLettered => "dead_lettered",
        }
    }
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// A name is taken by another kind of metric.
    pub fn register() -> Result<Self, MetricError> {
        let metrics = Self {
            bulk_duration: histogram(
                "millrace_sink_bulk_duration_seconds",
                "Time from a bulk request to its answer.",
                &DURATION_BUCKETS_S,
            )?,
            bulk_bytes: histogram(
                "millrace_sink_bulk_bytes",
                "Bytes of a bulk request.",
                &SIZE_BUCKETS_BYTES,
            )?,
            bulk_limit: int_gauge(
                "millrace_sink_bulk_limit_bytes",
                "The most bytes of a bulk request: less than configured where the server does not get through more.",
            )?,
            documents: counters(
                "millrace_sink_documents_total",
                "Documents by index and by what became of them.",
                &["index", "outcome"],
            )?,
            not_compared: counters(
                "millrace_sink_not_compared_documents_total",
                "Documents that were there already and were not compared with what is stored, by index.",
                &["index"],
            )?,
            retries: counters(
                "millrace_sink_retries_total",
                "Bulk requests sent again, by reason.",
                &["reason"],
            )?,
        };
        metrics.start_series();
        Ok(metrics)
    }

    /// A rate needs its series from the start, not from the first event.
    fn start_series(&self) {
        for reason in RetryReason::ALL {
            self.retried(reason, 0);
        }
        for stream in Stream::ALL {
            self.not_compared(stream, 0);
            for outcome in [
                Outcome::Indexed,
                Outcome::Unchanged,
                Outcome::Differs,
                Outcome::DeadLettered,
            ] {
                self.document(stream, outcome, 0);
            }
        }
    }

    /// Counts documents. The label `index` is the name without prefix and month, of which there are
    /// a few.
    pub fn document(&self, stream: Stream, outcome: Outcome, count: u64) {
        self.documents
            .with_label_values(&[stream.index(), outcome.as_str()])
            .inc_by(count);
    }

    /// Counts documents that were there already, and nobody knows with which content.
    pub fn not_compared(&self, stream: Stream, count: u64) {
        self.not_compared
            .with_label_values(&[stream.index()])
            .inc_by(count);
    }

    /// Counts repetitions of a request.
    pub fn retried(&self, reason: RetryReason, count: u64) {
        self.retries.with_label_values(&[reason.as_str()]).inc_by(count);
    }
}
