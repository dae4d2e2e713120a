//! An open-addressed table that keeps the order of insertion.

use crate::hash::{HashSeed, Key};
use crate::index::Index;
use crate::pages::{Frozen, Pages};

/// A map from 16-byte keys to values, dense and in the order of insertion, without removal of
/// single keys.
///
/// Keys and values lie in two paged arrays; beside them an [`Index`] holds their positions. So an
/// insertion writes one line of that and appends, a look-up of an absent key touches that line
/// alone, the state is frozen page by page, in an order that depends on the insertions alone, and
/// positions serve as dense ids.
/// Positions are 32 bits wide: 4 billion keys (64 GB of them) are more than a partition's table
/// ever holds.
#[derive(Debug, Clone)]
pub(crate) struct KeyTable<V> {
    keys: Keys,
    values: Values<V>,
    index: Index,
    seed: HashSeed,
}

/// Keys are only appended: large pages.
type Keys = Pages<Key, { 256 * 1024 }>;
/// Values may be changed at random: smaller ones.
type Values<V> = Pages<V, { 64 * 1024 }>;

/// What a table held when it was frozen: keys and values, in the order of insertion.
pub(crate) struct FrozenTable<V> {
    pub(crate) keys: Frozen<Key, { 256 * 1024 }>,
    pub(crate) values: Frozen<V, { 64 * 1024 }>,
}

impl<V: Clone> KeyTable<V> {
    /// An empty table with room for `capacity` keys.
    pub(crate) fn with_capacity(capacity: usize, seed: HashSeed) -> Self {
        Self {
            keys: Pages::with_capacity(capacity),
            values: Pages::with_capacity(capacity),
            index: Index::with_capacity(capacity),
            seed,
        }
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The value at a position that this table gave, to be changed.
    #[inline]
    pub(crate) fn value_mut(&mut self, at: usize) -> &mut V {
        self.values.get_mut(at)
    }

    /// What the table holds at this moment.
    pub(crate) fn freeze(&mut self) -> FrozenTable<V> {
        FrozenTable {
            keys: self.keys.freeze(),
            values: self.values.freeze(),
        }
    }

    /// The index, to ask for its memory.
    #[inline]
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// The key that a hash most probably leads to, for a hint: see [`crate::near`].
    #[inline]
    pub(crate) fn guess(&self, hash: u64) -> Option<&Key> {
        self.index.guess(hash).map(|at| self.keys.get(at as usize))
    }

    /// The position of `key`, whose hash under this table's seed is `hash`.
    #[inline]
    pub(crate) fn find(&self, hash: u64, key: &Key) -> Option<usize> {
        let keys = &self.keys;
        self.index
            .find(hash, |at| keys.get(at as usize) == key)
            .map(|at| at as usize)
    }

    /// The position of `key`, and whether it is new; a new key gets the value that `make` makes.
    #[inline]
    pub(crate) fn find_or_insert(&mut self, hash: u64, key: Key, make: impl FnOnce() -> V) -> (usize, bool) {
        if let Some(at) = self.find(hash, &key) {
            return (at, false);
        }
        if self.index.is_full() {
            let hashes = self.keys.iter().map(|key| self.seed.hash(key));
            self.index.grow(hashes.zip(0..));
        }
        let at = self.keys.push(key);
        self.values.push(make());
        self.index.insert(hash, at as u32);
        (at, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn behaves_as_a_map_that_keeps_order(
            numbers in prop::collection::vec(0_u128..300, 0..600),
            seed: u64,
            capacity in 0_usize..50,
        ) {
            let seed = HashSeed::new(seed);
            let mut table = KeyTable::with_capacity(capacity, seed);
            let mut oracle: HashMap<Key, usize> = HashMap::new();
            let mut order = Vec::new();
            for number in numbers {
                let key = number.to_le_bytes();
                let known = oracle.get(&key).copied();
                prop_assert_eq!(table.find(seed.hash(&key), &key), known);
                let expected = (known.unwrap_or(order.len()), known.is_none());
                prop_assert_eq!(table.find_or_insert(seed.hash(&key), key, || number), expected);
                if known.is_none() {
                    oracle.insert(key, order.len());
                    order.push(number);
                }
            }
            prop_assert!(table.freeze().values.iter().eq(&order));
            prop_assert_eq!(table.len(), order.len());
        }
    }
}
