//! What a windowed job adds up.

use std::fmt::Debug;
use std::num::NonZeroU32;

use millrace_contract::Event;

use super::Group;
use crate::RestoreError;
use crate::snapshot::{StateReader, StateWriter};

/// What a windowed job adds up, and for which keys.
///
/// A group is the events of one key in one window. In memory it is a *line*, whose layout the job
/// owns, as a record waits for the memory of its line: one of 64 bytes, aligned, is one cache line.
/// What few groups have is apart ([`Aggregation::Rare`]), so that the others do not pay for it. All
/// of it together, without the key, are the group's *totals*: what is sent from stage to stage,
/// told early, and written to a state.
///
/// Adding events one by one, or the totals of any grouping of them in any order, must come to the
/// same; an empty line is neutral.
pub trait Aggregation: Clone + Debug + Send + Sync + 'static {
    /// The name of the first stage, for errors.
    const PARTIAL: &'static str;
    /// The name of the second stage, for errors.
    const MERGE: &'static str;

    /// A record of the input.
    type Event: Event;
    /// What tells groups apart.
    type Key: Key;
    /// A group in memory.
    type Line: Line<Key = Self::Key>;
    /// What few groups have; `()` where there is nothing of the kind.
    type Rare: Copy + Default + Debug + Send + Sync + 'static;
    /// What a group adds up to.
    type Totals: Totals;

    /// The key of an event.
    fn key(&self, event: &Self::Event) -> Self::Key;

    /// The line of a group without an event.
    fn open(&self, key: Self::Key) -> Self::Line;

    /// Adds an event to its group. Distinct members are counted by [`Line::count_member`].
    fn add(&self, group: &mut Group<'_, Self>, event: &Self::Event);

    /// What a group adds up to; `rare` is what it has of that, if it has any.
    fn totals(&self, line: &Self::Line, rare: Option<&Self::Rare>) -> Self::Totals;

    /// Makes a group add up to `totals`. They are the totals that the group had with others merged
    /// in, so nothing that it had has to be taken back.
    fn set(&self, group: &mut Group<'_, Self>, totals: &Self::Totals);

    /// Who or what an event comes from, as 96 bits, where a group's distinct ones are counted;
    /// `None` counts none.
    #[inline]
    fn member(&self, _event: &Self::Event) -> Option<(u64, u32)> {
        None
    }
}

/// What tells groups apart.
///
/// A key is told by 16 bytes. Groups come out in the order of these bytes.
pub trait Key: Copy + Eq + Debug + Send + Sync + 'static {
    /// The fewest bytes that a key has in a state.
    const LEAST_LEN: usize;

    /// Keeps in memory what is written of a key beside its 16 bytes, where there is such a thing:
    /// the text of a long id.
    type Held: Clone + Debug + Send + Sync + 'static;

    /// The little-endian halves of the key's 16 bytes. Other keys have others.
    fn words(&self) -> (u64, u64);

    /// Appends the key to a state.
    fn write(&self, writer: &mut StateWriter<'_>);

    /// Reads what [`Key::write`] wrote.
    ///
    /// # Errors
    /// The state ends before, or the bytes are no key.
    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError>;

    /// Whether contributions of this key and another one to the same window are sent in one record:
    /// then they go to one partition. A key goes with itself.
    #[inline]
    fn goes_with(&self, other: &Self) -> bool {
        self == other
    }

    /// Holds what [`Key::Held`] keeps; `None` for a key that needs nothing.
    #[inline]
    fn hold(&self) -> Option<Self::Held> {
        None
    }

    /// Called before the last of what holds these keys is dropped, while they are still to be
    /// written.
    fn release(_keys: impl Iterator<Item = Self>) {}

    /// Runs what reads keys from a state. What is not held afterwards may be dropped.
    fn reading<T>(read: impl FnOnce() -> T) -> T {
        read()
    }
}

/// A group in memory.
pub trait Line: Copy + Debug + Send + Sync + 'static {
    /// What tells groups apart.
    type Key: Key;

    /// The key.
    fn key(&self) -> Self::Key;

    /// Whether one more distinct member would be counted. A job with a bound on them says no once
    /// they are so many: no more are looked up and kept.
    #[inline]
    fn takes_members(&self) -> bool {
        true
    }

    /// Counts one more distinct member. A line whose job counts none has nothing to do.
    #[inline]
    fn count_member(&mut self) {}

    /// Where the group's [`Aggregation::Rare`] is. A line whose job has none has nothing to keep.
    #[inline]
    fn rare(&self) -> RareSlot {
        RareSlot::NONE
    }

    /// Keeps where the group's [`Aggregation::Rare`] is: [`Line::rare`] has to give it back.
    #[inline]
    fn set_rare(&mut self, _slot: RareSlot) {}
}

/// Where a group's [`Aggregation::Rare`] is: four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RareSlot(Option<NonZeroU32>);

impl RareSlot {
    /// The group has none.
    pub const NONE: Self = Self(None);

    /// A place: there are no more of them than groups, which 32 bits number.
    #[inline]
    pub(super) fn of(at: usize) -> Self {
        Self(NonZeroU32::new(at as u32 + 1))
    }

    #[inline]
    pub(super) fn at(self) -> Option<usize> {
        self.0.map(|number| number.get() as usize - 1)
    }
}

/// What a group adds up to.
pub trait Totals: Copy + PartialEq + Debug + Send + Sync + 'static {
    /// The bytes that they have in a state: the fewest, where they may have more.
    const LEN: usize;
    /// Of no events: neutral where totals are merged.
    const EMPTY: Self;

    /// How many events were added: whether a group has grown is told by it.
    fn count(&self) -> u64;

    /// Adds the totals of other events: associative and commutative. Distinct members add up, as
    /// partitions have none in common.
    fn merge(&mut self, other: &Self);

    /// Appends them to a state.
    fn write(&self, writer: &mut StateWriter<'_>);

    /// Reads what [`Totals::write`] wrote.
    ///
    /// # Errors
    /// The state ends before, or the bytes are no totals.
    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError>;
}
