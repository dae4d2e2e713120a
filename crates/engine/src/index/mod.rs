//! An open-addressed index of positions, one cache line a bucket.
//!
//! Tables keep their keys in arrays and find them by such an index. A look-up or an insertion
//! touches one line of it, in nearly every case, and that line can be asked for well before it is
//! needed ([`crate::near`]): so a group of records waits for memory once, not once a record.
//!
//! A bucket has room for ten entries: 13 bits of the hash each, so that hardly ever a wrong key is
//! looked at, a position of 32 bits, and how many buckets the entry is from its home. What finds
//! its home full goes on to the next bucket, and each full one that it passes counts it; a look-up
//! goes on only where that count is not 0, and a removal takes it back (the scheme of F14: N.
//! Bronson, X. Shi, "Open-sourcing F14 for faster, more memory-efficient hash tables", 2019). So
//! there are no tombstones, and entries may come and go for ever.

mod bucket;

use bucket::{
    Bucket, FAR, WORDS, detail_at, more_of, passed, position_at, position_place, put, tag_of, tag_place,
    with_tag,
};

use crate::near;

/// Entries for which a bucket is planned; the rest is for those that chance adds.
const PLANNED: usize = 8;
/// Hash and position of what is to be inserted by [`Index::fill`], taken together.
const GROUP: usize = 32;

/// Positions by the hash of what is there.
#[derive(Debug)]
pub struct Index {
    words: Vec<u64>,
    /// Where in `words` the first cache line begins.
    start: usize,
    buckets: usize,
    len: usize,
    /// Removed entries that some buckets still count as passed.
    stuck: usize,
}

/// A copy lies in memory anew.
impl Clone for Index {
    fn clone(&self) -> Self {
        let mut copy = Self::with_buckets(self.buckets);
        let words = self.buckets * WORDS;
        copy.words[copy.start..][..words].copy_from_slice(&self.words[self.start..][..words]);
        copy.len = self.len;
        copy.stuck = self.stuck;
        copy
    }
}

impl Index {
    /// An empty index with room for `capacity` positions.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self::with_buckets(capacity.div_ceil(PLANNED).max(1))
    }

    fn with_buckets(buckets: usize) -> Self {
        // Zeroes that the system has at hand: memory comes with the first write to it.
        let words = vec![0; buckets * WORDS + WORDS - 1];
        let start = words.as_ptr().align_offset(64).min(WORDS - 1);
        Self {
            words,
            start,
            buckets,
            len: 0,
            stuck: 0,
        }
    }

    /// How many positions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many positions it is planned for. More make it slower, and only at a quarter more is
    /// there no room.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buckets * PLANNED
    }

    /// Whether another one is due before the next insertion: as it is full, or as too many counts
    /// are stuck.
    #[inline]
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len >= self.capacity() || self.stuck > self.buckets
    }

    /// How many buckets there are, to be cleaned one by one.
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.buckets
    }

    /// A word of the bucket that a hash leads to first, to ask for its memory: see [`crate::near`].
    #[inline]
    #[must_use]
    pub fn first_line(&self, hash: u64) -> &u64 {
        &self.bucket(self.home(hash))[0]
    }

    /// A word of the next bucket, where a look-up goes on to that, else of the first. To be asked
    /// once that is near.
    #[inline]
    #[must_use]
    pub fn next_line(&self, hash: u64) -> &u64 {
        let home = self.home(hash);
        let after = self.after(home);
        // No branch: the processor could not foresee it.
        let goes_on = usize::from(passed(self.bucket(home)) != 0);
        &self.bucket(home.wrapping_add(goes_on.wrapping_mul(after.wrapping_sub(home))))[0]
    }

    /// The position in the first bucket of a hash that it most probably leads to, without a look at
    /// what is there: for a hint, no more.
    #[inline]
    #[must_use]
    pub fn guess(&self, hash: u64) -> Option<u32> {
        let words = self.bucket(self.home(hash));
        let mut candidates = with_tag(words, tag_of(hash));
        while candidates != 0 {
            let slot = candidates.trailing_zeros() as usize;
            if detail_at(words, slot) >> 3 == more_of(hash) {
                return Some(position_at(words, slot));
            }
            candidates &= candidates - 1;
        }
        None
    }

    /// The position with a hash for which `is_it`.
    #[inline]
    pub fn find(&self, hash: u64, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.find_place(hash, is_it).map(|(_, _, position)| position)
    }

    /// Adds a position that is not there. One call at least after each [`Index::is_full`].
    #[inline]
    pub fn insert(&mut self, hash: u64, position: u32) {
        let mut bucket = self.home(hash);
        let mut distance = 0;
        // Ends, as there is room somewhere: a fifth of it, or the owner has not asked whether it is
        // full.
        loop {
            let words = self.bucket_mut(bucket);
            let free = with_tag(words, 0);
            if free != 0 {
                put(words, free.trailing_zeros() as usize, hash, distance, position);
                self.len += 1;
                return;
            }
            words[2] += 1 << 32;
            bucket = self.after(bucket);
            distance += 1;
        }
    }

    /// Makes the index anew for twice as many; `entries` are all that are in it, with their hashes.
    #[cold]
    pub fn grow(&mut self, entries: impl Iterator<Item = (u64, u32)>) {
        let mut larger = Self::with_capacity((self.len * 2).max(16));
        larger.fill(entries);
        *self = larger;
    }

    /// Adds positions that are not there, with their hashes.
    pub fn fill(&mut self, mut entries: impl Iterator<Item = (u64, u32)>) {
        let mut group = [(0, 0); GROUP];
        loop {
            let mut count = 0;
            for (place, entry) in group.iter_mut().zip(&mut entries) {
                *place = entry;
                count += 1;
            }
            group[..count]
                .iter()
                .for_each(|entry| near::ask(self.first_line(entry.0)));
            for &(hash, position) in &group[..count] {
                self.insert(hash, position);
            }
            if count < GROUP {
                return;
            }
        }
    }

    /// Removes the position with a hash for which `is_it`; whether it was there.
    pub fn remove(&mut self, hash: u64, is_it: impl FnMut(u32) -> bool) -> bool {
        let found = self.find_place(hash, is_it);
        if let Some((bucket, slot, _)) = found {
            self.clear(bucket, slot);
        }
        found.is_some()
    }

    /// Removes the positions in one bucket for which `is_gone`, which is asked of free places too:
    /// of what was there before, or 0.
    #[inline]
    pub fn clean(&mut self, bucket: usize, mut is_gone: impl FnMut(u32) -> bool) {
        let words = self.bucket(bucket);
        // No branch a slot: a processor could foresee none of them.
        let pairs = &words[position_place(0).0..];
        let mut gone = pairs.iter().enumerate().fold(0, |gone, (pair, &word)| {
            let [first, second] =
                [word as u32, (word >> 32) as u32].map(|position| u32::from(is_gone(position)));
            gone | (first | second << 1) << (2 * pair)
        });
        gone &= !with_tag(words, 0);
        while gone != 0 {
            self.clear(bucket, gone.trailing_zeros() as usize);
            gone &= gone - 1;
        }
    }

    fn clear(&mut self, bucket: usize, slot: usize) {
        let words = self.bucket_mut(bucket);
        let distance = detail_at(words, slot) & FAR;
        let (word, shift) = tag_place(slot);
        words[word] &= !(0xff << shift);
        self.len -= 1;
        if distance == FAR {
            self.stuck += FAR;
            return;
        }
        let mut passed = bucket;
        for _ in 0..distance {
            passed = if passed == 0 { self.buckets } else { passed } - 1;
            self.bucket_mut(passed)[2] -= 1 << 32;
        }
    }

    /// Bucket, slot and position.
    #[inline]
    fn find_place(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<(usize, usize, u32)> {
        let mut bucket = self.home(hash);
        for _ in 0..self.buckets {
            let words = self.bucket(bucket);
            let mut candidates = with_tag(words, tag_of(hash));
            while candidates != 0 {
                let slot = candidates.trailing_zeros() as usize;
                let position = position_at(words, slot);
                if detail_at(words, slot) >> 3 == more_of(hash) && is_it(position) {
                    return Some((bucket, slot, position));
                }
                candidates &= candidates - 1;
            }
            if passed(words) == 0 {
                return None;
            }
            bucket = self.after(bucket);
        }
        None
    }

    /// The high half of the hash, as a fraction of the buckets (D. Lemire, 2019).
    #[inline]
    fn home(&self, hash: u64) -> usize {
        (((hash >> 32) * self.buckets as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets { 0 } else { bucket + 1 }
    }

    #[inline]
    fn bucket(&self, bucket: usize) -> &Bucket {
        &self.words[self.start..].as_chunks().0[bucket]
    }

    #[inline]
    fn bucket_mut(&mut self, bucket: usize) -> &mut Bucket {
        &mut self.words[self.start..].as_chunks_mut().0[bucket]
    }
}

#[cfg(test)]
mod tests {
    use super::bucket::{ENTRIES, tag_at};
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u32),
        Remove(u32),
        Clean(usize, u32),
        Clone,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => (0_u32..60).prop_map(Step::Insert),
            6 => (0_u32..60).prop_map(Step::Remove),
            1 => (0_usize..8, 2_u32..5).prop_map(|(bucket, factor)| Step::Clean(bucket, factor)),
            1 => Just(Step::Clone),
        ]
    }

    /// Few homes and few tags, so that most entries are away from home and share a tag.
    fn hash(position: u32) -> u64 {
        u64::from(position % 3) << 62 | u64::from(position % 5)
    }

    fn positions(index: &Index) -> HashSet<u32> {
        let at = |bucket| {
            let words = index.bucket(bucket);
            (0..ENTRIES)
                .filter(|&slot| tag_at(words, slot) != 0)
                .map(|slot| position_at(words, slot))
        };
        (0..index.buckets()).flat_map(at).collect()
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(steps in prop::collection::vec(step(), 0..400)) {
            let mut index = Index::with_capacity(0);
            let mut oracle = HashSet::new();
            for step in steps {
                match step {
                    Step::Insert(position) => {
                        if oracle.insert(position) {
                            if index.is_full() {
                                let mut larger = Index::with_capacity(index.len() * 2);
                                larger.fill(positions(&index).into_iter().map(|at| (hash(at), at)));
                                index = larger;
                            }
                            index.insert(hash(position), position);
                        }
                    }
                    Step::Remove(position) => {
                        let was_there = index.remove(hash(position), |at| at == position);
                        prop_assert_eq!(was_there, oracle.remove(&position));
                    }
                    Step::Clean(bucket, factor) if bucket < index.buckets() => {
                        let before = positions(&index);
                        index.clean(bucket, |at| at.is_multiple_of(factor));
                        let gone: Vec<u32> = before.difference(&positions(&index)).copied().collect();
                        prop_assert!(gone.iter().all(|at| at.is_multiple_of(factor)));
                        oracle.retain(|at| !gone.contains(at));
                    }
                    Step::Clean(..) => {}
                    Step::Clone => index = index.clone(),
                }
                prop_assert_eq!(index.len(), oracle.len());
                for position in 0..60 {
                    let found = index.find(hash(position), |at| at == position);
                    prop_assert_eq!(found.is_some(), oracle.contains(&position));
                }
            }
            for bucket in 0..index.buckets() {
                index.clean(bucket, |_| true);
            }
            prop_assert!(index.is_empty());
            let counts = index.words[index.start..].as_chunks::<WORDS>().0.iter().map(|words| words[2] >> 32);
            prop_assert_eq!(counts.sum::<u64>(), index.stuck as u64, "nothing else is left that was passed");
        }
    }

    #[test]
    fn a_bucket_is_a_cache_line() {
        let index = Index::with_capacity(1_000).clone();
        assert_eq!(index.bucket(0).as_ptr().align_offset(64), 0);
    }
}
