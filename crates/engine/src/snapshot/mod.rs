//! Snapshots: the bytes of an operator's state, and the container they are kept in.

pub mod container;
mod error;
mod state;
mod writer;

pub use container::{Expected, Header, Snapshot};
pub use error::SnapshotError;
pub use state::{StateReader, StateWriter};
pub use writer::{LastPart, SnapshotWriter};
