//! The groups of one window.

use super::aggregation::{Aggregation, Key, Line, RareSlot, Totals};
use super::records::Contribution;
use crate::RestoreError;
use crate::hash::HashSeed;
use crate::index::Index;
use crate::pages::Pages;
use crate::snapshot::{StateReader, StateWriter};

const PAGE_BYTES: usize = 64 * 1024;

/// What a job's stages send of a group.
pub(super) type ContributionOf<A> = Contribution<<A as Aggregation>::Key, <A as Aggregation>::Totals>;

/// What keeps what is written of an aggregation's keys.
pub(super) type HeldOf<A> = <<A as Aggregation>::Key as Key>::Held;

/// What one window adds up to, for each key.
#[derive(Debug, Clone)]
pub(super) struct Groups<A: Aggregation> {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    aggregation: A,
    seed: HashSeed,
    /// In the order in which they were first seen: their numbers.
    lines: Pages<A::Line, PAGE_BYTES>,
    /// Of the groups that have any.
    rares: Pages<A::Rare, PAGE_BYTES>,
    /// What the keys need.
    held: Pages<HeldOf<A>, PAGE_BYTES>,
    index: Index,
}

/// A group, to be changed.
#[derive(Debug)]
pub struct Group<'a, A: Aggregation> {
    /// The group in memory.
    pub line: &'a mut A::Line,
    rares: &'a mut Pages<A::Rare, PAGE_BYTES>,
}

impl<A: Aggregation> Group<'_, A> {
    /// What few groups have: the default, if the group had none.
    #[inline]
    pub fn rare(&mut self) -> &mut A::Rare {
        let at = match self.line.rare().at() {
            Some(at) => at,
            None => self.add_rare(),
        };
        self.rares.get_mut(at)
    }

    fn add_rare(&mut self) -> usize {
        let at = self.rares.push(A::Rare::default());
        let slot = RareSlot::of(at);
        self.line.set_rare(slot);
        debug_assert_eq!(
            self.line.rare(),
            slot,
            "a line that has a rare part keeps its place"
        );
        at
    }
}

/// What a group adds up to, with the rare part that `rare` has at a place.
#[inline]
fn totals_of<A: Aggregation>(
    aggregation: &A,
    line: &A::Line,
    rare: impl FnOnce(usize) -> A::Rare,
) -> A::Totals {
    aggregation.totals(line, line.rare().at().map(rare).as_ref())
}

#[inline]
fn hash<K: Key>(seed: HashSeed, key: &K) -> u64 {
    seed.hash_words(key.words())
}

/// The 16 bytes of a key as a number in their order.
pub(super) fn order<K: Key>(key: &K) -> u128 {
    let (low, high) = key.words();
    u128::from(low.swap_bytes()) << 64 | u128::from(high.swap_bytes())
}

impl<A: Aggregation> Groups<A> {
    /// An empty window with room for `capacity` groups.
    pub(super) fn with_capacity(
        aggregation: A,
        (start_ms, end_ms): (i64, i64),
        capacity: usize,
        seed: HashSeed,
    ) -> Self {
        Self {
            start_ms,
            end_ms,
            aggregation,
            seed,
            lines: Pages::with_capacity(capacity),
            rares: Pages::new(),
            held: Pages::new(),
            index: Index::with_capacity(capacity),
        }
    }

    /// Number of groups; their numbers are dense below it.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The hash by which an event's group is found.
    #[inline]
    pub(super) fn hash(&self, event: &A::Event) -> u64 {
        hash(self.seed, &self.aggregation.key(event))
    }

    /// A place that finding the group with a hash reads from: see [`crate::near`].
    #[inline]
    pub(super) fn line(&self, hash: u64) -> &u64 {
        self.index.first_line(hash)
    }

    /// The number that the group with a hash most probably has, and the group.
    #[inline]
    pub(super) fn guess(&self, hash: u64) -> Option<(usize, &A::Line)> {
        let group = self.index.guess(hash)? as usize;
        Some((group, self.lines.get(group)))
    }

    /// Adds an event to its group, and gives the group's number. Distinct members are the caller's
    /// to count: whether one more would be counted is given too.
    #[inline]
    pub(super) fn add(&mut self, event: &A::Event) -> (usize, bool) {
        let key = self.aggregation.key(event);
        let at = self.find_or_insert(&key);
        let mut group = Group {
            line: self.lines.get_mut(at),
            rares: &mut self.rares,
        };
        self.aggregation.add(&mut group, event);
        (at, group.line.takes_members())
    }

    /// The number of a group; a new one is empty.
    #[inline]
    fn find_or_insert(&mut self, key: &A::Key) -> usize {
        let hash = hash(self.seed, key);
        let lines = &self.lines;
        let found = self.index.find(hash, |at| lines.get(at as usize).key() == *key);
        match found {
            Some(group) => group as usize,
            None => self.insert(hash, *key),
        }
    }

    /// Adds a group that is not there; its number.
    fn insert(&mut self, hash: u64, key: A::Key) -> usize {
        if self.index.is_full() {
            let hashes = self.lines.iter().map(|line| self::hash(self.seed, &line.key()));
            self.index.grow(hashes.zip(0..));
        }
        if let Some(held) = key.hold() {
            self.held.push(held);
        }
        let at = self.lines.push(self.aggregation.open(key));
        self.index.insert(hash, at as u32);
        at
    }

    fn totals(&self, line: &A::Line) -> A::Totals {
        totals_of(&self.aggregation, line, |at| *self.rares.get(at))
    }

    /// What an event's group counts it as.
    #[inline]
    pub(super) fn member(&self, event: &A::Event) -> Option<(u64, u32)> {
        self.aggregation.member(event)
    }

    /// Counts one more member of a group.
    #[inline]
    pub(super) fn count_member(&mut self, group: usize) {
        self.lines.get_mut(group).count_member();
    }

    /// Merges what another partition adds to one group.
    pub(super) fn merge(&mut self, key: &A::Key, totals: &A::Totals) {
        let before = self.len();
        let at = self.find_or_insert(key);
        let mut sum = *totals;
        if at < before {
            sum = self.totals(self.lines.get(at));
            sum.merge(totals);
        }
        let mut group = Group {
            line: self.lines.get_mut(at),
            rares: &mut self.rares,
        };
        self.aggregation.set(&mut group, &sum);
    }

    /// To be called before a window that was sent is dropped: its keys are in flight.
    pub(super) fn release(&self) {
        if !self.held.is_empty() {
            A::Key::release(self.lines.iter().map(Line::key));
        }
    }

    fn contribution(&self, line: &A::Line) -> ContributionOf<A> {
        Contribution {
            key: line.key(),
            window_start_ms: self.start_ms,
            window_end_ms: self.end_ms,
            totals: self.totals(line),
        }
    }

    /// The groups by key.
    pub(super) fn sorted(&self) -> impl Iterator<Item = ContributionOf<A>> {
        sorted(self.lines.iter()).map(|line| self.contribution(line))
    }

    /// The groups with more events than `counts` has for them, by key; then `counts` has as many as
    /// they. Groups after its end had none.
    pub(super) fn take_grown(&self, counts: &mut Vec<u64>) -> impl Iterator<Item = ContributionOf<A>> {
        counts.resize(self.len(), 0);
        let grown = self.lines.iter().zip(counts).filter_map(|(line, count)| {
            let present = self.totals(line).count();
            (std::mem::replace(count, present) < present).then_some(line)
        });
        sorted(grown).map(|line| self.contribution(line))
    }

    /// The state of this moment: what is given appends it, in the order in which the groups were
    /// first seen.
    pub(super) fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<A> {
        let (start_ms, end_ms) = (self.start_ms, self.end_ms);
        let (lines, rares) = (self.lines.freeze(), self.rares.freeze());
        let (aggregation, held) = (self.aggregation.clone(), self.held.freeze());
        move |writer| {
            writer.i64(start_ms);
            writer.i64(end_ms);
            writer.count(lines.len());
            lines.for_each_page(|lines| {
                for line in lines {
                    line.key().write(writer);
                    totals_of(&aggregation, line, |at| *rares.get(at)).write(writer);
                }
            });
            // Held until the last of them was written.
            drop(held);
        }
    }

    /// Reads what [`Groups::freeze`] gave.
    pub(super) fn restore(
        reader: &mut StateReader<'_>,
        aggregation: A,
        seed: HashSeed,
    ) -> Result<Self, RestoreError> {
        let at = reader.position();
        let (start_ms, end_ms) = (reader.i64()?, reader.i64()?);
        if start_ms >= end_ms {
            return Err(RestoreError::Invalid { what: "window", at });
        }
        let count = reader.count("groups", A::Key::LEAST_LEN + A::Totals::LEN)?;
        let mut groups = Self::with_capacity(aggregation, (start_ms, end_ms), count, seed);
        for _ in 0..count {
            let at = reader.position();
            let key = A::Key::read(reader)?;
            let totals = A::Totals::read(reader)?;
            let before = groups.len();
            groups.merge(&key, &totals);
            if groups.len() == before {
                return Err(RestoreError::Invalid {
                    what: "group, a second time",
                    at,
                });
            }
        }
        Ok(groups)
    }
}

/// Groups by key.
fn sorted<'a, L: Line>(lines: impl Iterator<Item = &'a L>) -> impl Iterator<Item = &'a L> {
    // With the keys beside them: a comparison that looked into the groups would wait for memory.
    let mut lines: Vec<_> = lines.map(|line| (order(&line.key()), line)).collect();
    lines.sort_unstable_by_key(|(order, _)| *order);
    lines.into_iter().map(|(_, line)| line)
}
