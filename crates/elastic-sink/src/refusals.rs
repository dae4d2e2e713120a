//! When refusals are not the documents' fault, whatever the error's name says.
//!
//! Documents are made by one program against one mapping: nearly all of them are good. If an index
//! refuses one after the other and takes none between them, then the index is at fault, and a topic
//! must not be emptied into its dead letters for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::stream::IndexKey;

/// Counts the documents that an index has refused since it took one.
#[derive(Debug)]
pub struct Refusals {
    most: usize,
    runs: Mutex<BTreeMap<IndexKey, usize>>,
}

impl Refusals {
    /// `most` refusals in a row are believed to be the documents' fault.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            runs: Mutex::default(),
        }
    }

    /// Whether no index has refused any since it took one: then taken documents need not be told
    /// of.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.with(|runs| runs.is_empty())
    }

    /// Notes what an index made of the documents of one answer; whether those refused are the
    /// index's fault.
    pub fn blames_index(&self, key: IndexKey, taken: usize, refused: usize) -> bool {
        self.with(|runs| {
            if taken > 0 {
                runs.remove(&key);
                return false;
            }
            if refused == 0 {
                return false;
            }
            let run = runs.entry(key).or_default();
            if *run + refused > self.most {
                // What is not believed is no dead letter, and does not count: a good document ends
                // it.
                return true;
            }
            *run += refused;
            false
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<IndexKey, usize>) -> T) -> T {
        work(&mut self.runs.lock().unwrap_or_else(PoisonError::into_inner))
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

    #[test]
    fn bad_documents_among_good_ones_are_bad() {
        let refusals = Refusals::new(3);
        for _ in 0..100 {
            assert!(!refusals.blames_index(key(0), 1, 1_000));
        }
        assert!(refusals.is_empty());
    }

    #[test]
    fn an_index_that_refuses_everything_is_at_fault_until_it_takes_one() {
        let refusals = Refusals::new(3);
        assert!(refusals.blames_index(key(0), 0, 4));
        for _ in 0..3 {
            assert!(!refusals.blames_index(key(0), 0, 1));
        }
        assert!(refusals.blames_index(key(0), 0, 1) && refusals.blames_index(key(0), 0, 1));
        assert!(!refusals.blames_index(key(1), 0, 1), "another index");
        assert!(!refusals.blames_index(key(0), 1, 0));
        assert!(!refusals.blames_index(key(0), 0, 1));
    }
}
