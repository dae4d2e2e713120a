//! What is between reading and committing: the batch being filled, the batches being written, the
//! offsets done. It talks to no broker: its caller reads, and commits what it is told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_kafka::copies::KeptRecord;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet};

use crate::acknowledgement::{PartitionKey, Span, Tracker};
use crate::aside::Aside;
use crate::batch::{Batcher, Entry, Origin, Work};
use crate::consumer::Held;
use crate::delivery::{Delivered, Delivery, Letters};
use crate::metrics::Metrics;
use crate::sink::{Decision, Sink};
use crate::spec::Spec;

/// Time between two commits.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// How long the thread waits for a writer before it pauses the partitions: a pause throws away what
/// was fetched ahead.
const BLOCKED_WAIT: Duration = Duration::from_millis(500);

/// The offset of a partition below which everything may be committed.
pub(crate) type Commit = (PartitionKey, i64);

/// How a batch ended: the spans that are done, and the records of it that wait.
struct Ended<S: Sink> {
    spans: Vec<Span>,
    delivered: Delivered<S, Entry<S::Item>>,
}

/// Dropped, it ends the writes under way.
pub(crate) struct Pipeline<S: Sink, L> {
    delivery: Arc<Delivery<S, L>>,
    runtime: Handle,
    max_in_flight: usize,
    in_flight: JoinSet<anyhow::Result<Ended<S>>>,
    aside: Aside<S, L>,
    batcher: Batcher<S::Item>,
    tracker: Tracker,
    committed_at: Instant,
    metrics: Metrics,
    /// Why the first write failed for good. Its offsets are not done, and nothing of their
    /// partitions from them on is committed: the sink has to end, and reads them again.
    failure: Option<anyhow::Error>,
    /// A record that waits for the registry.
    pub(crate) held: Option<Held>,
}

impl<S: Sink, L: Letters> Pipeline<S, L> {
    pub(crate) fn new(delivery: Delivery<S, L>, spec: &Spec, metrics: Metrics, runtime: Handle) -> Self {
        let delivery = Arc::new(delivery);
        Self {
            aside: Aside::new(
                Arc::clone(&delivery),
                spec.limits,
                spec.set_aside_bytes,
                metrics.clone(),
            ),
            delivery,
            runtime,
            max_in_flight: spec.in_flight,
            in_flight: JoinSet::new(),
            batcher: Batcher::new(spec.limits),
            tracker: Tracker::default(),
            committed_at: Instant::now(),
            metrics,
            failure: None,
            held: None,
        }
    }

    /// Adds a record of so many bytes that was decided on; whether the batch is full.
    pub(crate) fn add(
        &mut self,
        origin: Origin,
        bytes: usize,
        decision: Decision<S::Item>,
        keep: impl FnOnce() -> KeptRecord,
    ) -> bool {
        self.metrics.consumed.inc();
        self.metrics.consumed_bytes.inc_by(bytes as u64);
        let work = match decision {
            Decision::Work(work) => Some(work),
            Decision::NotChosen => None,
            Decision::Skip { code } => {
                self.metrics.skipped(code);
                None
            }
        };
        let span = self.tracker.read(origin.partition, origin.offset);
        self.batcher.cover(span, Instant::now());
        if let Some(work) = work {
            let record = if S::KEEPS_RECORDS || matches!(work, Work::DeadLetter { .. }) {
                keep()
            } else {
                KeptRecord::default()
            };
            self.batcher.push(Entry { origin, record, work });
        }
        self.batcher.is_full()
    }

    /// Takes the writes that have ended and starts the next where one is due.
    ///
    /// # Errors
    /// As of [`Pipeline::check`], whether it was now or as everything was drained.
    pub(crate) fn progress(&mut self) -> anyhow::Result<()> {
        self.advance();
        self.check()
    }

    /// Whether no write has failed for good since the last call.
    ///
    /// # Errors
    /// One has: the first of them.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// As [`Pipeline::progress`]; what fails is kept.
    fn advance(&mut self) {
        while let Some(ended) = self.in_flight.try_join_next() {
            self.end(ended);
        }
        if self.batcher.is_due(Instant::now()) {
            self.start();
        }
        if let Err(error) = self.aside.progress(&self.runtime, &mut self.tracker) {
            self.failure.get_or_insert(error);
        }
    }

    /// Whether a write has failed for good, which nobody was told yet.
    pub(crate) fn failure(&self) -> Option<&anyhow::Error> {
        self.failure.as_ref()
    }

    /// Whether too much waits for its target for more to be read.
    pub(crate) fn is_full(&self) -> bool {
        self.aside.is_full()
    }

    /// How long until the batch is due by age; `None` if there is none or no writer for it.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        let has_writer = self.in_flight.len() < self.max_in_flight;
        self.batcher.due_in(Instant::now()).filter(|_| has_writer)
    }

    /// Whether the batch is full and every writer is busy, even after a short wait.
    pub(crate) fn is_blocked_after_waiting(&mut self) -> anyhow::Result<bool> {
        if !self.is_blocked() {
            return Ok(false);
        }
        self.wait_for_one(Instant::now() + BLOCKED_WAIT);
        self.progress()?;
        Ok(self.is_blocked())
    }

    /// Whether the batch is full and every writer is busy.
    pub(crate) fn is_blocked(&self) -> bool {
        self.batcher.is_full() && self.in_flight.len() >= self.max_in_flight
    }

    /// Starts writing the batch if a writer is free. Items whose target takes none are not written
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
            let delivery = Arc::clone(&self.delivery);
            let task = async move {
                let (spans, entries) = (batch.spans, batch.entries);
                let delivered = delivery.deliver(&spans, entries).await?;
                anyhow::Ok(Ended { spans, delivered })
            };
            self.in_flight.spawn_on(task, &self.runtime);
            self.metrics.in_flight.set(self.in_flight.len() as i64);
        }
    }

    fn end(&mut self, ended: Result<anyhow::Result<Ended<S>>, JoinError>) {
        self.metrics.in_flight.set(self.in_flight.len() as i64);
        let Ended { spans, delivered } = match ended.map_err(anyhow::Error::from).flatten() {
            Ok(ended) => ended,
            Err(error) => {
                self.failure.get_or_insert(error);
                return;
            }
        };
        // Held before its span is done, so that its offset is never seen as one to commit.
        self.aside
            .add(&spans, delivered.blocked, &delivered.reasons, &mut self.tracker);
        for span in spans {
            self.tracker.acknowledge(span);
        }
    }

    /// Waits until a write has ended; whether one has.
    fn wait_for_one(&mut self, deadline: Instant) -> bool {
        let Self {
            in_flight, runtime, ..
        } = self;
        let left = deadline.saturating_duration_since(Instant::now());
        let ended = runtime.block_on(async { tokio::time::timeout(left, in_flight.join_next()).await });
        match ended {
            Ok(Some(ended)) => {
                self.end(ended);
                true
            }
            Ok(None) | Err(_) => false,
        }
    }

    /// Writes everything read so far, within the deadline. What was not done by then is in
    /// [`Pipeline::open`]. A write that fails for good holds up no other, and is kept for
    /// [`Pipeline::check`].
    pub(crate) fn drain(&mut self, deadline: Instant) {
        loop {
            self.advance();
            if !self.batcher.is_empty() {
                self.start();
            }
            if self.batcher.is_empty() && self.in_flight.is_empty() {
                return;
            }
            if !self.wait_for_one(deadline) {
                return;
            }
        }
    }

    /// How many offsets were read and are not done.
    pub(crate) fn open(&self) -> i64 {
        self.tracker.all_open()
    }

    /// Whether it is time to commit, which it is now and again.
    pub(crate) fn is_commit_due(&mut self) -> bool {
        let is_due = self.committed_at.elapsed() >= COMMIT_INTERVAL;
        if is_due {
            self.committed_at = Instant::now();
        }
        is_due
    }

    /// What is to be committed: partitions of which more is done than was committed.
    pub(crate) fn committable(&self) -> Vec<Commit> {
        self.tracker.committable().collect()
    }

    /// Notes that a commit was asked for.
    pub(crate) fn committed(&mut self, commits: &[Commit]) {
        for &(partition, offset) in commits {
            self.tracker.committed(partition, offset);
        }
    }

    /// Ends the writes under way and forgets everything that was read.
    pub(crate) fn abandon(&mut self) {
        self.in_flight = JoinSet::new();
        self.aside.abandon();
        self.batcher.take();
        self.tracker = Tracker::default();
        self.held = None;
    }

    /// Forgets a partition that is another member's from now on.
    pub(crate) fn forget(&mut self, partition: PartitionKey) {
        self.tracker.forget(partition);
        self.delivery.sink.end(partition);
        self.aside.forget(partition);
        self.held.take_if(|held| held.origin.partition == partition);
    }

    pub(crate) fn tracker(&mut self) -> &mut Tracker {
        &mut self.tracker
    }
}

#[cfg(test)]
mod tests;
