//! The profiles of a partition's users: an open-addressed table of positions over pages of profiles.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use millrace_domain::ShortId;
use millrace_engine::HashSeed;

use crate::pages::Pages;
use crate::profile::Profile;

type User = [u8; ShortId::MAX_LEN];

/// Profiles by user. A profile's position stays as long as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct ProfileTable {
    profiles: Pages<Profile>,
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
        Self {
            profiles: Pages::new(),
            free: Vec::new(),
            index: HashTable::new(),
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
        self.profiles.get_mut(place)
    }

    /// Every profile, in the order of places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.iter().filter(|profile| !profile.is_free())
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
            |&place| profiles.get(place).user == user,
            |&place| hash(seed, &profiles.get(place).user),
        );
        match entry {
            Entry::Occupied(occupied) => (*occupied.get(), false),
            Entry::Vacant(vacant) => {
                let profile = Profile::new(user, newest_ms);
                let place = match self.free.pop() {
                    Some(place) => {
                        *profiles.get_mut(place) = profile;
                        place
                    }
                    None => profiles.push(profile),
                };
                vacant.insert(place);
                (place, true)
            }
        }
    }

    /// Frees a place that is not free.
    pub(crate) fn remove(&mut self, place: u32) {
        let user = self.profiles.get(place).user;
        let found = self.index.find_entry(hash(self.seed, &user), |&at| at == place);
        if let Ok(entry) = found {
            entry.remove();
            *self.profiles.get_mut(place) = Profile::new([0; ShortId::MAX_LEN], 0);
            self.free.push(place);
        }
    }

    /// Makes a larger index by reading the profiles in their order: the index's own growth would read them in the
    /// order of their hashes, at a cache miss each.
    #[cold]
    fn grow(&mut self) {
        let mut index = HashTable::with_capacity((self.index.len() * 2).max(16));
        let (profiles, seed) = (&self.profiles, self.seed);
        for place in 0..profiles.len() as u32 {
            let profile = profiles.get(place);
            if !profile.is_free() {
                index.insert_unique(hash(seed, &profile.user), place, |&at| {
                    hash(seed, &profiles.get(at).user)
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
                prop_assert_eq!(table.iter().count(), oracle.len());
                prop_assert!(table.places() <= 60);
            }
        }
    }
}
