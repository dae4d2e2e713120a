//! What makes a stream's records.

use std::fmt::Debug;

use millrace_contract::{Encode, Event};
use millrace_publisher::Names;
use serde::Serialize;
use uuid::Uuid;

use crate::world::random::mix;

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

    /// The next random number.
    fn random(&mut self) -> u64;

    /// One record in so many, by a share from 0 to 1.
    fn is_chosen(&mut self, share: f64) -> bool {
        // The upper 53 bits, as a double holds them.
        ((self.random() >> 11) as f64) < share * (1_u64 << 53) as f64
    }

    /// A number below `bound`, or 0.
    fn below(&mut self, bound: u64) -> u64 {
        below(self.random(), bound)
    }

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

/// A number below `bound`, or 0, of a random one.
fn below(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

/// What a world draws by its seed, and the ids of its records.
#[derive(Debug)]
pub(crate) struct Draws {
    seed: u64,
    /// Random numbers drawn so far.
    drawn: u64,
    /// What its ids begin with.
    run: [u8; 4],
}

impl Draws {
    pub(crate) fn new(seed: u64, run: [u8; 4]) -> Self {
        Self { seed, drawn: 0, run }
    }

    pub(crate) fn random(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.seed, self.drawn)
    }

    /// A number below `bound`, or 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        below(self.random(), bound)
    }

    /// An id that no other record of the run has.
    pub(crate) fn id(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.run);
        bytes[4..12].copy_from_slice(&self.random().to_be_bytes());
        bytes[12..].copy_from_slice(&(self.random() as u32).to_be_bytes());
        Uuid::from_bytes(bytes)
    }
}
