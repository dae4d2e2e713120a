//! How good a detector is, measured by labels: pure functions of what it said of each transaction.
//!
//! A transaction without an alert has the score 0 and is ranked last. Where an order among equal
//! scores matters ([`budget`], [`cards`]), the earlier transaction comes first, as an analyst would
//! meet it; of one time, the one that was given first.
//!
//! Nothing in this crate does I/O, reads a clock or draws a random number.

pub mod budget;
pub mod cards;
pub mod delay;
mod outcome;
pub mod ranking;
pub mod value;

pub use outcome::{Outcome, known_cards};

/// A part of a whole; `None` of nothing.
#[must_use]
pub fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
