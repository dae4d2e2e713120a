//! What a worker knows.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::pace::{Pace, is_backlog};
use super::partition::{Active, Partition};
use super::restore::{Patience, Restored, Restorer};
use super::side::Side;
use crate::client::{Timeouts, reader_config, transactional_producer_config};
use crate::clock::now_ms;
use crate::config::JobConfig;
use crate::metrics::JobMetrics;
use crate::outbox::{OutboxState, ReplayOutbox};
use crate::reader::Reader;
use crate::runner::Shared;
use crate::snapshot_writer::SnapshotWriter;
use crate::status::JobStatus;
use crate::transaction::{Failure, TransactionalProducer};
use crate::{Job, Task, TaskError, WorkerError};

/// Everything of a worker but its consumer, from which records are borrowed.
pub(super) struct Core<J: Job> {
    pub(super) job: Arc<J>,
    pub(super) config: Arc<JobConfig>,
    pub(super) timeouts: Timeouts,
    pub(super) thread: usize,
    pub(super) metrics: JobMetrics,
    pub(super) status: JobStatus,
    pub(super) highest_watermark_ms: Arc<AtomicI64>,
    pub(super) fingerprint: String,
    pub(super) producer: TransactionalProducer,
    pub(super) outbox: OutboxState,
    pub(super) side: Side<J::Task>,
    pub(super) snapshots: Option<SnapshotWriter>,
    pub(super) partitions: Vec<Partition<J::Task>>,
    /// Restored partitions whose position the consumer has not taken yet, and since when.
    pub(super) starting: Vec<(Instant, Restored<J::Task>)>,
    pub(super) last_epoch: u64,
    pub(super) joined: bool,
    /// When the first record of the open batch was processed.
    pub(super) batch_started: Option<Instant>,
    pub(super) batch_records: usize,
    pub(super) batch_bytes: u64,
    /// Time spent on records since the last commit.
    pub(super) busy: Duration,
    pace: Pace,
    /// What the last commit took.
    pub(super) commit_took: Duration,
    /// When the last record was appended to its log, in milliseconds since 1970; below 0 if that is unknown.
    pub(super) newest_append_ms: i64,
    pub(super) probing: bool,
    pub(super) next_tick: Instant,
}

impl<J: Job> Core<J> {
    pub(super) fn new(shared: &Shared<J>, thread: usize) -> Result<Self, WorkerError> {
        let (config, timeouts) = (Arc::clone(&shared.config), shared.timeouts);
        let name = shared.job.name();
        let transaction_timeout = Duration::from_millis(timeouts.transaction_ms);
        let transactional_id = config.transactional_id(name, thread);
        let producer_config =
            transactional_producer_config(&config.kafka, &config.worker, &transactional_id)?;
        let producer = TransactionalProducer::new(&producer_config, transaction_timeout, &config.instance)?;
        // Before anything is read: it ends the transaction of a predecessor, whose offsets would else be pending.
        producer.init(&shared.stop)?;
        let reader = Reader::new(&reader_config(&config.kafka, &config.group(name))?).map_err(|reason| {
            WorkerError::Client {
                client: "reader",
                reason,
            }
        })?;
        let restorer = Restorer {
            job: Arc::clone(&shared.job),
            reader,
            topic: shared.job.input_topic().to_owned(),
            store: shared.store.clone(),
            patience: Patience::default(),
            fingerprint: shared.fingerprint.clone(),
            lost_position: config.worker.lost_position,
            metrics: shared.metrics.clone(),
        };
        let side = Side::start(restorer, format!("{name}-{thread}-side"))?;
        let start_writer =
            |store| SnapshotWriter::start(store, shared.metrics.clone(), format!("{name}-{thread}-snap"));
        Ok(Self {
            job: Arc::clone(&shared.job),
            timeouts,
            thread,
            metrics: shared.metrics.clone(),
            status: shared.status.clone(),
            highest_watermark_ms: Arc::clone(&shared.highest_watermark_ms),
            fingerprint: shared.fingerprint.clone(),
            producer,
            outbox: OutboxState::new(name, shared.job.input_topic()),
            side,
            snapshots: shared.store.clone().map(start_writer).transpose()?,
            partitions: Vec::new(),
            starting: Vec::new(),
            last_epoch: 0,
            joined: false,
            batch_started: None,
            batch_records: 0,
            batch_bytes: 0,
            busy: Duration::ZERO,
            pace: Pace::new(config.worker.commit_interval_ms, timeouts.transaction_ms),
            commit_took: Duration::ZERO,
            newest_append_ms: -1,
            probing: false,
            next_tick: Instant::now(),
            config,
        })
    }

    /// Records that the open transaction has room for.
    pub(super) fn room(&self) -> usize {
        self.config
            .worker
            .max_batch_records
            .saturating_sub(self.batch_records)
            .max(1)
    }

    /// What the consumer reports in place of a record.
    pub(super) fn consumer_error(&mut self, error: &KafkaError) -> Result<(), Failure> {
        match error {
            // Of the consumer, only another member with its name is fatal.
            KafkaError::MessageConsumptionFatal(code) => Err(Failure::Stop(WorkerError::Fenced {
                action: "consume",
                instance: self.config.instance.clone(),
                reason: code.to_string(),
            })),
            KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) => {
                // Retention has overtaken a position, and librdkafka has stopped that partition for good. Which one it
                // is, and what to do, is found by restoring with a new consumer.
                Err(Failure::Stop(WorkerError::Reconnect(
                    "a position is out of the log's range".to_owned(),
                )))
            }
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::BadMessage
                | RDKafkaErrorCode::BadCompression
                | RDKafkaErrorCode::InvalidMessage
                | RDKafkaErrorCode::MessageSizeTooLarge,
            ) => Err(Failure::Stop(WorkerError::Kafka {
                // Going on would leave records out in silence.
                action: format!("reading {}", self.job.input_topic()),
                reason: error.clone(),
            })),
            // Logged already, and librdkafka's to mend.
            _ => Ok(()),
        }
    }

    pub(super) fn is_commit_due(&self, now: Instant) -> bool {
        self.batch_records >= self.config.worker.max_batch_records
            || self.until_commit(now).is_some_and(|until| until.is_zero())
    }

    /// How long until the batch is to be committed; `None` without a batch.
    pub(super) fn until_commit(&self, now: Instant) -> Option<Duration> {
        let started = self.batch_started?;
        let is_awaited = self.outbox.has_sent() && !is_backlog(self.newest_append_ms, now_ms());
        let interval = self.pace.interval(self.commit_took, is_awaited);
        Some((started + interval).saturating_duration_since(now))
    }

    /// Counts a committed batch and begins another.
    pub(super) fn end_batch(&mut self, committed: bool) {
        if committed {
            self.metrics.records_consumed.inc_by(self.batch_records as u64);
            self.metrics.bytes_consumed.inc_by(self.batch_bytes);
            self.metrics.processing_duration.observe(self.busy.as_secs_f64());
            self.outbox.flush_counts(&self.metrics);
        } else {
            self.outbox.forget_counts();
        }
        self.batch_started = None;
        self.batch_records = 0;
        self.batch_bytes = 0;
        self.busy = Duration::ZERO;
    }
}

pub(super) fn task_failure(topic: &str, partition: i32, reason: TaskError) -> Failure {
    Failure::Stop(WorkerError::Task {
        topic: topic.to_owned(),
        partition,
        reason,
    })
}

/// Repeats the advances that are left; from here on the partition is live.
pub(super) fn finish_replay<T: Task>(
    active: &mut Active<T>,
    metrics: &JobMetrics,
    number: i32,
    since: Instant,
) -> Result<(), TaskError> {
    let Some(mut replay) = active.replay.take() else {
        return Ok(());
    };
    while let Some(watermark_ms) = replay.advances.take_before(i64::MAX) {
        active.task.advance(watermark_ms, &mut ReplayOutbox)?;
        active.changed = true;
    }
    active.next = active.next.max(replay.until);
    active.last_record = Instant::now();
    metrics.restored_records.inc_by(replay.records);
    metrics.restore_duration.observe(since.elapsed().as_secs_f64());
    tracing::info!(
        partition = number,
        offset = active.next,
        replayed = replay.records,
        seconds = since.elapsed().as_secs_f64(),
        "partition live"
    );
    Ok(())
}
