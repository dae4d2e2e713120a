//! The recent purchases of users: a short sorted run for each, the last with the user, the earlier
//! ones in chunks of a shared pool.
//!
//! Most users have a few at any time, and a few have many: so what is earlier lies in a chunk of
//! one of several lengths, moves to a longer one as it grows, and to the shortest that it fits when
//! it would fill no more than half of its own. The chunk goes back to the pool when a run has one
//! purchase or none. A user's share is bounded, and memory is in proportion to what happens.

use std::iter::Chain;
use std::{option, slice};

use millrace_domain::TransactionId;
use millrace_engine::chunks::{Chunks, FrozenChunks};
use millrace_engine::near;

/// The most that a run may ever hold: one more than the most that the velocity rule may allow.
pub(crate) const MAX_RUN_LEN: u16 = 1_001;

/// A purchase in a run: 24 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Recent {
    /// The low half of its event time: with the user's highest event time, less than 49 days later,
    /// it gives the whole.
    pub(crate) time_low: u32,
    /// The amount as a multiple of the user's usual one when it came; 0 while that was unknown.
    pub(crate) ratio: f32,
    /// Its id.
    pub(crate) id: TransactionId,
}

impl Recent {
    const NONE: Self = Self {
        time_low: 0,
        ratio: 0.0,
        id: TransactionId::from_bytes([0; 16]),
    };

    /// The event time, given a time that is at or less than 49 days after it.
    #[inline]
    pub(crate) fn time_ms(&self, newest_ms: i64) -> i64 {
        newest_ms - i64::from((newest_ms as u32).wrapping_sub(self.time_low))
    }
}

/// A user's run: its last purchase, and where the earlier ones are. Without any of these there is
/// no chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Run {
    /// Means nothing in an empty run.
    last: Recent,
    chunk: u32,
    len: u16,
    class: u8,
}

impl Run {
    pub(crate) const EMPTY: Self = Self {
        last: Recent::NONE,
        chunk: 0,
        len: 0,
        class: 0,
    };

    /// How many purchases the run has.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// How many of them are in its chunk.
    #[inline]
    fn chunk_len(&self) -> usize {
        self.len().saturating_sub(1)
    }

    /// The purchases in its chunk, which is found by class and number.
    #[inline]
    fn earlier<'a>(&self, chunk: impl FnOnce(usize, u32) -> &'a [Recent]) -> &'a [Recent] {
        match self.chunk_len() {
            0 => &[],
            len => &chunk(usize::from(self.class), self.chunk)[..len],
        }
    }

    /// The purchases, given those of its chunk.
    #[inline]
    fn entries<'a>(&'a self, earlier: &'a [Recent]) -> Entries<'a> {
        let last = (self.len > 0).then_some(&self.last);
        earlier.iter().chain(last)
    }
}

/// The purchases of a run, the earliest first; of those with one event time, the first to come.
pub(crate) type Entries<'a> = Chain<slice::Iter<'a, Recent>, option::IntoIter<&'a Recent>>;

/// As large as the pages of profiles, for the same reasons.
const PAGE_BYTES: usize = 8_192 * size_of::<Recent>();
/// The first lengths of chunks; from the last one on they double. With two purchases of a user in
/// the span on average, chunks of one too would take a tenth less memory, for twice as many moves
/// from one to another.
const FIRST_LENS: [usize; 4] = [2, 4, 6, 8];

/// Chunks of one capacity.
#[derive(Debug, Clone)]
struct Class {
    entries: Chunks<Recent, PAGE_BYTES>,
    used: u32,
    free: Vec<u32>,
}

impl Class {
    fn new(capacity: usize) -> Self {
        Self {
            entries: Chunks::new(capacity),
            used: 0,
            free: Vec::new(),
        }
    }

    #[inline]
    fn capacity(&self) -> usize {
        self.entries.chunk_len()
    }

    /// A chunk that is nobody's. The one that comes next is asked for meanwhile, as it may have
    /// been free for long.
    #[inline]
    fn take(&mut self) -> u32 {
        let taken = self.free.pop().unwrap_or_else(|| self.take_new());
        if let Some(next) = self.free.last() {
            near::ask(&self.chunk(*next)[0].time_low);
        }
        taken
    }

    #[cold]
    fn take_new(&mut self) -> u32 {
        if self.used as usize == self.entries.count() {
            self.entries.grow(Recent::NONE);
        }
        self.used += 1;
        self.used - 1
    }

    #[inline]
    fn chunk(&self, chunk: u32) -> &[Recent] {
        self.entries.get(chunk as usize)
    }

    #[inline]
    fn chunk_mut(&mut self, chunk: u32) -> &mut [Recent] {
        self.entries.get_mut(chunk as usize)
    }
}

/// The runs of a pool when it was frozen.
pub(crate) struct FrozenRecent {
    classes: Vec<FrozenChunks<Recent>>,
}

impl FrozenRecent {
    /// As [`RecentPool::entries`].
    pub(crate) fn entries<'a>(&'a self, run: &'a Run) -> Entries<'a> {
        run.entries(self.earlier(run))
    }

    /// As [`RecentPool::earlier`].
    pub(crate) fn earlier(&self, run: &Run) -> &[Recent] {
        run.earlier(|class, chunk| self.classes[class].get(chunk as usize))
    }
}

/// The pool of all runs of a partition.
#[derive(Debug, Clone)]
pub(crate) struct RecentPool {
    max_len: u16,
    /// From the shortest chunks to those with room for the longest run but its last; none if a run
    /// has no other.
    classes: Vec<Class>,
}

impl RecentPool {
    /// A pool for runs of up to `max_len` purchases, from 1 to [`MAX_RUN_LEN`].
    pub(crate) fn new(max_len: u16) -> Self {
        let max_len = max_len.clamp(1, MAX_RUN_LEN);
        let longest = usize::from(max_len) - 1;
        let last = FIRST_LENS[FIRST_LENS.len() - 1];
        let doubling = (1..).map(|bits| last << bits);
        let shorter = FIRST_LENS
            .into_iter()
            .chain(doubling)
            .take_while(|&len| len < longest);
        let longest = (longest > 0).then_some(longest);
        let classes = shorter.chain(longest).map(Class::new).collect();
        Self { max_len, classes }
    }

    /// Moves a run of another pool here: its last purchases, as many as fit. That pool's chunk
    /// stays taken.
    pub(crate) fn adopt(&mut self, other: &Self, run: &mut Run) {
        let mut moved = Run::EMPTY;
        let dropped = run.len().saturating_sub(usize::from(self.max_len));
        for (at, recent) in other.entries(run).skip(dropped).enumerate() {
            self.insert(&mut moved, at, *recent);
        }
        *run = moved;
    }

    /// The most purchases in a run.
    pub(crate) fn max_len(&self) -> u16 {
        self.max_len
    }

    /// The purchases of a run.
    #[inline]
    pub(crate) fn entries<'a>(&'a self, run: &'a Run) -> Entries<'a> {
        run.entries(self.earlier(run))
    }

    /// Those of its chunk.
    #[inline]
    pub(crate) fn earlier(&self, run: &Run) -> &[Recent] {
        run.earlier(|class, chunk| self.classes[class].chunk(chunk))
    }

    /// Places in the first and the last purchase of a run's chunk: see [`millrace_engine::near`].
    #[inline]
    pub(crate) fn ends(&self, run: &Run) -> Option<[&u32; 2]> {
        let class = self.classes.get(usize::from(run.class))?;
        let last = run.chunk_len().checked_sub(1)?;
        let chunk = class.chunk(run.chunk);
        Some([&chunk[0].time_low, &chunk.get(last)?.time_low])
    }

    /// What the pool holds at this moment.
    pub(crate) fn freeze(&mut self) -> FrozenRecent {
        let frozen = |class: &mut Class| class.entries.freeze();
        FrozenRecent {
            classes: self.classes.iter_mut().map(frozen).collect(),
        }
    }

    /// Drops the first `count` purchases.
    #[inline]
    pub(crate) fn drop_first(&mut self, run: &mut Run, count: usize) {
        let len = run.chunk_len();
        if count == 0 {
            return;
        }
        if count >= len {
            if len > 0 {
                self.classes[usize::from(run.class)].free.push(run.chunk);
            }
            if count > len {
                *run = Run::EMPTY;
            } else {
                run.len = 1;
            }
            return;
        }
        // A purchase is about to come, as a rule: what would then still fill no more than half of
        // the chunk moves.
        let left = len - count;
        let class = &mut self.classes[usize::from(run.class)];
        if (left + 1) * 2 <= class.capacity() && run.class > 0 {
            let fitting = self.classes.partition_point(|class| class.capacity() <= left);
            self.relocate(run, fitting, count);
            return;
        }
        class.chunk_mut(run.chunk).copy_within(count..len, 0);
        run.len -= count as u16;
    }

    /// Puts a purchase before the one at `at`. A full run drops its first, and that is the new one
    /// if `at` is 0.
    #[inline]
    pub(crate) fn insert(&mut self, run: &mut Run, mut at: usize, recent: Recent) {
        if run.len == self.max_len {
            if at == 0 {
                return;
            }
            self.drop_first(run, 1);
            at -= 1;
        }
        if run.len == 0 {
            run.last = recent;
            run.len = 1;
            return;
        }
        let len = run.chunk_len();
        if len == 0 {
            run.chunk = self.classes[0].take();
            run.class = 0;
        } else if len == self.classes[usize::from(run.class)].capacity() {
            self.relocate(run, usize::from(run.class) + 1, 0);
        }
        let earlier = if at > len {
            at = len;
            std::mem::replace(&mut run.last, recent)
        } else {
            recent
        };
        let chunk = self.classes[usize::from(run.class)].chunk_mut(run.chunk);
        chunk.copy_within(at..len, at + 1);
        chunk[at] = earlier;
        run.len += 1;
    }

    /// Moves what is in a run's chunk, without the first `dropped` purchases, to one of another
    /// class, which has room.
    fn relocate(&mut self, run: &mut Run, class: usize, dropped: usize) {
        let (old, chunk, len) = (
            usize::from(run.class),
            self.classes[class].take(),
            run.chunk_len() - dropped,
        );
        let (smaller, larger) = self.classes.split_at_mut(old.max(class));
        let (from, to) = if class > old {
            (&mut smaller[old], &mut larger[0])
        } else {
            (&mut larger[0], &mut smaller[class])
        };
        to.chunk_mut(chunk)[..len].copy_from_slice(&from.chunk(run.chunk)[dropped..][..len]);
        from.free.push(run.chunk);
        run.chunk = chunk;
        run.len -= dropped as u16;
        run.class = class as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recent(number: u32) -> Recent {
        Recent {
            time_low: number,
            ..Recent::NONE
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(usize, usize, u32),
        DropFirst(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0_usize..20, 0_usize..20, any::<u32>()).prop_map(|(run, at, number)| Step::Insert(run, at, number)),
            1 => (0_usize..20, 0_usize..14).prop_map(|(run, count)| Step::DropFirst(run, count)),
        ]
    }

    proptest! {
        #[test]
        fn runs_behave_as_vectors_and_chunks_are_used_again(
            max_len in 1_u16..14,
            steps in prop::collection::vec(step(), 0..300),
        ) {
            let mut pool = RecentPool::new(max_len);
            let mut runs = [Run::EMPTY; 20];
            let mut oracle: Vec<Vec<Recent>> = vec![Vec::new(); 20];
            for step in steps {
                match step {
                    Step::Insert(run, at, number) => {
                        let at = at.min(oracle[run].len());
                        pool.insert(&mut runs[run], at, recent(number));
                        oracle[run].insert(at, recent(number));
                        if oracle[run].len() > usize::from(max_len) {
                            oracle[run].remove(0);
                        }
                    }
                    Step::DropFirst(run, count) => {
                        pool.drop_first(&mut runs[run], count);
                        let count = count.min(oracle[run].len());
                        oracle[run].drain(..count);
                    }
                }
                for (run, expected) in runs.iter().zip(&oracle) {
                    prop_assert!(pool.entries(run).eq(expected));
                }
                let taken: usize = pool.classes.iter().map(|class| class.used as usize - class.free.len()).sum();
                prop_assert_eq!(taken, oracle.iter().filter(|run| run.len() > 1).count());
            }
        }

        #[test]
        fn a_time_comes_back_from_its_low_half(newest in 0_i64..253_402_300_799_999, age in 0_i64..86_400_000) {
            let entry = recent((newest - age) as u32);
            prop_assert_eq!(entry.time_ms(newest), newest - age);
        }
    }
}
