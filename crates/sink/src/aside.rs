//! The records that wait for their target, seen from the consumer's thread: what is tried again and
//! when, and what offsets they hold back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::acknowledgement::{PartitionKey, Span, Tracker};
use crate::batch::{Batch, Entry, Limits, Work};
use crate::delivery::{Delivered, Delivery, Letters};
use crate::metrics::Metrics;
use crate::set_aside::{SetAside, Waiting};
use crate::sink::{Item, Reason, Sink, TargetOf};

/// Targets that the readiness names; of more it gives the number.
const NAMED: usize = 3;

/// How trying again ended.
type Tried<S> = Delivered<S, Waiting<<S as Sink>::Item>>;

/// What waits, and the one write that tries some of it again.
pub(crate) struct Aside<S: Sink, L> {
    waiting: SetAside<S::Item>,
    trying: JoinSet<anyhow::Result<Tried<S>>>,
    delivery: Arc<Delivery<S, L>>,
    limits: Limits,
    max_bytes: usize,
    metrics: Metrics,
    told_at: Instant,
}

impl<S: Sink, L: Letters> Aside<S, L> {
    pub(crate) fn new(
        delivery: Arc<Delivery<S, L>>,
        limits: Limits,
        max_bytes: usize,
        metrics: Metrics,
    ) -> Self {
        Self {
            waiting: SetAside::new(max_bytes, delivery.backoff),
            trying: JoinSet::new(),
            delivery,
            limits,
            max_bytes,
            metrics,
            told_at: Instant::now(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.waiting.is_full()
    }

    /// Takes what has been tried, and tries what is due.
    pub(crate) fn progress(&mut self, runtime: &Handle, tracker: &mut Tracker) -> anyhow::Result<()> {
        while let Some(ended) = self.trying.try_join_next() {
            self.end(ended??, tracker);
        }
        if self.waiting.is_empty() || !self.trying.is_empty() {
            return Ok(());
        }
        let (now, limits) = (Instant::now(), self.limits);
        let due = self.waiting.take_due(now, limits.bytes, limits.items);
        if !due.is_empty() {
            let delivery = Arc::clone(&self.delivery);
            let task = async move { delivery.deliver(&[], due).await };
            self.trying.spawn_on(task, runtime);
        }
        if now.saturating_duration_since(self.told_at).as_secs() >= 1 {
            self.tell(now);
        }
        Ok(())
    }

    /// Takes items out of a batch whose target is known to take none.
    pub(crate) fn divert(&mut self, batch: &mut Batch<S::Item>, tracker: &mut Tracker) {
        if self.waiting.is_empty() {
            return;
        }
        let is_blocked =
            |entry: &Entry<S::Item>| target_of(entry).is_some_and(|target| self.waiting.is_blocked(target));
        let (blocked, free) = std::mem::take(&mut batch.entries)
            .into_iter()
            .partition(is_blocked);
        batch.entries = free;
        self.add(&batch.spans, blocked, &BTreeMap::new(), tracker);
    }

    /// Sets records aside, which are in `spans`.
    pub(crate) fn add(
        &mut self,
        spans: &[Span],
        blocked: Vec<Entry<S::Item>>,
        reasons: &BTreeMap<TargetOf<S>, Reason>,
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
            let (Some(target), Some(assignment)) = (target_of(&entry), assignment) else {
                debug_assert!(false, "a record outside its batch's spans waits");
                continue;
            };
            if tracker.hold(partition, assignment, offset) {
                let waiting = Waiting {
                    entry,
                    target,
                    assignment,
                };
                self.waiting.add(waiting, reasons.get(&target), now);
            }
        }
        self.tell(now);
    }

    fn end(&mut self, tried: Tried<S>, tracker: &mut Tracker) {
        let Delivered {
            mut done,
            blocked,
            reasons,
        } = tried;
        for waiting in &done {
            let origin = waiting.entry.origin;
            tracker.release(origin.partition, waiting.assignment, origin.offset);
        }
        // A partition that is another's by now takes its records along.
        let (left, gone): (Vec<_>, Vec<_>) = blocked.into_iter().partition(|waiting| {
            let origin = waiting.entry.origin;
            tracker.hold(origin.partition, waiting.assignment, origin.offset)
        });
        done.extend(gone);
        let now = Instant::now();
        self.waiting.tried(&done, left, &reasons, now);
        self.tell(now);
    }

    /// Forgets a partition that is another member's from now on.
    pub(crate) fn forget(&mut self, partition: PartitionKey) {
        self.waiting.forget(partition);
        self.tell(Instant::now());
    }

    /// Ends what is tried and forgets everything.
    pub(crate) fn abandon(&mut self) {
        self.trying = JoinSet::new();
        self.waiting.clear();
        self.tell(Instant::now());
    }

    /// Tells the metrics and the readiness what waits.
    fn tell(&mut self, now: Instant) {
        self.told_at = now;
        let names = S::NAMES;
        let (items, targets) = (names.items, names.targets);
        let (mut counts, mut age_s, mut said) = (BTreeMap::new(), 0, Vec::new());
        for (target, reason, waiting, age) in self.waiting.blocked(now) {
            *counts.entry((S::label(target), reason.code)).or_insert(0) += waiting;
            age_s = age_s.max(age.as_secs());
            if said.len() < NAMED {
                let name = self.delivery.sink.name(target);
                said.push(format!(
                    "{name} takes no {items} ({}): {}; {}",
                    reason.code, reason.message, reason.remedy
                ));
            } else {
                said.push(String::new());
            }
        }
        let more = said.len().saturating_sub(NAMED);
        said.truncate(NAMED);
        if more > 0 {
            said.push(format!("and {more} more {targets}"));
        }
        if self.waiting.is_full() {
            let (section, max) = (names.section, self.max_bytes);
            said.push(format!(
                "nothing is read, as {items} of {section}.set_aside_bytes = {max} wait"
            ));
        }
        let metrics = &self.metrics.blocked;
        metrics.set_items(&counts);
        metrics.bytes.set(self.waiting.bytes() as i64);
        metrics.age.set(age_s as i64);
        metrics.full.set(i64::from(self.waiting.is_full()));
        let reason = (!said.is_empty()).then(|| said.join("; "));
        self.delivery.reachability.blocked(reason);
    }
}

fn target_of<I: Item>(entry: &Entry<I>) -> Option<I::Target> {
    match &entry.work {
        Work::Write(item) => Some(item.target()),
        Work::DeadLetter { .. } => None,
    }
}
