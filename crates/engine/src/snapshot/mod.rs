//! Snapshots: the bytes of an operator's state, and the container they are kept in.

pub mod container;
mod state;

pub use container::{Expected, Header, Snapshot, SnapshotError, SnapshotWriter};
pub use state::{CountAt, StateReader, StateWriter};
