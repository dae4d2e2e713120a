//! How far the writing of a batch is.

use std::collections::{BTreeMap, VecDeque};

use crate::bulk::encode::size_of;
use crate::bulk::{Reason, RefusedItem};
use crate::document::Document;
use crate::stream::IndexKey;

/// A document with its place among those given.
pub(super) type Placed<'a> = (usize, &'a Document);

/// A document that Elasticsearch will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its place among the documents given.
    pub at: usize,
    /// Why.
    pub item: RefusedItem,
}

/// What is left of the documents given; all others are in the index.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Those that can never be written, in no order.
    pub refused: Vec<Refusal>,
    /// The places of those whose index takes none for now, in no order.
    pub blocked: Vec<usize>,
    /// Why, for each such index.
    pub reasons: BTreeMap<IndexKey, Reason>,
}

/// The documents that are still to be written, and what became of the others.
pub(super) struct Progress<'a> {
    pending: VecDeque<Placed<'a>>,
    pub(super) written: Written,
    /// Attempts in a row without any progress.
    pub(super) failures: u32,
    /// The most documents of the next request: fewer while one that spoils a request is looked for.
    most_documents: usize,
}

impl<'a> Progress<'a> {
    pub(super) fn new(documents: impl Iterator<Item = &'a Document>) -> Self {
        Self {
            pending: documents.enumerate().collect(),
            written: Written::default(),
            failures: 0,
            most_documents: usize::MAX,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes the documents of the next request: of at most `bytes`, about, but one at least.
    pub(super) fn cut(&mut self, bytes: usize) -> Vec<Placed<'a>> {
        let (mut count, mut total) = (0, 0_usize);
        for (_, document) in &self.pending {
            total = total.saturating_add(size_of(document));
            if count > 0 && (total > bytes || count >= self.most_documents) {
                break;
            }
            count += 1;
        }
        self.pending.drain(..count).collect()
    }

    /// Puts documents back in front.
    pub(super) fn put_back(&mut self, group: Vec<Placed<'a>>) {
        for placed in group.into_iter().rev() {
            self.pending.push_front(placed);
        }
    }

    /// The next request is to be half of one of `documents`, as something in that spoils it.
    pub(super) fn halve(&mut self, documents: usize) {
        self.most_documents = (documents / 2).max(1);
    }

    /// A request was read as a whole.
    pub(super) fn unspoiled(&mut self) {
        self.most_documents = self.most_documents.saturating_mul(2);
    }

    pub(super) fn refuse(&mut self, at: usize, item: RefusedItem) {
        self.written.refused.push(Refusal { at, item });
    }

    /// Notes that an index takes none: what is pending for it is not even sent.
    pub(super) fn block(&mut self, key: IndexKey, reason: Reason) {
        let blocked = &mut self.written.blocked;
        self.pending.retain(|(at, document)| {
            let stays = document.key() != key;
            if !stays {
                blocked.push(*at);
            }
            stays
        });
        self.written.reasons.insert(key, reason);
    }
}
