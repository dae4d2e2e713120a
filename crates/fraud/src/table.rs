//! The profiles of a partition's users: an open-addressed table of positions over pages of profiles.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use millrace_domain::ShortId;
use millrace_engine::HashSeed;
use millrace_engine::pages::{Frozen, Pages};

use crate::profile::Profile;

type User = [u8; ShortId::MAX_LEN];

/// Small pages, as profiles are written at random: 256 profiles are copied for the first write to any of them while a
/// snapshot is written.
const PAGE_BYTES: usize = 32 * 1024;

/// Every place of a table when it was frozen, free ones too.
pub(crate) type FrozenProfiles = Frozen<Profile, PAGE_BYTES>;

/// Profiles by user. A profile's position stays as long as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct ProfileTable {
    profiles: Pages<Profile, PAGE_BYTES>,
    free: Vec<u32>,
    index: HashTable<u32>,
    seed: HashSeed,
}

#[inline]
fn hash(seed: HashSeed, user: &User) -> u64 {
    let mut key = [0; 16];
    key[..user.len()].copy_from_slice(user);
    seed.hash(&key)
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
            index: HashTable::with_capacity(capacity),
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

    /// The profile at a position below [`ProfileTable::places`].
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
    pub(crate) fn find_or_insert(&mut self, user: ShortId, newest_ms: i64) -> (u32, bool) {
        if self.index.len() == self.index.capacity() {
            self.grow();
        }
        let user = user.to_padded();
        let (profiles, seed) = (&mut self.profiles, self.seed);
        let entry = self.index.entry(
            hash(seed, &user),
            |&place| profiles.get(place as usize).user == user,
            |&place| hash(seed, &profiles.get(place as usize).user),
        );
        match entry {
            Entry::Occupied(occupied) => (*occupied.get(), false),
            Entry::Vacant(vacant) => {
                let profile = Profile::new(user, newest_ms);
                let place = match self.free.pop() {
                    Some(place) => {
                        *profiles.get_mut(place as usize) = profile;
                        place
                    }
                    None => profiles.push(profile) as u32,
                };
                vacant.insert(place);
                (place, true)
            }
        }
    }

    /// Frees a place that is not free.
    pub(crate) fn remove(&mut self, place: u32) {
        let user = self.profiles.get(place as usize).user;
        let found = self.index.find_entry(hash(self.seed, &user), |&at| at == place);
        if let Ok(entry) = found {
            entry.remove();
            *self.profiles.get_mut(place as usize) = Profile::new([0; ShortId::MAX_LEN], 0);
            self.free.push(place);
        }
    }

    /// Makes a larger index by reading the profiles in their order: the index's own growth would read them in the
    /// order of their hashes, at a cache miss each.
    #[cold]
    fn grow(&mut self) {
        let mut index = HashTable::with_capacity((self.index.len() * 2).max(16));
        let (profiles, seed) = (&self.profiles, self.seed);
        for (place, profile) in profiles.iter().enumerate() {
            if !profile.is_free() {
                index.insert_unique(hash(seed, &profile.user), place as u32, |&at| {
                    hash(seed, &profiles.get(at as usize).user)
                });
            }
        }
        self.index = index;
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
                    let (place, is_new) = table.find_or_insert(user, i64::from(number));
                    prop_assert_eq!(is_new, !oracle.contains_key(&number));
                    prop_assert_eq!(*oracle.entry(number).or_insert(place), place);
                    prop_assert_eq!(table.at(place).newest_ms, i64::from(number));
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
