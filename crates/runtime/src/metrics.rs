//! The workers' metrics, in prometheus' default registry.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use millrace_kafka::placement::Reason;
use millrace_kafka::transaction::TransactionMetrics;
use prometheus::{
    Error, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, default_registry,
};

use crate::{InputRecord, WorkerError};

/// Bucket bounds of a duration in seconds.
const DURATIONS_S: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
];

/// Declares every metric of the workers, by all its labels, and how they are registered.
macro_rules! families {
    ($($field:ident: $kind:ident as $type:ty, $name:literal, $labels:expr, $help:literal;)+) => {
        struct Families {
            $($field: $type),+
        }

        impl Families {
            fn register() -> Result<Self, Error> {
                Ok(Self {
                    $($field: $kind($name, $help, &$labels)?),+
                })
            }
        }
    };
}

families! {
    records_consumed: counter as IntCounterVec, "millrace_records_consumed_total", ["operator"], "Input records processed, without those of a replay.";
    bytes_consumed: counter as IntCounterVec, "millrace_bytes_consumed_total", ["operator"], "Bytes of keys and values of the input records processed.";
    records_produced: counter as IntCounterVec, "millrace_records_produced_total", ["operator", "topic"], "Records sent, by topic.";
    dead_letters: counter as IntCounterVec, "millrace_dead_letters_total", ["operator", "code"], "Records sent to a dead-letter topic, by reason.";
    truncated_copies: counter as IntCounterVec, "millrace_truncated_copies_total", ["operator"], "Dead letters and late records that were cut to what their topic takes.";
    late_records: counter as IntCounterVec, "millrace_late_records_total", ["operator"], "Records that came after their window had closed.";
    duplicate_records: counter as IntCounterVec, "millrace_duplicate_records_total", ["operator"], "Records whose transaction id was seen before.";
    create_time_records: counter as IntCounterVec, "millrace_create_time_records_total", ["operator"], "Records of the source that their producer has stamped, not the broker: nothing bounds their event times.";
    misplaced_records: counter as IntCounterVec, "millrace_misplaced_records_total", ["operator", "reason"], "Records that lie in another partition than murmur2 of their userId puts them, by what their key tells.";
    watermark_lag: gauge as GaugeVec, "millrace_watermark_lag_seconds", ["operator", "partition"], "How far the watermark is behind the clock.";
    watermark_stall: gauge as GaugeVec, "millrace_watermark_stall_seconds", ["operator", "partition"], "How long the watermark has not moved although records came or are there to be read.";
    unreadable: gauge as GaugeVec, "millrace_unreadable_seconds", ["operator", "partition"], "How long a partition could not be read: its next batch is corrupt, too large, or of an unknown codec.";
    open_transaction: gauge as GaugeVec, "millrace_open_transaction_seconds", ["operator", "partition"], "How long an open transaction of a writer has hidden what comes after its first record; 0 without one.";
    consumer_lag: int_gauge as IntGaugeVec, "millrace_consumer_lag_records", ["operator", "partition"], "Records between the position and the log's end.";
    processing_duration: histogram as HistogramVec, "millrace_processing_duration_seconds", ["operator"], "Time spent on the records of one batch.";
    commit_duration: histogram as HistogramVec, "millrace_transaction_commit_duration_seconds", ["operator"], "Time from the last record of a batch to its commit.";
    committed: counter as IntCounterVec, "millrace_transactions_committed_total", ["operator"], "Transactions committed.";
    aborted: counter as IntCounterVec, "millrace_transactions_aborted_total", ["operator"], "Transactions aborted; their input is processed again.";
    assigned_partitions: int_gauge as IntGaugeVec, "millrace_assigned_partitions", ["operator"], "Partitions of the input that this process has.";
    unowned_partitions: int_gauge as IntGaugeVec, "millrace_unowned_partitions", ["operator"], "Partitions of the input that no member of the whole group owned at the last two looks.";
    idle_advances: counter as IntCounterVec, "millrace_idle_advances_total", ["operator"], "Advances of idle partitions' watermarks.";
    partition_waits: counter as IntCounterVec, "millrace_partition_waits_total", ["operator"], "Times that a partition waited because its event time was ahead of the others'.";
    queue_full: counter as IntCounterVec, "millrace_producer_queue_full_total", ["operator"], "Times that an output waited for room in the producer's queue.";
    snapshot_age: gauge as GaugeVec, "millrace_snapshot_age_seconds", ["operator", "partition"], "Time since the last snapshot was stored.";
    snapshot_size: int_gauge as IntGaugeVec, "millrace_snapshot_size_bytes", ["operator", "partition"], "Size of the last snapshot.";
    snapshot_pause: histogram as HistogramVec, "millrace_snapshot_pause_seconds", ["operator"], "Time that records wait while a state is frozen for a snapshot.";
    snapshot_failures: counter as IntCounterVec, "millrace_snapshot_failures_total", ["operator", "reason"], "Snapshots that could not be stored, or were refused at a restore, by reason.";
    restore_duration: histogram as HistogramVec, "millrace_restore_duration_seconds", ["operator"], "Time from a partition's assignment to the end of its replay.";
    restored_records: counter as IntCounterVec, "millrace_restored_records_total", ["operator"], "Input records replayed at a restore.";
    lost_positions: counter as IntCounterVec, "millrace_lost_positions_total", ["operator"], "Restores that found what they need deleted by retention, or the group's offset against what the job has committed.";
    recovered_positions: counter as IntCounterVec, "millrace_recovered_positions_total", ["operator"], "Restores that found no committed offset, and went on where the job had proven to be.";
}

fn counter(name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
    let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
    default_registry().register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn int_gauge(name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
    let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
    default_registry().register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauge(name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, Error> {
    let metric = GaugeVec::new(Opts::new(name, help), labels)?;
    default_registry().register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn histogram(name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, Error> {
    let options = HistogramOpts::new(name, help).buckets(DURATIONS_S.to_vec());
    let metric = HistogramVec::new(options, labels)?;
    default_registry().register(Box::new(metric.clone()))?;
    Ok(metric)
}

impl Families {
    fn get() -> Result<&'static Self, WorkerError> {
        static FAMILIES: OnceLock<Result<Families, String>> = OnceLock::new();
        FAMILIES
            .get_or_init(|| Self::register().map_err(|error| error.to_string()))
            .as_ref()
            .map_err(|reason| WorkerError::Metrics(reason.clone()))
    }
}

/// One job's metrics. Those that only a task can count are public; a task counts nothing while
/// [`crate::Outbox::is_replay`].
#[derive(Debug, Clone)]
pub struct JobMetrics {
    /// Records that came after their window had closed.
    pub late_records: IntCounter,
    /// Records whose transaction id was seen before.
    pub duplicate_records: IntCounter,
    create_time_records: IntCounter,
    is_create_time_told: Arc<AtomicBool>,
    pub(crate) operator: String,
    pub(crate) transaction: TransactionMetrics,
    pub(crate) records_consumed: IntCounter,
    pub(crate) bytes_consumed: IntCounter,
    pub(crate) processing_duration: Histogram,
    pub(crate) commit_duration: Histogram,
    pub(crate) committed: IntCounter,
    pub(crate) aborted: IntCounter,
    pub(crate) assigned_partitions: IntGauge,
    pub(crate) unowned_partitions: IntGauge,
    pub(crate) idle_advances: IntCounter,
    pub(crate) partition_waits: IntCounter,
    pub(crate) snapshot_pause: Histogram,
    pub(crate) restore_duration: Histogram,
    pub(crate) restored_records: IntCounter,
    pub(crate) lost_positions: IntCounter,
    pub(crate) recovered_positions: IntCounter,
    misplaced_records: [IntCounter; Reason::ALL.len()],
    records_produced: IntCounterVec,
    dead_letters: IntCounterVec,
    snapshot_failures: IntCounterVec,
    watermark_lag: GaugeVec,
    watermark_stall: GaugeVec,
    open_transaction: GaugeVec,
    unreadable: GaugeVec,
    consumer_lag: IntGaugeVec,
    snapshot_age: GaugeVec,
    snapshot_size: IntGaugeVec,
}

impl JobMetrics {
    /// The metrics of the job named `job`, registered at the first call.
    ///
    /// # Errors
    /// One of the names is registered by something else.
    pub fn of(job: &str) -> Result<Self, WorkerError> {
        let families = Families::get()?;
        let operator = &[job];
        Ok(Self {
            late_records: families.late_records.with_label_values(operator),
            duplicate_records: families.duplicate_records.with_label_values(operator),
            create_time_records: families.create_time_records.with_label_values(operator),
            is_create_time_told: Arc::default(),
            operator: job.to_owned(),
            transaction: TransactionMetrics {
                queue_full: families.queue_full.with_label_values(operator),
                truncated_copies: families.truncated_copies.with_label_values(operator),
            },
            records_consumed: families.records_consumed.with_label_values(operator),
            bytes_consumed: families.bytes_consumed.with_label_values(operator),
            processing_duration: families.processing_duration.with_label_values(operator),
            commit_duration: families.commit_duration.with_label_values(operator),
            committed: families.committed.with_label_values(operator),
            aborted: families.aborted.with_label_values(operator),
            assigned_partitions: families.assigned_partitions.with_label_values(operator),
            unowned_partitions: families.unowned_partitions.with_label_values(operator),
            idle_advances: families.idle_advances.with_label_values(operator),
            partition_waits: families.partition_waits.with_label_values(operator),
            snapshot_pause: families.snapshot_pause.with_label_values(operator),
            restore_duration: families.restore_duration.with_label_values(operator),
            restored_records: families.restored_records.with_label_values(operator),
            lost_positions: families.lost_positions.with_label_values(operator),
            recovered_positions: families.recovered_positions.with_label_values(operator),
            // All of them from the start: what grows from 0 has a rate.
            misplaced_records: Reason::ALL.map(|reason| {
                families
                    .misplaced_records
                    .with_label_values(&[job, reason.as_str()])
            }),
            records_produced: families.records_produced.clone(),
            dead_letters: families.dead_letters.clone(),
            snapshot_failures: families.snapshot_failures.clone(),
            watermark_lag: families.watermark_lag.clone(),
            watermark_stall: families.watermark_stall.clone(),
            open_transaction: families.open_transaction.clone(),
            unreadable: families.unreadable.clone(),
            consumer_lag: families.consumer_lag.clone(),
            snapshot_age: families.snapshot_age.clone(),
            snapshot_size: families.snapshot_size.clone(),
        })
    }

    /// Counts a record of the source that has no append time, and has the first one told.
    #[cold]
    pub fn create_time(&self, record: &InputRecord<'_>) {
        self.create_time_records.inc();
        if !self.is_create_time_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                operator = self.operator,
                topic = record.topic,
                partition = record.partition,
                offset = record.offset,
                "a record has its producer's time (CreateTime) in place of the broker's: nothing bounds its event time, and \
                 one wrong clock makes what comes after it late. Set message.timestamp.type of the topic to LogAppendTime, \
                 as `millrace init` does"
            );
        }
    }

    pub(crate) fn produced(&self, topic: &str, count: u64) {
        self.records_produced
            .with_label_values(&[&self.operator, topic])
            .inc_by(count);
    }

    pub(crate) fn misplaced(&self, reason: Reason) {
        self.misplaced_records[reason as usize].inc();
    }

    pub(crate) fn dead_letter(&self, code: &str) {
        self.dead_letters
            .with_label_values(&[self.operator.as_str(), code])
            .inc();
    }

    pub(crate) fn snapshot_failed(&self, reason: &str) {
        self.snapshot_failures
            .with_label_values(&[self.operator.as_str(), reason])
            .inc();
    }

    pub(crate) fn set_consumer_lag(&self, partition: i32, records: i64) {
        self.consumer_lag
            .with_label_values(&[&self.operator, &partition.to_string()])
            .set(records);
    }

    pub(crate) fn set_watermark_lag(&self, partition: i32, seconds: f64) {
        self.watermark_lag
            .with_label_values(&[&self.operator, &partition.to_string()])
            .set(seconds);
    }

    pub(crate) fn set_watermark_stall(&self, partition: i32, seconds: f64) {
        self.watermark_stall
            .with_label_values(&[&self.operator, &partition.to_string()])
            .set(seconds);
    }

    pub(crate) fn set_unreadable(&self, partition: i32, seconds: f64) {
        self.unreadable
            .with_label_values(&[&self.operator, &partition.to_string()])
            .set(seconds);
    }

    pub(crate) fn forget_unreadable(&self, partition: i32) {
        let labels = [self.operator.clone(), partition.to_string()];
        let _ = self.unreadable.remove_label_values(&labels);
    }

    pub(crate) fn set_open_transaction(&self, partition: i32, duration: Duration) {
        self.open_transaction
            .with_label_values(&[&self.operator, &partition.to_string()])
            .set(duration.as_secs_f64());
    }

    pub(crate) fn set_snapshot_age(&self, partition: i32, seconds: f64) {
        self.snapshot_age
            .with_label_values(&[&self.operator, &partition.to_string()])
            .set(seconds);
    }

    pub(crate) fn set_snapshot_size(&self, partition: i32, bytes: i64) {
        self.snapshot_size
            .with_label_values(&[&self.operator, &partition.to_string()])
            .set(bytes);
    }

    /// Removes what is shown of a partition that this process no longer has. A label that was never
    /// set is no error.
    pub(crate) fn forget_partition(&self, partition: i32) {
        let labels = [self.operator.clone(), partition.to_string()];
        let _ = self.watermark_lag.remove_label_values(&labels);
        let _ = self.open_transaction.remove_label_values(&labels);
        let _ = self.unreadable.remove_label_values(&labels);
        let _ = self.watermark_stall.remove_label_values(&labels);
        let _ = self.consumer_lag.remove_label_values(&labels);
        let _ = self.snapshot_age.remove_label_values(&labels);
        let _ = self.snapshot_size.remove_label_values(&labels);
    }
}
