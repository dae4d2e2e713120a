//! Documents that wait because their index takes none, while those of other indices go on.
//!
//! Each index has a queue and a back-off of its own. All queues together are bounded by bytes: when
//! they are full nothing more is read, so that a block of everything holds the sink back as an
//! outage does.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::acknowledgement::PartitionKey;
use crate::bulk::{Entry, IndexFault};
use crate::retry::Backoff;
use crate::stream::IndexKey;

/// Documents of one index that are tried at once until it takes any.
const PROBE_DOCUMENTS: usize = 100;

/// Why an index takes no documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What is the matter.
    pub fault: IndexFault,
    /// The server's words.
    pub message: String,
}

/// A record that waits for its index.
#[derive(Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The record with its document.
    pub entry: Entry,
    /// The index it waits for.
    pub key: IndexKey,
    /// Which assignment of its partition it was read in.
    pub assignment: u64,
}

impl AsRef<Entry> for Waiting {
    fn as_ref(&self) -> &Entry {
        &self.entry
    }
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Documents that are being tried.
    under_way: usize,
    /// Failed attempts in a row.
    attempts: u32,
    /// Whether the last attempt has had some taken.
    is_opening: bool,
    due: Instant,
    since: Instant,
    reason: Reason,
}

/// The queues of every blocked index.
#[derive(Debug)]
pub struct SetAside {
    queues: BTreeMap<IndexKey, Queue>,
    bytes: usize,
    max_bytes: usize,
    backoff: Backoff,
}

impl SetAside {
    /// None waits; at most `max_bytes` of keys, values and documents are to.
    #[must_use]
    pub fn new(max_bytes: usize, backoff: Backoff) -> Self {
        Self {
            queues: BTreeMap::new(),
            bytes: 0,
            max_bytes,
            backoff,
        }
    }

    /// Whether every index takes documents.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Whether nothing more should be read.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes >= self.max_bytes
    }

    /// Bytes that wait, those being tried among them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether an index is known to take none.
    #[must_use]
    pub fn is_blocked(&self, key: IndexKey) -> bool {
        self.queues.contains_key(&key)
    }

    /// Adds a document. A `reason` is news of the index; without one the index is blocked already.
    pub fn add(&mut self, waiting: Waiting, reason: Option<&Reason>, now: Instant) {
        self.bytes += size_of(&waiting);
        let first_pause = self.backoff.pause(0, 1.0);
        let queue = self.queues.entry(waiting.key).or_insert_with(|| Queue {
            waiting: VecDeque::new(),
            under_way: 0,
            attempts: 0,
            is_opening: false,
            due: now + first_pause,
            since: now,
            reason: reason.cloned().unwrap_or_else(|| Reason {
                fault: IndexFault::Server,
                message: String::new(),
            }),
        });
        if let Some(reason) = reason {
            queue.reason.clone_from(reason);
        }
        queue.waiting.push_back(waiting);
    }

    /// Takes documents whose indices are to be tried again, up to about `max_bytes` and
    /// `max_documents`.
    pub fn take_due(&mut self, now: Instant, max_bytes: usize, max_documents: usize) -> Vec<Waiting> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for queue in self.queues.values_mut().filter(|queue| queue.due <= now) {
            let most = if queue.is_opening {
                max_documents
            } else {
                PROBE_DOCUMENTS
            };
            for _ in 0..most {
                if bytes >= max_bytes || taken.len() >= max_documents {
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

    /// Notes how trying ended: `done` of each index are through, `left` wait on, at the end of
    /// their queues, so that not the same ones are tried for ever.
    pub fn tried(
        &mut self,
        done: &[Waiting],
        left: Vec<Waiting>,
        reasons: &BTreeMap<IndexKey, Reason>,
        now: Instant,
    ) {
        let mut keys: BTreeMap<IndexKey, bool> = BTreeMap::new();
        for waiting in done {
            self.bytes -= size_of(waiting);
            keys.insert(waiting.key, true);
            self.ended(waiting.key);
        }
        for waiting in left {
            keys.entry(waiting.key).or_insert(false);
            self.ended(waiting.key);
            if let Some(queue) = self.queues.get_mut(&waiting.key) {
                queue.waiting.push_back(waiting);
            }
        }
        for (key, has_taken) in keys {
            let Some(queue) = self.queues.get_mut(&key) else {
                continue;
            };
            if let Some(reason) = reasons.get(&key) {
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

    fn ended(&mut self, key: IndexKey) {
        if let Some(queue) = self.queues.get_mut(&key) {
            debug_assert!(queue.under_way > 0, "{key:?} was not tried");
            queue.under_way = queue.under_way.saturating_sub(1);
        }
    }

    /// Forgets what was read of a partition; what is being tried comes back by [`SetAside::tried`].
    pub fn forget(&mut self, partition: PartitionKey) {
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
    pub fn clear(&mut self) {
        self.queues.clear();
        self.bytes = 0;
    }

    /// The blocked indices, each with its reason, the number of documents that wait, and for how
    /// long the index has been blocked.
    pub fn blocked(&self, now: Instant) -> impl Iterator<Item = (IndexKey, &Reason, usize, Duration)> {
        self.queues.iter().map(move |(&key, queue)| {
            let documents = queue.waiting.len() + queue.under_way;
            let age = now.saturating_duration_since(queue.since);
            (key, &queue.reason, documents, age)
        })
    }
}

/// What a record that waits takes of memory, about.
fn size_of(waiting: &Waiting) -> usize {
    let entry = &waiting.entry;
    entry.record.size_bytes() + entry.size_bytes() + size_of_val(waiting)
}

#[cfg(test)]
mod tests;
