//! Items that wait because their target takes none, while those of other targets go on.
//!
//! Each target has a queue and a back-off of its own. All queues together are bounded by bytes:
//! when they are full nothing more is read, so that a block of everything holds the sink back as an
//! outage does.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::acknowledgement::PartitionKey;
use crate::batch::Entry;
use crate::retry::Backoff;
use crate::sink::{Item, Reason};

/// Items of one target that are tried at once until it takes any.
const PROBE_ITEMS: usize = 100;

/// Why a target is blocked of which nobody has said why.
const UNKNOWN: Reason = Reason {
    code: "unknown",
    message: String::new(),
    remedy: "see the log",
};

/// A record that waits for its target.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Waiting<I: Item> {
    /// The record with its item.
    pub(crate) entry: Entry<I>,
    /// The target it waits for.
    pub(crate) target: I::Target,
    /// Which assignment of its partition it was read in.
    pub(crate) assignment: u64,
}

impl<I: Item> AsRef<Entry<I>> for Waiting<I> {
    fn as_ref(&self) -> &Entry<I> {
        &self.entry
    }
}

#[derive(Debug)]
struct Queue<I: Item> {
    waiting: VecDeque<Waiting<I>>,
    /// Items that are being tried.
    under_way: usize,
    /// Failed attempts in a row.
    attempts: u32,
    /// Whether the last attempt has had some taken.
    is_opening: bool,
    due: Instant,
    since: Instant,
    reason: Reason,
}

/// The queues of every blocked target.
#[derive(Debug)]
pub(crate) struct SetAside<I: Item> {
    queues: BTreeMap<I::Target, Queue<I>>,
    bytes: usize,
    max_bytes: usize,
    backoff: Backoff,
}

impl<I: Item> SetAside<I> {
    /// None waits; at most `max_bytes` of keys, values and items are to.
    pub(crate) fn new(max_bytes: usize, backoff: Backoff) -> Self {
        Self {
            queues: BTreeMap::new(),
            bytes: 0,
            max_bytes,
            backoff,
        }
    }

    /// Whether every target takes items.
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Whether nothing more should be read.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= self.max_bytes
    }

    /// Bytes that wait, those being tried among them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a target is known to take none.
    pub(crate) fn is_blocked(&self, target: I::Target) -> bool {
        self.queues.contains_key(&target)
    }

    /// Adds an item. A `reason` is news of the target; without one it is blocked already.
    pub(crate) fn add(&mut self, waiting: Waiting<I>, reason: Option<&Reason>, now: Instant) {
        self.bytes += size_of(&waiting);
        let first_pause = self.backoff.pause(0, 1.0);
        let queue = self.queues.entry(waiting.target).or_insert_with(|| Queue {
            waiting: VecDeque::new(),
            under_way: 0,
            attempts: 0,
            is_opening: false,
            due: now + first_pause,
            since: now,
            reason: reason.cloned().unwrap_or(UNKNOWN),
        });
        if let Some(reason) = reason {
            queue.reason.clone_from(reason);
        }
        queue.waiting.push_back(waiting);
    }

    /// Takes items whose targets are to be tried again, up to about `max_bytes` and `max_items`.
    pub(crate) fn take_due(&mut self, now: Instant, max_bytes: usize, max_items: usize) -> Vec<Waiting<I>> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for queue in self.queues.values_mut().filter(|queue| queue.due <= now) {
            let most = if queue.is_opening { max_items } else { PROBE_ITEMS };
            for _ in 0..most {
                if bytes >= max_bytes || taken.len() >= max_items {
                    return taken;
                }
                let Some(waiting) = queue.waiting.pop_front() else {
                    break;
                };
                queue.under_way += 1;
                bytes += size_of(&waiting);
                taken.push(waiting);
            }
        }
        taken
    }

    /// Notes how trying ended: `done` of each target are through, `left` wait on, at the end of
    /// their queues, so that not the same ones are tried for ever.
    pub(crate) fn tried(
        &mut self,
        done: &[Waiting<I>],
        left: Vec<Waiting<I>>,
        reasons: &BTreeMap<I::Target, Reason>,
        now: Instant,
    ) {
        let mut targets: BTreeMap<I::Target, bool> = BTreeMap::new();
        for waiting in done {
            self.bytes -= size_of(waiting);
            targets.insert(waiting.target, true);
            self.ended(waiting.target);
        }
        for waiting in left {
            targets.entry(waiting.target).or_insert(false);
            self.ended(waiting.target);
            if let Some(queue) = self.queues.get_mut(&waiting.target) {
                queue.waiting.push_back(waiting);
            }
        }
        for (target, has_taken) in targets {
            let Some(queue) = self.queues.get_mut(&target) else {
                continue;
            };
            if let Some(reason) = reasons.get(&target) {
                queue.reason.clone_from(reason);
            }
            queue.is_opening = has_taken;
            if has_taken {
                queue.attempts = 0;
                queue.due = now;
            } else {
                queue.attempts = queue.attempts.saturating_add(1);
                queue.due = now + self.backoff.pause(queue.attempts, rand::random());
            }
        }
        self.queues
            .retain(|_, queue| queue.under_way > 0 || !queue.waiting.is_empty());
    }

    fn ended(&mut self, target: I::Target) {
        if let Some(queue) = self.queues.get_mut(&target) {
            debug_assert!(queue.under_way > 0, "{target:?} was not tried");
            queue.under_way = queue.under_way.saturating_sub(1);
        }
    }

    /// Forgets what was read of a partition; what is being tried comes back by [`SetAside::tried`].
    pub(crate) fn forget(&mut self, partition: PartitionKey) {
        for queue in self.queues.values_mut() {
            queue.waiting.retain(|waiting| {
                let is_kept = waiting.entry.origin.partition != partition;
                if !is_kept {
                    self.bytes -= size_of(waiting);
                }
                is_kept
            });
        }
        self.queues
            .retain(|_, queue| queue.under_way > 0 || !queue.waiting.is_empty());
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.queues.clear();
        self.bytes = 0;
    }

    /// The blocked targets, each with its reason, the number of items that wait, and for how long
    /// the target has been blocked.
    pub(crate) fn blocked(
        &self,
        now: Instant,
    ) -> impl Iterator<Item = (I::Target, &Reason, usize, Duration)> {
        self.queues.iter().map(move |(&target, queue)| {
            let items = queue.waiting.len() + queue.under_way;
            let age = now.saturating_duration_since(queue.since);
            (target, &queue.reason, items, age)
        })
    }
}

/// What a record that waits takes of memory, about.
fn size_of<I: Item>(waiting: &Waiting<I>) -> usize {
    let entry = &waiting.entry;
    entry.record.size_bytes() + entry.size_bytes() + size_of_val(waiting)
}

#[cfg(test)]
mod tests;
