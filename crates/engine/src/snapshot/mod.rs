//! Snapshots: the bytes of an operator's state, and the container they are kept in.

pub mod container;
mod error;
mod state_reader;
mod state_writer;
mod writer;

pub use container::{Expected, Header, Snapshot};
pub use error::SnapshotError;
pub use state_reader::StateReader;
pub use state_writer::StateWriter;
pub use writer::{LastPart, SnapshotWriter};
