//! What a worker knows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};

use millrace_kafka::client::{Timeouts, high_watermark_config, reader_config, transactional_producer_config};
use millrace_kafka::clock::now_ms;
use millrace_kafka::copies::TopicLimits;
use millrace_kafka::reader::Reader;
use millrace_kafka::transaction::TransactionalProducer;

use super::pace::{Pace, is_backlog};
use super::partitions::Partitions;
use super::restore::{Patience, Restored, Restorer};
use super::side::Side;
use super::terms::Terms;
use super::unreadable::Unreadable;
use super::upstream::UpstreamProgress;
use crate::alignment::Alignment;
use crate::config::JobConfig;
use crate::idle::OpenTransaction;
use crate::metrics::JobMetrics;
use crate::outbox::OutboxState;
use crate::runner::Shared;
use crate::snapshot_store::SnapshotStore;
use crate::snapshot_writer::SnapshotWriter;
use crate::status::{JobStatus, Subject};
use crate::{Job, Upstream, WorkerError};

/// Everything of a worker but its consumer, from which records are borrowed.
pub(super) struct Core<J: Job> {
    pub(super) job: Arc<J>,
    pub(super) config: Arc<JobConfig>,
    pub(super) timeouts: Timeouts,
    pub(super) thread: usize,
    pub(super) metrics: JobMetrics,
    pub(super) status: JobStatus,
    pub(super) highest_watermark_ms: Arc<AtomicI64>,
    pub(super) alignment: Option<Arc<Alignment>>,
    pub(super) fingerprint: String,
    /// Whose the marks of stops are.
    pub(super) identity: String,
    pub(super) store: Option<SnapshotStore>,
    pub(super) producer: TransactionalProducer,
    pub(super) outbox: OutboxState,
    pub(super) side: Side<J::Task>,
    pub(super) snapshots: Option<SnapshotWriter>,
    pub(super) partitions: Partitions<J::Task>,
    /// Restored partitions whose position the consumer has not taken yet, and since when.
    pub(super) starting: Vec<(Instant, Restored<J::Task>)>,
    pub(super) joined: bool,
    /// Time spent on records since the last commit.
    pub(super) busy: Duration,
    pace: Pace,
    /// What the last commit took.
    pub(super) commit_took: Duration,
    /// Partitions that an open transaction holds back.
    pub(super) open_transactions: BTreeMap<i32, OpenTransaction>,
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
        let limits = TopicLimits::new(&config.kafka, &producer_config);
        let producer =
            TransactionalProducer::new(&producer_config, limits, transaction_timeout, &config.instance)?;
        // Before anything is read: it ends the transaction of a predecessor, whose offsets would
        // else be pending.
        producer.init(&shared.stop)?;
        let reader = Reader::new(&reader_config(&config.kafka, &config.group(name))?)
            .map_err(|reason| WorkerError::no_client("reader", reason))?;
        let upstream = shared
            .job
            .upstream()
            .map(|upstream| progress_of(upstream, &config));
        let restorer = Restorer {
            job: Arc::clone(&shared.job),
            reader,
            high_watermarks: Arc::clone(&shared.high_watermarks),
            topic: shared.job.input_topic().to_owned(),
            store: shared.store.clone(),
            patience: Patience::default(),
            fingerprint: shared.fingerprint.clone(),
            identity: shared.identity.clone(),
            group: config.group(name),
            lost_position: config.worker.lost_position,
            metrics: shared.metrics.clone(),
        };
        let side = Side::start(restorer, upstream.transpose()?, format!("{name}-{thread}-side"))?;
        let start_writer =
            |store| SnapshotWriter::start(store, shared.metrics.clone(), format!("{name}-{thread}-snap"));
        Ok(Self {
            job: Arc::clone(&shared.job),
            timeouts,
            thread,
            metrics: shared.metrics.clone(),
            status: shared.status.clone(),
            highest_watermark_ms: Arc::clone(&shared.highest_watermark_ms),
            alignment: shared.alignment.clone(),
            fingerprint: shared.fingerprint.clone(),
            identity: shared.identity.clone(),
            store: shared.store.clone(),
            producer,
            outbox: OutboxState::new(name, shared.job.input_topic()),
            side,
            snapshots: shared.store.clone().map(start_writer).transpose()?,
            partitions: Partitions::new(Terms::of(&*shared.job)),
            starting: Vec::new(),
            joined: false,
            busy: Duration::ZERO,
            pace: Pace::new(config.worker.commit_interval_ms, timeouts.transaction_ms),
            commit_took: Duration::ZERO,
            open_transactions: BTreeMap::new(),
            probing: false,
            next_tick: Instant::now(),
            config,
        })
    }

    /// The next record's offset in a partition; `None` if the partition is not this worker's, or is
    /// being restored.
    pub(super) fn position(&mut self, number: i32) -> Option<i64> {
        self.partitions.active_of(number).map(|active| active.next())
    }

    /// Whether it has no partition, and so nothing to commit.
    pub(super) fn has_nothing(&self) -> bool {
        self.partitions.iter().next().is_none()
    }

    /// Shows that a partition cannot be read, or that it can be again.
    pub(super) fn show_unreadable(&self, number: i32, unreadable: Option<&Unreadable>) {
        let topic = self.job.input_topic();
        let what = unreadable.map(|unreadable| unreadable.what(topic, number));
        match unreadable {
            Some(unreadable) => self.metrics.set_unreadable(number, unreadable.seconds()),
            None => {
                self.metrics.forget_unreadable(number);
                tracing::info!(
                    partition = number,
                    "the partition can be read again, or is another's"
                );
            }
        }
        self.status.set_problem(Subject::Partition(number), what);
    }

    /// Records that the open transaction has room for.
    pub(super) fn room(&self) -> usize {
        self.config
            .worker
            .max_batch_records
            .saturating_sub(self.partitions.tally.records)
            .max(1)
    }

    pub(super) fn is_commit_due(&self, now: Instant) -> bool {
        self.partitions.tally.records >= self.config.worker.max_batch_records
            || self.until_commit(now).is_some_and(|until| until.is_zero())
    }

    /// How long until the batch is to be committed; `None` without a batch.
    pub(super) fn until_commit(&self, now: Instant) -> Option<Duration> {
        let tally = &self.partitions.tally;
        let started = tally.started?;
        let is_awaited = self.outbox.has_sent() && !is_backlog(tally.newest_append_ms, now_ms());
        let interval = self.pace.interval(self.commit_took, is_awaited);
        Some((started + interval).saturating_duration_since(now))
    }

    /// Counts a committed batch and begins another.
    pub(super) fn end_batch(&mut self, committed: bool) {
        if committed {
            let tally = &self.partitions.tally;
            self.metrics.records_consumed.inc_by(tally.records as u64);
            self.metrics.bytes_consumed.inc_by(tally.bytes);
            self.metrics.processing_duration.observe(self.busy.as_secs_f64());
            self.outbox.flush_counts(&self.metrics);
        } else {
            self.outbox.forget_counts();
        }
        self.outbox.refusals.clear();
        self.partitions.tally.clear();
        self.busy = Duration::ZERO;
    }
}

/// Follows the job that writes the input.
fn progress_of(upstream: Upstream, config: &JobConfig) -> Result<UpstreamProgress, WorkerError> {
    let reader = Reader::new(&high_watermark_config(&config.kafka, &upstream.group)?);
    let reader =
        reader.map_err(|reason| WorkerError::no_client("reader of the upstream job's offsets", reason))?;
    Ok(UpstreamProgress::new(upstream, Arc::new(reader)))
}
