//! Short runs of entries, one for each of many keys: the last entry with the key, the earlier ones
//! in chunks of a shared pool.
//!
//! Most keys have a few at any time, and a few have many: so what is earlier lies in a chunk of one
//! of several lengths, moves to a longer one as it grows, and to the shortest that it fits when it
//! would fill no more than half of its own. The chunk goes back to the pool when a run has one
//! entry or none. A key's share is bounded, and memory is in proportion to what happens.

use std::fmt::Debug;
use std::iter::Chain;
use std::ops::Range;
use std::{option, slice};

use crate::chunks::{Chunks, FrozenChunks};
use crate::near;

/// What a run is made of.
pub trait Entry: Copy + Debug + Send + Sync + 'static {
    /// What lies where no entry is.
    const NONE: Self;
}

/// A key's run: its last entry, and where the earlier ones are. Without any of these there is
/// no chunk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run<E> {
    /// Means nothing in an empty run.
    last: E,
    chunk: u32,
    len: u16,
    class: u8,
}

impl<E: Entry> Run<E> {
    /// A run without entries.
    pub const EMPTY: Self = Self {
        last: E::NONE,
        chunk: 0,
        len: 0,
        class: 0,
    };

    /// How many entries the run has.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether it has none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many of them are in its chunk.
    #[inline]
    fn chunk_len(&self) -> usize {
        self.len().saturating_sub(1)
    }

    /// The entries in its chunk, which is found by class and number.
    #[inline]
    fn earlier<'a>(&self, chunk: impl FnOnce(usize, u32) -> &'a [E]) -> &'a [E] {
        match self.chunk_len() {
            0 => &[],
            len => &chunk(usize::from(self.class), self.chunk)[..len],
        }
    }

    /// The entries, given those of its chunk.
    #[inline]
    fn entries<'a>(&'a self, earlier: &'a [E]) -> Entries<'a, E> {
        let last = (self.len > 0).then_some(&self.last);
        earlier.iter().chain(last)
    }
}

/// The entries of a run, the first one first.
pub type Entries<'a, E> = Chain<slice::Iter<'a, E>, option::IntoIter<&'a E>>;

/// About as large as the pages of slots, for the same reasons.
const PAGE_BYTES: usize = 192 * 1024;
/// The first lengths of chunks; from the last one on they double. With two entries of a key on
/// average, chunks of one too would take a tenth less memory, for twice as many moves from one to
/// another.
const FIRST_LENS: [usize; 4] = [2, 4, 6, 8];

/// Chunks of one capacity.
#[derive(Debug, Clone)]
struct Class<E> {
    entries: Chunks<E, PAGE_BYTES>,
    used: u32,
    free: Vec<u32>,
}

impl<E: Entry> Class<E> {
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
            near::ask(&self.chunk(*next)[0]);
        }
        taken
    }

    #[cold]
    fn take_new(&mut self) -> u32 {
        if self.used as usize == self.entries.count() {
            self.entries.grow(E::NONE);
        }
        self.used += 1;
        self.used - 1
    }

    #[inline]
    fn chunk(&self, chunk: u32) -> &[E] {
        self.entries.get(chunk as usize)
    }

    #[inline]
    fn chunk_mut(&mut self, chunk: u32) -> &mut [E] {
        self.entries.get_mut(chunk as usize)
    }
}

/// The runs of a pool when it was frozen.
#[derive(Debug)]
pub struct FrozenRuns<E> {
    classes: Vec<FrozenChunks<E>>,
}

impl<E: Entry> FrozenRuns<E> {
    /// As [`Runs::entries`].
    pub fn entries<'a>(&'a self, run: &'a Run<E>) -> Entries<'a, E> {
        run.entries(self.earlier(run))
    }

    /// As [`Runs::earlier`].
    #[must_use]
    pub fn earlier(&self, run: &Run<E>) -> &[E] {
        run.earlier(|class, chunk| self.classes[class].get(chunk as usize))
    }
}

/// The pool of all runs of a partition.
#[derive(Debug, Clone)]
pub struct Runs<E> {
    max_len: u16,
    /// From the shortest chunks to those with room for the longest run but its last; none if a run
    /// has no other.
    classes: Vec<Class<E>>,
}

impl<E: Entry> Runs<E> {
    /// A pool for runs of up to `max_len` entries, at least one.
    #[must_use]
    pub fn new(max_len: u16) -> Self {
        let max_len = max_len.max(1);
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

    /// Moves a run of another pool here: its last entries, as many as fit. That pool's chunk
    /// stays taken.
    pub fn adopt(&mut self, other: &Self, run: &mut Run<E>) {
        let mut moved = Run::EMPTY;
        let dropped = run.len().saturating_sub(usize::from(self.max_len));
        for (at, entry) in other.entries(run).skip(dropped).enumerate() {
            self.insert(&mut moved, at, *entry);
        }
        *run = moved;
    }

    /// The most entries in a run.
    #[must_use]
    pub fn max_len(&self) -> u16 {
        self.max_len
    }

    /// The entries of a run.
    #[inline]
    pub fn entries<'a>(&'a self, run: &'a Run<E>) -> Entries<'a, E> {
        run.entries(self.earlier(run))
    }

    /// Those of its chunk.
    #[inline]
    #[must_use]
    pub fn earlier(&self, run: &Run<E>) -> &[E] {
        run.earlier(|class, chunk| self.classes[class].chunk(chunk))
    }

    /// The first and the last entry of a run's chunk, to ask for their memory: see [`crate::near`].
    #[inline]
    #[must_use]
    pub fn ends(&self, run: &Run<E>) -> Option<[&E; 2]> {
        let class = self.classes.get(usize::from(run.class))?;
        let last = run.chunk_len().checked_sub(1)?;
        let chunk = class.chunk(run.chunk);
        Some([&chunk[0], chunk.get(last)?])
    }

    /// What the pool holds at this moment.
    pub fn freeze(&mut self) -> FrozenRuns<E> {
        let frozen = |class: &mut Class<E>| class.entries.freeze();
        FrozenRuns {
            classes: self.classes.iter_mut().map(frozen).collect(),
        }
    }

    /// Drops the first `count` entries.
    #[inline]
    pub fn drop_first(&mut self, run: &mut Run<E>, count: usize) {
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
        // An entry is about to come, as a rule: what would then still fill no more than half of
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

    /// Puts an entry before the one at `at`. A full run drops its first, and that is the new one
    /// if `at` is 0.
    #[inline]
    pub fn insert(&mut self, run: &mut Run<E>, mut at: usize, entry: E) {
        if run.len == self.max_len {
            if at == 0 {
                return;
            }
            self.drop_first(run, 1);
            at -= 1;
        }
        if run.len == 0 {
            run.last = entry;
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
            std::mem::replace(&mut run.last, entry)
        } else {
            entry
        };
        let chunk = self.classes[usize::from(run.class)].chunk_mut(run.chunk);
        chunk.copy_within(at..len, at + 1);
        chunk[at] = earlier;
        run.len += 1;
    }

    /// Puts an entry in the place of those of a range, which may be none.
    pub fn replace(&mut self, run: &mut Run<E>, range: Range<usize>, entry: E) {
        match range.len() {
            0 => self.insert(run, range.start, entry),
            1 => *self.entry_mut(run, range.start) = entry,
            _ => {
                let mut entries: Vec<E> = self.entries(run).copied().collect();
                entries.splice(range, [entry]);
                self.drop_first(run, run.len());
                for (at, entry) in entries.into_iter().enumerate() {
                    self.insert(run, at, entry);
                }
            }
        }
    }

    #[inline]
    fn entry_mut<'a>(&'a mut self, run: &'a mut Run<E>, at: usize) -> &'a mut E {
        if at == run.chunk_len() {
            &mut run.last
        } else {
            &mut self.classes[usize::from(run.class)].chunk_mut(run.chunk)[at]
        }
    }

    /// Moves what is in a run's chunk, without the first `dropped` entries, to one of another
    /// class, which has room.
    fn relocate(&mut self, run: &mut Run<E>, class: usize, dropped: usize) {
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
mod tests;
