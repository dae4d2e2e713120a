//! When refusals are not the documents' fault, whatever the error's name says.
//!
//! Documents are made by one program against one mapping: nearly all of them are good. If an index
//! refuses one after the other and takes none between them, then the index is at fault, and a topic
//! must not be emptied into its dead letters for it. The count is the process's: so that a sink
//! that is started again and again does not empty it by the piece, an error that nobody has thought
//! of is believed only of an index that has taken a document since the start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::stream::IndexKey;

/// What an index made of the documents of one answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answered {
    /// Documents that are there now.
    pub taken: usize,
    /// Documents that were refused.
    pub refused: usize,
    /// Those of the refused whose error is not known to be a document's.
    pub unproven: usize,
}

/// Counts the documents that an index has refused since it took one.
#[derive(Debug)]
pub struct Refusals {
    most: usize,
    unproven_wait: bool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    runs: BTreeMap<IndexKey, usize>,
    /// Indices that have taken a document since the start.
    proven: BTreeSet<IndexKey>,
}

impl Refusals {
    /// `most` refusals in a row are believed to be the documents' fault; where `unproven_wait`,
    /// none of an unknown error before the index has taken a document.
    #[must_use]
    pub fn new(most: usize, unproven_wait: bool) -> Self {
        Self {
            most,
            unproven_wait,
            known: Mutex::default(),
        }
    }

    /// Whether it is news that these indices take documents: one has not been known to, or has
    /// refused some since.
    pub fn is_news(&self, mut keys: impl Iterator<Item = IndexKey>) -> bool {
        self.with(|known| !known.runs.is_empty() || keys.any(|key| !known.proven.contains(&key)))
    }

    /// Notes what an index made of the documents of one answer; whether those refused are the
    /// index's fault.
    pub fn blames_index(&self, key: IndexKey, answered: Answered) -> bool {
        let Answered {
            taken,
            refused,
            unproven,
        } = answered;
        self.with(|known| {
            if taken > 0 {
                known.runs.remove(&key);
                known.proven.insert(key);
                return false;
            }
            if refused == 0 {
                return false;
            }
            if unproven > 0 && self.unproven_wait && !known.proven.contains(&key) {
                return true;
            }
            let run = known.runs.entry(key).or_default();
            if *run + refused > self.most {
                // What is not believed is no dead letter, and does not count: a good document ends
                // it.
                return true;
            }
            *run += refused;
            false
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{Month, Stream};

    fn key(month: i64) -> IndexKey {
        IndexKey {
            stream: Stream::TRANSACTIONS,
            month: Month::of(month * 31 * 86_400_000).unwrap(),
        }
    }

    /// So many taken, and refused for a reason that is a document's, and for another.
    fn answered(taken: usize, of_documents: usize, unproven: usize) -> Answered {
        Answered {
            taken,
            refused: of_documents + unproven,
            unproven,
        }
    }

    #[test]
    fn bad_documents_among_good_ones_are_bad() {
        let refusals = Refusals::new(3, true);
        assert!(refusals.is_news(std::iter::once(key(0))));
        for _ in 0..100 {
            assert!(!refusals.blames_index(key(0), answered(1, 500, 500)));
        }
        assert!(!refusals.is_news(std::iter::repeat_n(key(0), 2)));
        assert!(refusals.is_news([key(0), key(1)].into_iter()), "another index");
    }

    #[test]
    fn an_index_that_refuses_everything_is_at_fault_until_it_takes_one() {
        let refusals = Refusals::new(3, true);
        assert!(refusals.blames_index(key(0), answered(0, 4, 0)));
        for _ in 0..3 {
            assert!(!refusals.blames_index(key(0), answered(0, 1, 0)));
        }
        let one = answered(0, 1, 0);
        assert!(refusals.blames_index(key(0), one) && refusals.blames_index(key(0), one));
        assert!(!refusals.blames_index(key(1), one), "another index");
        assert!(!refusals.blames_index(key(0), answered(1, 0, 0)));
        assert!(!refusals.blames_index(key(0), one));
    }

    #[test]
    fn an_unknown_error_is_believed_once_the_index_has_taken_a_document() {
        let refusals = Refusals::new(3, true);
        for _ in 0..100 {
            assert!(refusals.blames_index(key(0), answered(0, 0, 1)));
            assert!(
                refusals.blames_index(key(0), answered(0, 1, 1)),
                "with one that is known"
            );
        }
        assert!(!refusals.blames_index(key(1), answered(1, 0, 0)));
        assert!(refusals.blames_index(key(0), answered(0, 0, 1)), "another index");
        assert!(!refusals.blames_index(key(0), answered(1, 0, 0)));
        for _ in 0..3 {
            assert!(!refusals.blames_index(key(0), answered(0, 0, 1)));
        }
        assert!(refusals.blames_index(key(0), answered(0, 0, 1)), "too many again");
        let told = Refusals::new(3, false);
        assert!(!told.blames_index(key(0), answered(0, 0, 1)), "a person says so");
    }
}
