//! What the sink counts.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_catalog::Service;
use millrace_telemetry::metrics::{
    DURATION_BUCKETS_S, MetricError, SIZE_BUCKETS_BYTES, counters, histogram, int_gauge, int_gauges,
};
use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use crate::bulk::{IndexFault, RetryReason};
use crate::stream::Stream;

/// The value of the label `operator`.
pub const OPERATOR: &str = Service::ElasticSink.name();

/// Every metric of the sink.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Records read.
    pub consumed: IntCounter,
    /// Their bytes.
    pub consumed_bytes: IntCounter,
    /// Bulk requests under way.
    pub in_flight: IntGauge,
    /// Seconds from the start of a bulk request to its answer.
    pub bulk_duration: Histogram,
    /// Bytes of a bulk request.
    pub bulk_bytes: Histogram,
    /// Partitions assigned.
    pub assigned: IntGauge,
    /// The most bytes of a bulk request at present.
    pub bulk_limit: IntGauge,
    /// What waits for its index.
    pub blocked: Blocked,
    documents: IntCounterVec,
    retries: IntCounterVec,
    /// Dead letters that were cut.
    pub truncated_copies: IntCounter,
    dead_letters: IntCounterVec,
    skipped: IntCounterVec,
    overtaken: IntCounterVec,
    lag: IntGaugeVec,
    unreadable: IntGaugeVec,
}

/// What became of a document; the label `outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Written.
    Indexed,
    /// There already.
    Unchanged,
    /// There already, and known to have other content.
    Differs,
    /// Refused for good.
    DeadLettered,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Indexed => "indexed",
            Self::Unchanged => "unchanged",
            Self::Differs => "differs",
            Self::DeadLettered => "dead_lettered",
        }
    }
}

/// Documents that wait because their index takes none.
#[derive(Debug, Clone)]
pub struct Blocked {
    /// Their bytes.
    pub bytes: IntGauge,
    /// Seconds that the index has been blocked which has been so for longest.
    pub age: IntGauge,
    /// Whether nothing is read because too much waits.
    pub full: IntGauge,
    documents: IntGaugeVec,
}

impl Blocked {
    fn register() -> Result<Self, MetricError> {
        let blocked = Self {
            bytes: int_gauge(
                "millrace_sink_blocked_bytes",
                "Bytes of the documents that wait because their index takes none.",
            )?,
            age: int_gauge(
                "millrace_sink_blocked_age_seconds",
                "Time since the first of the blocked indices took no document; 0 if none is.",
            )?,
            full: int_gauge(
                "millrace_sink_blocked_full",
                "1 while nothing is read because too many documents wait for their index.",
            )?,
            documents: int_gauges(
                "millrace_sink_blocked_documents",
                "Documents that wait because their index takes none, by index and reason.",
                &["index", "reason"],
            )?,
        };
        blocked.set_documents(&BTreeMap::new());
        Ok(blocked)
    }

    /// Sets how many documents wait, by stream and reason: a dozen reasons for each of three. All
    /// others are 0.
    pub fn set_documents(&self, counts: &BTreeMap<(Stream, IndexFault), usize>) {
        for stream in Stream::ALL {
            for fault in IndexFault::ALL {
                let count = counts.get(&(stream, fault)).copied().unwrap_or(0);
                self.documents
                    .with_label_values(&[stream.index(), fault.as_str()])
                    .set(count as i64);
            }
        }
    }
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// A name is taken by another kind of metric.
    pub fn register() -> Result<Self, MetricError> {
        let of_operator = |name, help| {
            counters(name, help, &["operator"]).map(|metric| metric.with_label_values(&[OPERATOR]))
        };
        let metrics = Self {
            consumed: of_operator("millrace_records_consumed_total", "Records read.")?,
            consumed_bytes: of_operator("millrace_bytes_consumed_total", "Bytes of keys and values read.")?,
            in_flight: int_gauge("millrace_sink_bulks_in_flight", "Bulk requests under way.")?,
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
            assigned: int_gauges(
                "millrace_assigned_partitions",
                "Partitions assigned.",
                &["operator"],
            )?
            .with_label_values(&[OPERATOR]),
            bulk_limit: int_gauge(
                "millrace_sink_bulk_limit_bytes",
                "The most bytes of a bulk request: less than configured where the server does not get through more.",
            )?,
            blocked: Blocked::register()?,
            documents: counters(
                "millrace_sink_documents_total",
                "Documents by index and by what became of them.",
                &["index", "outcome"],
            )?,
            retries: counters(
                "millrace_sink_retries_total",
                "Bulk requests sent again, by reason.",
                &["reason"],
            )?,
            truncated_copies: of_operator(
                "millrace_truncated_copies_total",
                "Dead letters that were cut to what their topic takes.",
            )?,
            dead_letters: counters(
                "millrace_dead_letters_total",
                "Records sent to a dead-letter topic.",
                &["operator", "code"],
            )?,
            skipped: counters(
                "millrace_skipped_records_total",
                "Bad records passed over, as another service dead-letters them.",
                &["operator", "code"],
            )?,
            overtaken: counters(
                "millrace_overtaken_offsets_total",
                "Offsets that retention deleted before they were read.",
                &["operator", "stream"],
            )?,
            lag: int_gauges(
                "millrace_consumer_lag_records",
                "Committed records in a partition that are not done.",
                &["operator", "partition"],
            )?,
            unreadable: int_gauges(
                "millrace_unreadable_seconds",
                "How long a partition could not be read: its next batch is corrupt, too large, or of an unknown codec.",
                &["operator", "partition"],
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
            self.overtaken(stream, 0);
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
    /// three.
    pub fn document(&self, stream: Stream, outcome: Outcome, count: u64) {
        self.documents
            .with_label_values(&[stream.index(), outcome.as_str()])
            .inc_by(count);
    }

    /// Counts repetitions of a request.
    pub fn retried(&self, reason: RetryReason, count: u64) {
        self.retries.with_label_values(&[reason.as_str()]).inc_by(count);
    }

    /// Counts a dead letter.
    pub fn dead_lettered(&self, code: &str) {
        self.dead_letters.with_label_values(&[OPERATOR, code]).inc();
    }

    /// Counts a record passed over.
    pub fn skipped(&self, code: &str) {
        self.skipped.with_label_values(&[OPERATOR, code]).inc();
    }

    /// Counts offsets that were deleted before they were read.
    pub fn overtaken(&self, stream: Stream, offsets: i64) {
        self.overtaken
            .with_label_values(&[OPERATOR, stream.index()])
            .inc_by(offsets.unsigned_abs());
    }

    /// Sets a partition's lag. The sink reads three topics, so that the label is topic and number.
    pub fn set_lag(&self, topic: &str, partition: i32, records: i64) {
        self.lag
            .with_label_values(&[OPERATOR, &format!("{topic}-{partition}")])
            .set(records);
    }

    /// Sets for how long a partition could not be read.
    pub fn set_unreadable(&self, topic: &str, partition: i32, time: Duration) {
        self.unreadable
            .with_label_values(&[OPERATOR, &format!("{topic}-{partition}")])
            .set(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
    }

    /// Forgets that a partition could not be read.
    pub fn forget_unreadable(&self, topic: &str, partition: i32) {
        // Not there if it was never set.
        let _ = self
            .unreadable
            .remove_label_values(&[OPERATOR, &format!("{topic}-{partition}")]);
    }

    /// Forgets the lag of a partition that is another's now.
    pub fn forget_lag(&self, topic: &str, partition: i32) {
        // Not there if it was never set.
        let _ = self
            .lag
            .remove_label_values(&[OPERATOR, &format!("{topic}-{partition}")]);
    }
}
