//! Slots by key: an open-addressed table of positions over pages of slots.

use crate::HashSeed;
use crate::index::Index;
use crate::pages::{Frozen, Pages};

/// Few pages, so that where they are stays in the cache: with ten million users, 40,000 pages of 32
/// KiB made a record a fifth dearer. And small ones, as slots are written at random: a page is
/// copied for the first write to it while a snapshot is written.
const PAGE_BYTES: usize = 256 * 1024;

/// Every place of a table when it was frozen, free ones too.
pub type FrozenSlots<S> = Frozen<S, PAGE_BYTES>;

/// What is kept of a key.
pub trait Slot: Copy + Send + Sync + 'static {
    /// Whose it is.
    type Key: Copy + Eq;

    /// What is in a place that is nobody's. Its key is nobody's either.
    const FREE: Self;

    /// Whose it is.
    fn key(&self) -> Self::Key;

    /// The hash of a key.
    fn hash(key: &Self::Key, seed: HashSeed) -> u64;

    /// Whether the place is nobody's.
    #[inline]
    fn is_free(&self) -> bool {
        self.key() == Self::FREE.key()
    }
}

/// Slots by key. A slot's place stays as long as it is kept.
#[derive(Debug, Clone)]
pub struct Table<S: Slot> {
    slots: Pages<S, PAGE_BYTES>,
    free: Vec<u32>,
    index: Index,
    seed: HashSeed,
}

impl<S: Slot> Table<S> {
    /// An empty table.
    #[must_use]
    pub fn new(seed: HashSeed) -> Self {
        Self::with_capacity(0, seed)
    }

    /// A table with an index for `capacity` keys.
    #[must_use]
    pub fn with_capacity(capacity: usize, seed: HashSeed) -> Self {
        Self {
            slots: Pages::new(),
            free: Vec::new(),
            index: Index::with_capacity(capacity),
            seed,
        }
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Number of places, free ones too.
    #[inline]
    #[must_use]
    pub fn places(&self) -> u32 {
        self.slots.len() as u32
    }

    /// The hash of a key, to find the places in [`Table::index`].
    #[inline]
    #[must_use]
    pub fn hash(&self, key: &S::Key) -> u64 {
        S::hash(key, self.seed)
    }

    /// The index that a key is looked up in, to ask for its memory.
    #[inline]
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The slot at a place below [`Table::places`].
    #[inline]
    #[must_use]
    pub fn get(&self, place: u32) -> &S {
        self.slots.get(place as usize)
    }

    /// The slot at a place below [`Table::places`], to be changed; its key stays.
    #[inline]
    pub fn at(&mut self, place: u32) -> &mut S {
        self.slots.get_mut(place as usize)
    }

    /// Every place in order, free ones too.
    pub fn iter(&self) -> impl Iterator<Item = &S> {
        self.slots.iter()
    }

    /// What the table holds at this moment.
    pub fn freeze(&mut self) -> FrozenSlots<S> {
        self.slots.freeze()
    }

    /// The place of a key's slot, where it has one.
    #[must_use]
    pub fn find(&self, key: &S::Key) -> Option<u32> {
        let hash = S::hash(key, self.seed);
        let slots = &self.slots;
        self.index
            .find(hash, |place| slots.get(place as usize).key() == *key)
    }

    /// The place of a key's slot, and whether it is new: then it is what `make` makes, of that key.
    #[inline]
    pub fn find_or_insert(&mut self, key: S::Key, make: impl FnOnce() -> S) -> (u32, bool) {
        let hash = S::hash(&key, self.seed);
        let slots = &self.slots;
        let found = self
            .index
            .find(hash, |place| slots.get(place as usize).key() == key);
        if let Some(place) = found {
            return (place, false);
        }
        if self.index.is_full() {
            self.grow();
        }
        let slot = make();
        let place = match self.free.pop() {
            Some(place) => {
                *self.at(place) = slot;
                place
            }
            None => self.slots.push(slot) as u32,
        };
        self.index.insert(hash, place);
        (place, true)
    }

    /// Frees a place that is not free.
    pub fn remove(&mut self, place: u32) {
        let key = self.get(place).key();
        if self.index.remove(S::hash(&key, self.seed), |at| at == place) {
            *self.at(place) = S::FREE;
            self.free.push(place);
        }
    }

    /// Makes a larger index by reading the slots in their order.
    #[cold]
    fn grow(&mut self) {
        let places = self.slots.iter().zip(0..);
        let taken = places.filter(|(slot, _)| !slot.is_free());
        let hashes = taken.map(|(slot, place)| (S::hash(&slot.key(), self.seed), place));
        self.index.grow(hashes);
    }
}

/// Goes through the places of a table in turn, a few for each record: so that what is forgotten is
/// given back without a pause. Nothing but memory may depend on how far it has come, as a restored
/// table has its slots in other places.
#[derive(Debug, Clone, Default)]
pub struct Sweep {
    at: u32,
}

impl Sweep {
    /// The next of so many places, at least one; after the last comes the first.
    #[inline]
    pub fn next_of(&mut self, places: u32) -> u32 {
        if self.at >= places {
            self.at = 0;
        }
        let place = self.at;
        self.at += 1;
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[derive(Debug, Clone, Copy)]
    struct Counted {
        key: u64,
        value: i64,
    }

    impl Slot for Counted {
        type Key = u64;
        const FREE: Self = Self { key: 0, value: 0 };

        fn key(&self) -> u64 {
            self.key
        }

        fn hash(key: &u64, seed: HashSeed) -> u64 {
            seed.hash_words((*key, 0))
        }
    }

    proptest! {
        #[test]
        fn behaves_as_a_map(steps in prop::collection::vec((any::<bool>(), 1_u64..60), 0..600)) {
            let mut table = Table::new(HashSeed::FIXED);
            let mut oracle: HashMap<u64, u32> = HashMap::new();
            for (is_insert, key) in steps {
                if is_insert {
                    let value = key as i64 * 3;
                    let (place, is_new) = table.find_or_insert(key, || Counted { key, value });
                    prop_assert_eq!(is_new, !oracle.contains_key(&key));
                    prop_assert_eq!(*oracle.entry(key).or_insert(place), place);
                    prop_assert_eq!(table.get(place).value, value);
                } else if let Some(place) = oracle.remove(&key) {
                    table.remove(place);
                }
                prop_assert_eq!(table.len(), oracle.len());
                prop_assert_eq!(table.is_empty(), oracle.is_empty());
                let taken = table.iter().filter(|slot| !slot.is_free());
                prop_assert_eq!(taken.count(), oracle.len());
                prop_assert!(table.places() <= 60);
            }
        }
    }

    #[test]
    fn a_sweep_comes_to_every_place_of_a_table_that_grows_and_shrinks() {
        let mut sweep = Sweep::default();
        let places = [3, 3, 3, 3, 5, 5, 5, 5, 2, 2, 1];
        let found = places.map(|places| sweep.next_of(places));
        assert_eq!(found, [0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 0]);
    }
}
