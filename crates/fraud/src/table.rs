//! The profiles of a partition's users: an open-addressed table of positions over pages of
//! profiles.

use millrace_domain::ShortId;
use millrace_engine::HashSeed;
use millrace_engine::index::Index;
use millrace_engine::pages::{Frozen, Pages};

use crate::event_time::EventTime;
use crate::profile::{Profile, UserKey};

/// Few pages, so that where they are stays in the cache: with ten million users, 40,000 pages of 32
/// KiB made a record a fifth dearer. And small ones, as profiles are written at random: a page is
/// copied for the first write to it while a snapshot is written.
const PAGE_BYTES: usize = 256 * 1024;

/// Every place of a table when it was frozen, free ones too.
pub(crate) type FrozenProfiles = Frozen<Profile, PAGE_BYTES>;

/// Profiles by user. A profile's position stays as long as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct ProfileTable {
    profiles: Pages<Profile, PAGE_BYTES>,
    free: Vec<u32>,
    index: Index,
    seed: HashSeed,
}

impl ProfileTable {
    pub(crate) fn new(seed: HashSeed) -> Self {
        Self::with_capacity(0, seed)
    }

    /// A table with an index for `capacity` profiles.
    pub(crate) fn with_capacity(capacity: usize, seed: HashSeed) -> Self {
        Self {
            profiles: Pages::new(),
            free: Vec::new(),
            index: Index::with_capacity(capacity),
            seed,
        }
    }

    /// Number of profiles.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Number of places, free ones too.
    pub(crate) fn places(&self) -> u32 {
        self.profiles.len() as u32
    }

    /// The hash of a user, to find the places in [`ProfileTable::index`].
    #[inline]
    pub(crate) fn hash(&self, user: &ShortId) -> u64 {
        UserKey::of(user).hash(self.seed)
    }

    /// The index that a user is looked up in, to ask for its memory.
    #[inline]
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// The profile at a position below [`ProfileTable::places`].
    #[inline]
    pub(crate) fn get(&self, place: u32) -> &Profile {
        self.profiles.get(place as usize)
    }

    /// The profile at a position below [`ProfileTable::places`], to be changed.
    #[inline]
    pub(crate) fn at(&mut self, place: u32) -> &mut Profile {
        self.profiles.get_mut(place as usize)
    }

    /// What the table holds at this moment.
    pub(crate) fn freeze(&mut self) -> FrozenProfiles {
        self.profiles.freeze()
    }

    /// The position of a user's profile, and whether it is new: then it is [`Profile::new`].
    #[inline]
    pub(crate) fn find_or_insert(&mut self, user: &ShortId, newest: EventTime) -> (u32, bool) {
        let user = UserKey::of(user);
        let hash = user.hash(self.seed);
        let profiles = &self.profiles;
        let found = self
            .index
            .find(hash, |place| profiles.get(place as usize).user == user);
        if let Some(place) = found {
            return (place, false);
        }
        if self.index.is_full() {
            self.grow();
        }
        let profile = Profile::new(user, newest);
        let place = match self.free.pop() {
            Some(place) => {
                *self.at(place) = profile;
                place
            }
            None => self.profiles.push(profile) as u32,
        };
        self.index.insert(hash, place);
        (place, true)
    }

    /// Frees a place that is not free.
    pub(crate) fn remove(&mut self, place: u32) {
        let user = self.get(place).user;
        if self.index.remove(user.hash(self.seed), |at| at == place) {
            *self.at(place) = Profile::new(UserKey::NOBODY, EventTime::NEVER);
            self.free.push(place);
        }
    }

    /// Makes a larger index by reading the profiles in their order.
    #[cold]
    fn grow(&mut self) {
        let places = self.profiles.iter().zip(0..);
        let taken = places.filter(|(profile, _)| !profile.is_free());
        let hashes = taken.map(|(profile, place)| (profile.user.hash(self.seed), place));
        self.index.grow(hashes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn behaves_as_a_map(steps in prop::collection::vec((any::<bool>(), 0_u32..60), 0..600)) {
            let mut table = ProfileTable::new(HashSeed::FIXED);
            let mut oracle: HashMap<u32, u32> = HashMap::new();
            for (is_insert, number) in steps {
                let user = ShortId::new(&format!("u{number}"), "userId").unwrap();
                if is_insert {
                    let (place, is_new) = table.find_or_insert(&user, EventTime::of_ms(i64::from(number)));
                    prop_assert_eq!(is_new, !oracle.contains_key(&number));
                    prop_assert_eq!(*oracle.entry(number).or_insert(place), place);
                    prop_assert_eq!(table.at(place).newest.ms(), i64::from(number));
                } else if let Some(place) = oracle.remove(&number) {
                    table.remove(place);
                }
                prop_assert_eq!(table.len(), oracle.len());
                let taken = table.profiles.iter().filter(|profile| !profile.is_free());
                prop_assert_eq!(taken.count(), oracle.len());
                prop_assert!(table.places() <= 60);
            }
        }
    }
}
