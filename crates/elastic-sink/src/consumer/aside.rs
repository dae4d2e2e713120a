//! The records that wait for their index, seen from the consumer's thread: what is tried again and
//! when, and what offsets they hold back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::acknowledgement::{PartitionKey, Span, Tracker};
use crate::bulk::{Batch, Entry, Limits, Work};
use crate::dead_letter::DeadLetters;
use crate::metrics::Metrics;
use crate::reachability::Reachability;
use crate::set_aside::{Reason, SetAside, Waiting};
use crate::stream::IndexKey;
use crate::writer::Writer;

use super::pipeline::deliver_entries;

/// Indices that the readiness names; of more it gives the number.
const NAMED: usize = 3;

/// How trying again ended.
struct Tried {
    done: Vec<Waiting>,
    left: Vec<Waiting>,
    reasons: BTreeMap<IndexKey, Reason>,
}

/// What waits, and the one request that tries some of it again.
pub(super) struct Aside {
    waiting: SetAside,
    trying: JoinSet<anyhow::Result<Tried>>,
    limits: Limits,
    max_bytes: usize,
    index_prefix: String,
    metrics: Metrics,
    reachability: Reachability,
    told_at: Instant,
}

impl Aside {
    pub(super) fn new(limits: Limits, max_bytes: usize, writer: &Writer) -> Self {
        Self {
            waiting: SetAside::new(max_bytes, writer.backoff),
            trying: JoinSet::new(),
            limits,
            max_bytes,
            index_prefix: writer.index_prefix().to_owned(),
            metrics: writer.metrics.clone(),
            reachability: writer.reachability.clone(),
            told_at: Instant::now(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.is_full()
    }

    /// Takes what has been tried, and tries what is due.
    pub(super) fn progress(
        &mut self,
        writer: &Arc<Writer>,
        dead_letters: &DeadLetters,
        runtime: &Handle,
        tracker: &mut Tracker,
    ) -> anyhow::Result<()> {
        while let Some(ended) = self.trying.try_join_next() {
            self.end(ended??, tracker);
        }
        if self.waiting.is_empty() || !self.trying.is_empty() {
            return Ok(());
        }
        let (now, limits) = (Instant::now(), self.limits);
        let due = self.waiting.take_due(now, limits.bytes, limits.actions);
        if !due.is_empty() {
            let task = try_again(Arc::clone(writer), dead_letters.clone(), due);
            self.trying.spawn_on(task, runtime);
        }
        if now.saturating_duration_since(self.told_at).as_secs() >= 1 {
            self.tell(now);
        }
        Ok(())
    }

    /// Takes documents out of a batch whose index is known to take none.
    pub(super) fn divert(&mut self, batch: &mut Batch, tracker: &mut Tracker) {
        if self.waiting.is_empty() {
            return;
        }
        let is_blocked = |entry: &Entry| key_of(entry).is_some_and(|key| self.waiting.is_blocked(key));
        let (blocked, free) = std::mem::take(&mut batch.entries)
            .into_iter()
            .partition(is_blocked);
        batch.entries = free;
        self.add(&batch.spans, blocked, &BTreeMap::new(), tracker);
    }

    /// Sets records aside, which are in `spans`.
    pub(super) fn add(
        &mut self,
        spans: &[Span],
        blocked: Vec<Entry>,
        reasons: &BTreeMap<IndexKey, Reason>,
        tracker: &mut Tracker,
    ) {
        if blocked.is_empty() {
            return;
        }
        let now = Instant::now();
        for entry in blocked {
            let (partition, offset) = (entry.origin.partition, entry.origin.offset);
            // The newest, if a partition went and came back within a batch.
            let holds = |span: &&Span| span.partition == partition && (span.from..span.to).contains(&offset);
            let assignment = spans.iter().filter(holds).map(|span| span.assignment).max();
            let (Some(key), Some(assignment)) = (key_of(&entry), assignment) else {
                debug_assert!(false, "a record outside its batch's spans waits");
                continue;
            };
            if tracker.hold(partition, assignment, offset) {
                let waiting = Waiting {
                    entry,
                    key,
                    assignment,
                };
                self.waiting.add(waiting, reasons.get(&key), now);
            }
        }
        self.tell(now);
    }

    fn end(&mut self, tried: Tried, tracker: &mut Tracker) {
        let Tried {
            mut done,
            left,
            reasons,
        } = tried;
        for waiting in &done {
            let origin = waiting.entry.origin;
            tracker.release(origin.partition, waiting.assignment, origin.offset);
        }
        // A partition that is another's by now takes its records along.
        let (left, gone): (Vec<_>, Vec<_>) = left.into_iter().partition(|waiting| {
            let origin = waiting.entry.origin;
            tracker.hold(origin.partition, waiting.assignment, origin.offset)
        });
        done.extend(gone);
        let now = Instant::now();
        self.waiting.tried(&done, left, &reasons, now);
        self.tell(now);
    }

    /// Forgets a partition that is another member's from now on.
    pub(super) fn forget(&mut self, partition: PartitionKey) {
        self.waiting.forget(partition);
        self.tell(Instant::now());
    }

    /// Ends what is tried and forgets everything.
    pub(super) fn abandon(&mut self) {
        self.trying = JoinSet::new();
        self.waiting.clear();
        self.tell(Instant::now());
    }

    /// Tells the metrics and the readiness what waits.
    fn tell(&mut self, now: Instant) {
        self.told_at = now;
        let (mut counts, mut age_s, mut said) = (BTreeMap::new(), 0, Vec::new());
        for (key, reason, documents, age) in self.waiting.blocked(now) {
            *counts.entry((key.stream, reason.fault)).or_insert(0) += documents;
            age_s = age_s.max(age.as_secs());
            if said.len() < NAMED {
                let name = key.name(&self.index_prefix);
                said.push(format!(
                    "{name} takes no documents ({}): {}; {}",
                    reason.fault.as_str(),
                    reason.message,
                    reason.fault.remedy()
                ));
            } else {
                said.push(String::new());
            }
        }
        let more = said.len().saturating_sub(NAMED);
        said.truncate(NAMED);
        if more > 0 {
            said.push(format!("and {more} more indices"));
        }
        if self.waiting.is_full() {
            let max = self.max_bytes;
            said.push(format!(
                "nothing is read, as documents of elastic_sink.set_aside_bytes = {max} wait"
            ));
        }
        let metrics = &self.metrics.blocked;
        metrics.set_documents(&counts);
        metrics.bytes.set(self.waiting.bytes() as i64);
        metrics.age.set(age_s as i64);
        metrics.full.set(i64::from(self.waiting.is_full()));
        self.reachability
            .blocked((!said.is_empty()).then(|| said.join("; ")));
    }
}

fn key_of(entry: &Entry) -> Option<IndexKey> {
    match &entry.work {
        Work::Index(document) => Some(document.key()),
        Work::DeadLetter { .. } => None,
    }
}

async fn try_again(
    writer: Arc<Writer>,
    dead_letters: DeadLetters,
    waiting: Vec<Waiting>,
) -> anyhow::Result<Tried> {
    let (done, left, reasons) = deliver_entries(&writer, &dead_letters, waiting).await?;
    Ok(Tried { done, left, reasons })
}
