//! The recent purchases of users: a short sorted run for each, in chunks of a shared pool.
//!
//! Most users have a few at any time, and a few have many: so a run lies in a chunk of one of several lengths, moves to
//! a longer one as it grows, and to the shortest that it fits when it would fill no more than half of its own. The chunk
//! goes back to the pool when the run is empty. A user's share is bounded, and memory is in proportion to what happens.

use millrace_domain::TransactionId;
use millrace_engine::chunks::{Chunks, FrozenChunks};
use millrace_engine::near;

/// The most that a run may ever hold: one more than the most that the velocity rule may allow.
pub(crate) const MAX_RUN_LEN: u16 = 1_001;

/// A purchase in a run: 24 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Recent {
    /// The low half of its event time: with the user's highest event time, less than 49 days later, it gives the whole.
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

/// Where a user's run is. Without entries there is no chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    chunk: u32,
    len: u16,
    class: u8,
}

impl Run {
    pub(crate) const EMPTY: Self = Self {
        chunk: 0,
        len: 0,
        class: 0,
    };

    /// How many purchases the run has.
    #[inline]
    pub(crate) fn len(self) -> usize {
        usize::from(self.len)
    }
}

/// As large as the pages of profiles, for the same reasons.
const PAGE_BYTES: usize = 8_192 * size_of::<Recent>();
/// The first lengths of chunks; from the last one on they double. With two purchases of a user in the span on average,
/// chunks of powers of two took a third more memory, for as many moves from one to another.
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

    /// A chunk that is nobody's. The one that comes next is asked for meanwhile, as it may have been free for long.
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
    pub(crate) fn entries(&self, run: Run) -> &[Recent] {
        if run.len == 0 {
            return &[];
        }
        &self.classes[usize::from(run.class)].get(run.chunk as usize)[..run.len()]
    }
}

/// The pool of all runs of a partition.
#[derive(Debug, Clone)]
pub(crate) struct RecentPool {
    classes: Vec<Class>,
}

impl RecentPool {
    /// A pool for runs of up to `max_len` purchases, from 1 to [`MAX_RUN_LEN`].
    pub(crate) fn new(max_len: u16) -> Self {
        let max_len = usize::from(max_len.clamp(1, MAX_RUN_LEN));
        let last = FIRST_LENS[FIRST_LENS.len() - 1];
        let doubling = (1..).map(|bits| last << bits);
        let shorter = FIRST_LENS
            .into_iter()
            .chain(doubling)
            .take_while(|&len| len < max_len);
        let classes = shorter.chain([max_len]).map(Class::new).collect();
        Self { classes }
    }

    /// The most purchases in a run.
    pub(crate) fn max_len(&self) -> usize {
        self.classes.last().map_or(0, Class::capacity)
    }

    /// The purchases of a run, the earliest first; of those with one event time, the first to come.
    #[inline]
    pub(crate) fn entries(&self, run: Run) -> &[Recent] {
        if run.len == 0 {
            return &[];
        }
        &self.classes[usize::from(run.class)].chunk(run.chunk)[..run.len()]
    }

    /// Places in the first and the last purchase of a run: see [`millrace_engine::near`].
    #[inline]
    pub(crate) fn ends(&self, run: Run) -> Option<[&u32; 2]> {
        let class = self.classes.get(usize::from(run.class))?;
        let last = run.len().checked_sub(1)?;
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
        let len = run.len();
        if count == 0 {
            return;
        }
        let class = &mut self.classes[usize::from(run.class)];
        if count >= len {
            if len > 0 {
                class.free.push(run.chunk);
            }
            *run = Run::EMPTY;
            return;
        }
        // A purchase is about to come, as a rule: what would then still fill no more than half of the chunk moves.
        let left = len - count;
        if (left + 1) * 2 <= class.capacity() && run.class > 0 {
            let fitting = self.classes.partition_point(|class| class.capacity() <= left);
            self.relocate(run, fitting, count);
            return;
        }
        class.chunk_mut(run.chunk).copy_within(count..len, 0);
        run.len -= count as u16;
    }

    /// Puts a purchase before the one at `at`. A full run drops its first, and that is the new one if `at` is 0.
    #[inline]
    pub(crate) fn insert(&mut self, run: &mut Run, mut at: usize, recent: Recent) {
        if run.len() == self.max_len() {
            if at == 0 {
                return;
            }
            self.drop_first(run, 1);
            at -= 1;
        }
        let len = run.len();
        if len == 0 {
            run.chunk = self.classes[0].take();
            run.class = 0;
        } else if len == self.classes[usize::from(run.class)].capacity() {
            self.relocate(run, usize::from(run.class) + 1, 0);
        }
        let chunk = self.classes[usize::from(run.class)].chunk_mut(run.chunk);
        chunk.copy_within(at..len, at + 1);
        chunk[at] = recent;
        run.len += 1;
    }

    /// Moves a run, without its first `dropped` purchases, to a chunk of another class, which has room for them.
    fn relocate(&mut self, run: &mut Run, class: usize, dropped: usize) {
        let (old, chunk, len) = (
            usize::from(run.class),
            self.classes[class].take(),
            run.len() - dropped,
        );
        let (smaller, larger) = self.classes.split_at_mut(old.max(class));
        let (from, to) = if class > old {
            (&mut smaller[old], &mut larger[0])
        } else {
            (&mut larger[0], &mut smaller[class])
        };
        to.chunk_mut(chunk)[..len].copy_from_slice(&from.chunk(run.chunk)[dropped..][..len]);
        from.free.push(run.chunk);
        *run = Run {
            chunk,
            len: len as u16,
            class: class as u8,
        };
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
                    prop_assert_eq!(pool.entries(*run), &expected[..]);
                }
                let taken: usize = pool.classes.iter().map(|class| class.used as usize - class.free.len()).sum();
                prop_assert_eq!(taken, oracle.iter().filter(|run| !run.is_empty()).count());
            }
        }

        #[test]
        fn a_time_comes_back_from_its_low_half(newest in 0_i64..253_402_300_799_999, age in 0_i64..86_400_000) {
            let entry = recent((newest - age) as u32);
            prop_assert_eq!(entry.time_ms(newest), newest - age);
        }
    }
}
