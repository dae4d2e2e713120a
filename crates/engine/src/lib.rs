//! The deterministic engine: watermarks, windows, deduplication, operators, snapshots.
//!
//! Nothing here does I/O, reads a clock or draws a random number. An [`Operator`] is a function of
//! the records, advances and changes of policy it is given, in their order: whoever repeats them
//! gets the same state and the same outputs. Exactly-once processing and recovery rest on that
//! alone.

#![forbid(unsafe_code)]

pub mod chunks;
pub mod dedup;
pub mod hash;
pub mod hashed_text;
pub mod index;
mod key_table;
pub mod keyed;
pub mod near;
pub mod operator;
pub mod pages;
pub mod policy;
pub mod snapshot;
mod timeline;
pub mod watermark;
pub mod window;
pub mod windowed;

pub use hash::HashSeed;
pub use operator::{Disposition, FrozenState, Operator, RestoreError};
pub use policy::{EventTimeBounds, PolicyRefused};
pub use watermark::Watermark;
pub use window::TumblingWindows;
