//! What is kept of a record until its outcome is known.

use std::fmt::Debug;
use std::hash::Hash;

use serde::Serialize;

/// What the ledger counts a record as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The first record of its id: the one that consumers count.
    First,
    /// A known id again, with the same payload or another.
    Repeat,
    /// What no consumer can take.
    Malformed,
    /// What belongs to other records, on a topic of its own: it is counted apart and enters no sum.
    Aside,
}

/// What is kept of a record until its outcome is known, and what the ledger adds up of it.
///
/// One is kept for each record in flight, in a table made at the start: it should be small.
pub trait Entry: Send + 'static {
    /// By what sums are kept apart, beside their window.
    type Key: Copy + Ord + Hash + Debug + Send + 'static;
    /// What is added up of the records of one window and key.
    type Sums: Clone + Debug + Default + Send + 'static;
    /// These as they are written to the ledger.
    type Line: Clone + Debug + Serialize + Send + 'static;

    /// What it counts as.
    fn class(&self) -> Class;

    /// Event time in milliseconds since 1970.
    fn event_time_ms(&self) -> i64;

    /// Which sums it enters.
    fn key(&self) -> Self::Key;

    /// Adds its record to sums.
    fn add_to(&self, sums: &mut Self::Sums);

    /// Adds other sums to these.
    fn merge(sums: &mut Self::Sums, other: &Self::Sums);

    /// Sums as a line of the ledger; `start_ms` is the start of their window in milliseconds since
    /// 1970.
    fn line(start_ms: i64, key: Self::Key, sums: &Self::Sums) -> Self::Line;

    /// Tells whoever waits for the record what became of it: every in-sync replica has it, or its
    /// outcome is unknown for a reason with this code. The record of an entry that is dropped
    /// without this call was never sent.
    ///
    /// Called once at most, on the sending thread and with its table locked: it must not wait.
    #[inline]
    fn settled(self, outcome: Result<(), &str>)
    where
        Self: Sized,
    {
        let _ = outcome;
    }
}
