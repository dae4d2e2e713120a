//! Aggregates over tumbling windows of event time, in two stages, whatever is aggregated.
//!
//! [`Partial`] adds up one partition of events, which may be keyed by anything; [`Merge`] adds up
//! what all of the partitions send. What a job adds up, and for which keys, is its [`Aggregation`]:
//! the stages know windows, watermarks, lateness, duplicates, early results, changes of policy and
//! snapshots, and no event's fields.

mod aggregation;
mod combine;
mod early;
mod groups;
pub mod merge;
mod merge_window;
mod open_window;
pub mod partial;
pub mod policy;
mod records;

pub use crate::policy::ConfigError;
pub use aggregation::{Aggregation, Key, Line, RareSlot, Totals};
pub use combine::records;
pub use groups::Group;
pub use merge::Merge;
pub use partial::Partial;
pub use policy::{EarlyResults, MergePolicy, PartialPolicy};
pub use records::{Aggregate, Content, Contribution, FINAL, PartialOutput, Record};
