//! What makes a stream's records.

use std::fmt::Debug;

use millrace_contract::{Encode, Event};
use millrace_publisher::Names;
use serde::Serialize;

/// What is known of a stream before it is started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    /// Its topic, before any prefix.
    pub(crate) topic: &'static str,
    /// What a record is called, and what several are.
    pub(crate) item: &'static str,
    pub(crate) items: &'static str,
    /// The names of its metrics.
    pub(crate) names: Names,
}

/// Makes the records of a stream, one after the other, by a seed: the same whatever the times.
pub(crate) trait World: Send + 'static {
    /// A record.
    type Event: Event + Encode;
    /// What of a record the ledger adds up.
    type Kept: Copy + Debug + PartialEq + Send + 'static;
    /// What that adds up to in a window.
    type Sums: Clone + Debug + Default + Send + 'static;
    /// As the ledger has it.
    type Line: Clone + Debug + Serialize + Send + 'static;

    /// The stream.
    const ABOUT: About;

    /// The next record, at this time.
    fn next(&mut self, time_ms: i64) -> Self::Event;

    /// One record in so many, by a share from 0 to 1.
    fn is_chosen(&mut self, share: f64) -> bool;

    /// A number below `bound`, or 0.
    fn below(&mut self, bound: u64) -> u64;

    /// The record's key.
    fn key(event: &Self::Event) -> &[u8];

    /// What of it the ledger adds up.
    fn kept(event: &Self::Event) -> Self::Kept;

    /// Adds a record to sums.
    fn add(kept: &Self::Kept, sums: &mut Self::Sums);

    /// Adds other sums to these.
    fn merge(sums: &mut Self::Sums, other: &Self::Sums);

    /// Sums as a line of the ledger.
    fn line(start_ms: i64, sums: &Self::Sums) -> Self::Line;
}
