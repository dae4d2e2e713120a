//! What every sink counts.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_telemetry::metrics::{MetricError, counters, int_gauge, int_gauges};
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use crate::spec::Names;

/// Every metric of the loop.
#[derive(Debug, Clone)]
pub struct Metrics {
    operator: &'static str,
    /// Records read.
    pub(crate) consumed: IntCounter,
    /// Their bytes.
    pub(crate) consumed_bytes: IntCounter,
    /// Batches being written.
    pub(crate) in_flight: IntGauge,
    /// Partitions assigned.
    pub(crate) assigned: IntGauge,
    /// What waits for its target.
    pub(crate) blocked: Blocked,
    /// Dead letters that were cut.
    pub(crate) truncated_copies: IntCounter,
    dead_letters: IntCounterVec,
    skipped: IntCounterVec,
    overtaken: IntCounterVec,
    new_logs: IntCounterVec,
    lag: IntGaugeVec,
    unreadable: IntGaugeVec,
}

/// Items that wait because their target takes none.
#[derive(Debug, Clone)]
pub(crate) struct Blocked {
    /// Their bytes.
    pub(crate) bytes: IntGauge,
    /// Seconds that the target has been blocked which has been so for longest.
    pub(crate) age: IntGauge,
    /// Whether nothing is read because too much waits.
    pub(crate) full: IntGauge,
    items: IntGaugeVec,
    names: Names,
}

impl Blocked {
    fn register(names: Names) -> Result<Self, MetricError> {
        let Names {
            items,
            target,
            targets,
            ..
        } = names;
        let blocked = Self {
            bytes: int_gauge(
                "millrace_sink_blocked_bytes",
                &format!("Bytes of the {items} that wait because their {target} takes none."),
            )?,
            age: int_gauge(
                "millrace_sink_blocked_age_seconds",
                &format!("Time since the first of the blocked {targets} took nothing; 0 if none is."),
            )?,
            full: int_gauge(
                "millrace_sink_blocked_full",
                &format!("1 while nothing is read because too many {items} wait for their {target}."),
            )?,
            items: int_gauges(
                "millrace_sink_blocked_documents",
                &format!("Documents that wait because their {target} takes none, by {target} and reason."),
                &[target, "reason"],
            )?,
            names,
        };
        blocked.set_items(&BTreeMap::new());
        Ok(blocked)
    }

    /// Sets how many items wait, by the labels of target and reason. All others are 0.
    pub(crate) fn set_items(&self, counts: &BTreeMap<(&'static str, &'static str), usize>) {
        for &target in self.names.target_labels {
            for &reason in self.names.reasons {
                let count = counts.get(&(target, reason)).copied().unwrap_or(0);
                self.items.with_label_values(&[target, reason]).set(count as i64);
            }
        }
    }
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// A name is taken by another kind of metric.
    pub fn register(names: Names) -> Result<Self, MetricError> {
        let operator = names.service;
        let of_operator = |name, help| {
            counters(name, help, &["operator"]).map(|metric| metric.with_label_values(&[operator]))
        };
        let metrics = Self {
            operator,
            consumed: of_operator("millrace_records_consumed_total", "Records read.")?,
            consumed_bytes: of_operator("millrace_bytes_consumed_total", "Bytes of keys and values read.")?,
            in_flight: int_gauge("millrace_sink_bulks_in_flight", "Bulk requests under way.")?,
            assigned: int_gauges(
                "millrace_assigned_partitions",
                "Partitions assigned.",
                &["operator"],
            )?
            .with_label_values(&[operator]),
            blocked: Blocked::register(names)?,
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
            new_logs: counters(
                "millrace_new_logs_total",
                "Partitions of which another log was read: their topic was made anew under the sink.",
                &["operator", "stream"],
            )?,
            lag: int_gauges(
                "millrace_consumer_lag_records",
                "Committed records in a partition that are not done.",
                &["operator", "partition"],
            )?,
            unreadable: int_gauges(
                "millrace_unreadable_seconds",
                "How long a partition could not be read: its next batch is corrupt, too large, or of an unknown codec, or the \
                 brokers refuse it.",
                &["operator", "partition"],
            )?,
        };
        // A rate needs its series from the start, not from the first event.
        for &source in names.source_labels {
            metrics.overtaken(source, 0);
            metrics.new_logs(source, 0);
        }
        Ok(metrics)
    }

    /// Counts a dead letter.
    pub(crate) fn dead_lettered(&self, code: &str) {
        self.dead_letters.with_label_values(&[self.operator, code]).inc();
    }

    /// Counts a record passed over.
    pub(crate) fn skipped(&self, code: &str) {
        self.skipped.with_label_values(&[self.operator, code]).inc();
    }

    /// Counts offsets of a source, by its label, that were deleted before they were read.
    pub(crate) fn overtaken(&self, source: &str, offsets: i64) {
        self.overtaken
            .with_label_values(&[self.operator, source])
            .inc_by(offsets.unsigned_abs());
    }

    /// Counts partitions of a source, by its label, of which another log is read.
    pub(crate) fn new_logs(&self, source: &str, partitions: u64) {
        self.new_logs
            .with_label_values(&[self.operator, source])
            .inc_by(partitions);
    }

    /// Sets a partition's lag. A sink may read many topics, so that the label is topic and number.
    pub(crate) fn set_lag(&self, topic: &str, partition: i32, records: i64) {
        self.lag
            .with_label_values(&[self.operator, &label(topic, Some(partition))])
            .set(records);
    }

    /// Sets for how long a partition could not be read; without one, a topic.
    pub(crate) fn set_unreadable(&self, topic: &str, partition: Option<i32>, time: Duration) {
        self.unreadable
            .with_label_values(&[self.operator, &label(topic, partition)])
            .set(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
    }

    /// Forgets that a partition could not be read.
    pub(crate) fn forget_unreadable(&self, topic: &str, partition: Option<i32>) {
        // Not there if it was never set.
        let _ = self
            .unreadable
            .remove_label_values(&[self.operator, &label(topic, partition)]);
    }

    /// Forgets the lag of a partition that is another's now.
    pub(crate) fn forget_lag(&self, topic: &str, partition: i32) {
        // Not there if it was never set.
        let _ = self
            .lag
            .remove_label_values(&[self.operator, &label(topic, Some(partition))]);
    }
}

fn label(topic: &str, partition: Option<i32>) -> String {
    partition.map_or_else(|| topic.to_owned(), |number| format!("{topic}-{number}"))
}
