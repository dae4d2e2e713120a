//! What is between reading and committing: the batch being filled, the batches being written, the
//! offsets done.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet};

use crate::acknowledgement::{PartitionKey, Tracker};
use crate::bulk::{Batch, Batcher, Entry, Limits, Origin, Work};
use crate::dead_letter::DeadLetters;
use crate::metrics::Metrics;
use crate::set_aside::Reason;
use crate::stream::IndexKey;
use crate::writer::Writer;

use super::aside::Aside;
use super::context::SinkContext;
use super::flow::Held;

/// Time between two commits.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// How long the thread waits for a writer before it pauses the partitions: a pause throws away what
/// was fetched ahead.
const BLOCKED_WAIT: Duration = Duration::from_millis(500);

/// Dropped, it ends the writes under way.
pub(super) struct Pipeline {
    writer: Arc<Writer>,
    dead_letters: DeadLetters,
    runtime: Handle,
    max_in_flight: usize,
    in_flight: JoinSet<anyhow::Result<Delivered>>,
    aside: Aside,
    batcher: Batcher,
    tracker: Tracker,
    committed_at: Instant,
    metrics: Metrics,
    /// A record that waits for the registry.
    pub(super) held: Option<Held>,
}

impl Pipeline {
    pub(super) fn new(
        writer: Arc<Writer>,
        dead_letters: DeadLetters,
        limits: Limits,
        max_in_flight: usize,
        set_aside_bytes: usize,
        runtime: Handle,
    ) -> Self {
        Self {
            metrics: writer.metrics.clone(),
            aside: Aside::new(limits, set_aside_bytes, &writer),
            writer,
            dead_letters,
            runtime,
            max_in_flight,
            in_flight: JoinSet::new(),
            batcher: Batcher::new(limits),
            tracker: Tracker::default(),
            committed_at: Instant::now(),
            held: None,
        }
    }

    /// Adds a record that was read, with work or without; whether the batch is full.
    pub(super) fn add(&mut self, origin: Origin, entry: Option<Entry>) -> bool {
        let span = self.tracker.read(origin.partition, origin.offset);
        self.batcher.cover(span, Instant::now());
        if let Some(entry) = entry {
            self.batcher.push(entry);
        }
        self.batcher.is_full()
    }

    /// Takes the writes that have ended and starts the next where one is due.
    pub(super) fn progress(&mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.in_flight.try_join_next() {
            self.end(ended)?;
        }
        if self.batcher.is_due(Instant::now()) {
            self.start();
        }
        self.aside
            .progress(&self.writer, &self.dead_letters, &self.runtime, &mut self.tracker)
    }

    /// Whether too much waits for its index for more to be read.
    pub(super) fn is_full(&self) -> bool {
        self.aside.is_full()
    }

    /// How long until the batch is due by age; `None` if there is none or no writer for it.
    pub(super) fn due_in(&self) -> Option<Duration> {
        let has_writer = self.in_flight.len() < self.max_in_flight;
        self.batcher.due_in(Instant::now()).filter(|_| has_writer)
    }

    /// Whether the batch is full and every writer is busy, even after a short wait.
    pub(super) fn is_blocked_after_waiting(&mut self) -> anyhow::Result<bool> {
        if !self.is_blocked() {
            return Ok(false);
        }
        self.wait_for_one(Instant::now() + BLOCKED_WAIT)?;
        self.progress()?;
        Ok(self.is_blocked())
    }

    fn is_blocked(&self) -> bool {
        self.batcher.is_full() && self.in_flight.len() >= self.max_in_flight
    }

    /// Starts writing the batch if a writer is free. Documents whose index takes none are not sent
    /// with it.
    fn start(&mut self) {
        if self.batcher.has_work() && self.in_flight.len() >= self.max_in_flight {
            return;
        }
        let mut batch = self.batcher.take();
        self.aside.divert(&mut batch, &mut self.tracker);
        if batch.entries.is_empty() {
            for span in batch.spans {
                self.tracker.acknowledge(span);
            }
        } else {
            let task = deliver(Arc::clone(&self.writer), self.dead_letters.clone(), batch);
            self.in_flight.spawn_on(task, &self.runtime);
            self.metrics.in_flight.set(self.in_flight.len() as i64);
        }
    }

    fn end(&mut self, ended: Result<anyhow::Result<Delivered>, JoinError>) -> anyhow::Result<()> {
        let delivered = ended??;
        self.aside.add(
            &delivered.batch.spans,
            delivered.blocked,
            &delivered.reasons,
            &mut self.tracker,
        );
        for span in delivered.batch.spans {
            self.tracker.acknowledge(span);
        }
        self.metrics.in_flight.set(self.in_flight.len() as i64);
        Ok(())
    }

    /// Waits until a write has ended; whether one has.
    fn wait_for_one(&mut self, deadline: Instant) -> anyhow::Result<bool> {
        let Self {
            in_flight, runtime, ..
        } = self;
        let left = deadline.saturating_duration_since(Instant::now());
        let ended = runtime.block_on(async { tokio::time::timeout(left, in_flight.join_next()).await });
        match ended {
            Ok(Some(ended)) => self.end(ended).map(|()| true),
            Ok(None) | Err(_) => Ok(false),
        }
    }

    /// Writes everything read so far and commits it; gives the number of offsets that were not done
    /// by the deadline.
    pub(super) fn drain(
        &mut self,
        consumer: &BaseConsumer<SinkContext>,
        deadline: Instant,
    ) -> anyhow::Result<i64> {
        loop {
            self.progress()?;
            if !self.batcher.is_empty() {
                self.start();
            }
            if self.batcher.is_empty() && self.in_flight.is_empty() {
                break;
            }
            if !self.wait_for_one(deadline)? {
                break;
            }
        }
        let offsets = self.committable()?;
        if offsets.count() > 0 {
            match consumer.commit(&offsets, CommitMode::Sync) {
                Ok(()) => self.note_commit(),
                Err(error) => tracing::warn!(%error, "the last commit failed: records will be read again"),
            }
        }
        Ok(self.tracker.all_open())
    }

    /// Asks for a commit of what is done, now and again; the context hears how it went.
    pub(super) fn commit(&mut self, consumer: &BaseConsumer<SinkContext>) {
        if self.committed_at.elapsed() < COMMIT_INTERVAL {
            return;
        }
        self.committed_at = Instant::now();
        let asked = self
            .committable()
            .map_err(anyhow::Error::from)
            .and_then(|offsets| {
                if offsets.count() > 0 {
                    consumer.commit(&offsets, CommitMode::Async)?;
                }
                Ok(())
            });
        match asked {
            Ok(()) => self.note_commit(),
            Err(error) => tracing::warn!(%error, "committing will be tried again"),
        }
    }

    fn committable(&self) -> rdkafka::error::KafkaResult<TopicPartitionList> {
        let mut offsets = TopicPartitionList::new();
        for (key, offset) in self.tracker.committable() {
            offsets.add_partition_offset(
                &self.dead_letters.source_topic(key.stream),
                key.partition,
                Offset::Offset(offset),
            )?;
        }
        Ok(offsets)
    }

    fn note_commit(&mut self) {
        let due: Vec<_> = self.tracker.committable().collect();
        for (key, offset) in due {
            self.tracker.committed(key, offset);
        }
    }

    /// Ends the writes under way and forgets everything that was read.
    pub(super) fn abandon(&mut self) {
        self.in_flight = JoinSet::new();
        self.aside.abandon();
        self.batcher.take();
        self.tracker = Tracker::default();
        self.held = None;
    }

    /// Forgets a partition that is another member's from now on.
    pub(super) fn forget(&mut self, partition: PartitionKey) {
        self.tracker.forget(partition);
        self.aside.forget(partition);
        self.held.take_if(|held| held.origin.partition == partition);
    }

    pub(super) fn tracker(&mut self) -> &mut Tracker {
        &mut self.tracker
    }
}

/// What became of a batch.
struct Delivered {
    /// Without the records that wait.
    batch: Batch,
    /// The records whose index takes none.
    blocked: Vec<Entry>,
    /// Why, for each such index.
    reasons: BTreeMap<IndexKey, Reason>,
}

/// Writes a batch: its documents, then what cannot be one.
async fn deliver(
    writer: Arc<Writer>,
    dead_letters: DeadLetters,
    mut batch: Batch,
) -> anyhow::Result<Delivered> {
    let entries = std::mem::take(&mut batch.entries);
    let (_, blocked, reasons) = deliver_entries(&writer, &dead_letters, entries).await?;
    Ok(Delivered {
        batch,
        blocked,
        reasons,
    })
}

/// Writes records; gives those that are done, those that wait for their index, and why.
pub(super) async fn deliver_entries<T: AsRef<Entry>>(
    writer: &Writer,
    dead_letters: &DeadLetters,
    entries: Vec<T>,
) -> anyhow::Result<(Vec<T>, Vec<T>, BTreeMap<IndexKey, Reason>)> {
    let mut indexed = Vec::with_capacity(entries.len());
    for (at, entry) in entries.iter().enumerate() {
        match &entry.as_ref().work {
            Work::Index(document) => indexed.push((at, document)),
            Work::DeadLetter { code, error } => dead_letters.send(entry.as_ref(), code, error).await?,
        }
    }
    let written = writer.write(indexed.iter().map(|&(_, document)| document)).await;
    for refusal in written.refused {
        if let Some(entry) = indexed.get(refusal.at).and_then(|&(at, _)| entries.get(at)) {
            let item = refusal.item;
            dead_letters
                .send(entry.as_ref(), item.code, &item.message)
                .await?;
        }
    }
    if written.blocked.is_empty() {
        return Ok((entries, Vec::new(), written.reasons));
    }
    let waits: HashSet<usize> = written.blocked.iter().map(|&at| indexed[at].0).collect();
    let (mut done, mut blocked) = (Vec::new(), Vec::new());
    for (at, entry) in entries.into_iter().enumerate() {
        if waits.contains(&at) {
            blocked.push(entry);
        } else {
            done.push(entry);
        }
    }
    Ok((done, blocked, written.reasons))
}
