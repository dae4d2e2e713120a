//! Has records written until each is in the store, is a dead letter, or waits for its target.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::Arc;

use millrace_kafka::copies::KeptRecord;

use crate::acknowledgement::Span;
use crate::batch::{Entry, Origin, Work};
use crate::reachability::Reachability;
use crate::retry::Backoff;
use crate::sink::{Reason, Sink, TargetOf, WriteBatch};

/// Attempts to write the same items before the service says that it is not ready.
const PATIENCE_ATTEMPTS: u32 = 3;

/// An item with the place of its entry and that of its record.
type Placed<'a, I> = (usize, Origin, &'a I);

/// Where dead letters go to.
pub(crate) trait Letters: Send + Sync + 'static {
    /// Sends a record's copy, with why, however long that takes.
    ///
    /// # Errors
    /// It can never be sent again.
    fn send(
        &self,
        origin: Origin,
        kept: &KeptRecord,
        code: &str,
        error: &str,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// What became of records.
pub(crate) struct Delivered<S: Sink, T> {
    /// Those that are in the store or are dead letters.
    pub(crate) done: Vec<T>,
    /// Those whose target takes none.
    pub(crate) blocked: Vec<T>,
    /// Why, for each such target.
    pub(crate) reasons: BTreeMap<TargetOf<S>, Reason>,
}

/// What the writes share.
pub(crate) struct Delivery<S, L> {
    pub(crate) sink: Arc<S>,
    pub(crate) letters: L,
    pub(crate) backoff: Backoff,
    pub(crate) reachability: Reachability,
}

impl<S: Sink, L: Letters> Delivery<S, L> {
    /// Delivers records, which stand for `spans`.
    ///
    /// # Errors
    /// A dead letter can never be sent.
    pub(crate) async fn deliver<T>(&self, spans: &[Span], entries: Vec<T>) -> anyhow::Result<Delivered<S, T>>
    where
        T: AsRef<Entry<S::Item>> + Send + Sync,
    {
        let mut items = Vec::with_capacity(entries.len());
        for (at, entry) in entries.iter().enumerate() {
            let entry = entry.as_ref();
            match &entry.work {
                Work::Write(item) => items.push((at, entry.origin, item)),
                Work::DeadLetter { code, error } => {
                    self.letters
                        .send(entry.origin, &entry.record, code, error)
                        .await?;
                }
            }
        }
        let (waits, reasons) = self.write(spans, &entries, items).await?;
        if waits.is_empty() {
            return Ok(Delivered {
                done: entries,
                blocked: Vec::new(),
                reasons,
            });
        }
        let (mut done, mut blocked) = (Vec::new(), Vec::new());
        for (at, entry) in entries.into_iter().enumerate() {
            if waits.contains(&at) {
                blocked.push(entry);
            } else {
                done.push(entry);
            }
        }
        Ok(Delivered {
            done,
            blocked,
            reasons,
        })
    }

    /// Writes items, each with its entry's place, and again those that are to be; gives the places
    /// of entries that wait, and why.
    async fn write<T>(
        &self,
        spans: &[Span],
        entries: &[T],
        mut items: Vec<Placed<'_, S::Item>>,
    ) -> anyhow::Result<(HashSet<usize>, BTreeMap<TargetOf<S>, Reason>)>
    where
        T: AsRef<Entry<S::Item>> + Sync,
    {
        let (mut waits, mut reasons) = (HashSet::new(), BTreeMap::new());
        let (mut attempts, mut is_told) = (0_u32, false);
        while !items.is_empty() {
            let batch = WriteBatch {
                items: items.iter().map(|&(_, origin, item)| (origin, item)).collect(),
                spans,
            };
            let written = self.sink.write(&batch).await;
            for refusal in written.refused {
                if let Some(&(at, ..)) = items.get(refusal.at) {
                    let entry = entries[at].as_ref();
                    let (code, message) = (refusal.code, &refusal.message);
                    self.letters
                        .send(entry.origin, &entry.record, code, message)
                        .await?;
                }
            }
            waits.extend(written.blocked.iter().map(|&at| items[at].0));
            reasons.extend(written.reasons);
            let answer = written.again_message;
            items = written.again.iter().map(|&at| items[at]).collect();
            if items.is_empty() {
                break;
            }
            attempts = attempts.saturating_add(1);
            if attempts >= PATIENCE_ATTEMPTS {
                is_told = true;
                self.tell(&answer);
            }
            let left = items.len();
            tracing::debug!(answer, left, attempts, "items will be written again");
            self.backoff.wait(attempts - 1).await;
        }
        if is_told {
            self.reachability.writes(None);
        }
        Ok((waits, reasons))
    }

    fn tell(&self, message: &str) {
        let (store, items) = (S::NAMES.store, S::NAMES.items);
        self.reachability
            .writes(Some(format!("{store} takes no {items}: {message}")));
    }
}
