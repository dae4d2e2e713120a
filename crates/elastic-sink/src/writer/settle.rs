//! What the answer to a request makes of its documents.

use std::collections::BTreeMap;

use super::progress::{Placed, Progress};
use super::{PATIENCE_ATTEMPTS, Writer};
use crate::bulk::{IndexFault, ItemOutcome, Reason, RetryReason};
use crate::client::without_documents;
use crate::conflict::Repeat;
use crate::document::Document;
use crate::metrics::Outcome;
use crate::refusals::Answered;
use crate::stream::{IndexKey, Stream};

/// What is to be done after an answer was read.
#[derive(Default)]
struct Settled<'a> {
    /// Documents that were written, by stream.
    indexed: BTreeMap<Stream, u64>,
    /// Documents that are there already.
    repeats: Vec<Repeat<'a>>,
    /// Documents to be sent again.
    again: Vec<Placed<'a>>,
    /// The first reason for that.
    retry: Option<(RetryReason, String)>,
    /// Indices that take none.
    blocked: BTreeMap<IndexKey, Reason>,
}

impl Writer {
    /// Takes what is settled out of the group, and pauses if anything is to be sent again.
    pub(super) async fn settle<'a>(
        &self,
        progress: &mut Progress<'a>,
        group: Vec<Placed<'a>>,
        outcomes: Vec<ItemOutcome>,
    ) {
        let count = group.len();
        let settled = self.sort(progress, group, outcomes);
        for (stream, documents) in settled.indexed {
            self.metrics.document(stream, Outcome::Indexed, documents);
        }
        self.count_repeats(&settled.repeats).await;
        let left = settled.again.len();
        progress.put_back(settled.again);
        for (key, reason) in settled.blocked {
            progress.block(key, reason);
        }
        if left < count {
            progress.failures = 0;
        }
        match settled.retry {
            Some((reason, message)) => self.pause(progress, reason, &message, left).await,
            None => self.reachability.writes(None),
        }
    }

    /// Places each document by its outcome.
    fn sort<'a>(
        &self,
        progress: &mut Progress<'a>,
        group: Vec<Placed<'a>>,
        outcomes: Vec<ItemOutcome>,
    ) -> Settled<'a> {
        let at_fault = self.indices_at_fault(&group, &outcomes);
        let mut settled = Settled::default();
        for (placed, outcome) in group.into_iter().zip(outcomes) {
            let (at, document) = placed;
            let (fault, message) = match outcome {
                ItemOutcome::Indexed => {
                    *settled.indexed.entry(document.stream).or_default() += 1;
                    continue;
                }
                ItemOutcome::Unchanged { index } => {
                    settled.repeats.push(Repeat { document, index });
                    continue;
                }
                ItemOutcome::Refused(item) if !at_fault.contains(&document.key()) => {
                    self.metrics.document(document.stream, Outcome::DeadLettered, 1);
                    progress.refuse(at, item);
                    continue;
                }
                ItemOutcome::Refused(item) => (IndexFault::AllRefused, item.message),
                ItemOutcome::Retry { reason, message } => {
                    let is_patient = progress.failures < PATIENCE_ATTEMPTS || reason != RetryReason::Server;
                    if is_patient {
                        settled.again.push(placed);
                        settled.retry.get_or_insert((reason, message));
                        continue;
                    }
                    (IndexFault::Server, message)
                }
                // It has vanished, and the next attempt makes it anew.
                ItemOutcome::Blocked {
                    fault: IndexFault::Missing,
                    message,
                } if progress.failures < PATIENCE_ATTEMPTS => {
                    self.indices.forget(document.key());
                    settled.again.push(placed);
                    settled.retry.get_or_insert((RetryReason::Blocked, message));
                    continue;
                }
                ItemOutcome::Blocked { fault, message } => (fault, message),
            };
            settled.blocked.entry(document.key()).or_insert_with(|| Reason {
                fault,
                message: without_documents(&message),
            });
            settled.again.push(placed);
        }
        settled
    }

    /// The indices that are to blame for what they refused. Costs little where none is refused.
    fn indices_at_fault(&self, group: &[Placed<'_>], outcomes: &[ItemOutcome]) -> Vec<IndexKey> {
        let is_refused = |outcome: &ItemOutcome| matches!(outcome, ItemOutcome::Refused(_));
        let keys = group.iter().map(|(_, document)| document.key());
        if !outcomes.iter().any(is_refused) && !self.refusals.is_news(keys) {
            return Vec::new();
        }
        let mut counts: BTreeMap<IndexKey, Answered> = BTreeMap::new();
        for ((_, document), outcome) in group.iter().zip(outcomes) {
            let answered = counts.entry(document.key()).or_default();
            match outcome {
                ItemOutcome::Indexed | ItemOutcome::Unchanged { .. } => answered.taken += 1,
                ItemOutcome::Refused(item) => {
                    answered.refused += 1;
                    answered.unproven += usize::from(!item.is_of_a_document());
                }
                ItemOutcome::Retry { .. } | ItemOutcome::Blocked { .. } => {}
            }
        }
        counts
            .into_iter()
            .filter(|&(key, answered)| self.refusals.blames_index(key, answered))
            .map(|(key, _)| key)
            .collect()
    }

    /// Counts documents that are there already, those apart whose content is another.
    pub(super) async fn count_repeats(&self, repeats: &[Repeat<'_>]) {
        if repeats.is_empty() {
            return;
        }
        let differing = self.conflicts.differing(repeats).await;
        for stream in Stream::ALL {
            let of = |documents: &[&Document]| {
                documents
                    .iter()
                    .filter(|document| document.stream == stream)
                    .count() as u64
            };
            let all = repeats.iter().filter(|repeat| repeat.document.stream == stream);
            let (all, foreign) = (all.count() as u64, of(&differing.foreign));
            let repeated = of(&differing.repeated);
            let unchanged = all.saturating_sub(foreign + repeated);
            let compared = differing.compared.get(&stream).copied().unwrap_or(0);
            self.metrics.document(stream, Outcome::Unchanged, unchanged);
            self.metrics.document(stream, Outcome::Differs, foreign);
            self.metrics.document(stream, Outcome::Repeated, repeated);
            self.metrics.not_compared(stream, all.saturating_sub(compared));
        }
    }
}
