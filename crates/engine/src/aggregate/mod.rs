//! Merchant aggregates over tumbling windows of event time, in two stages: [`partial`] adds up one
//! partition of transactions, [`merge`] adds up what all of them send.

mod combine;
mod early;
mod groups;
pub mod merge;
mod merge_window;
mod open_window;
pub mod partial;
pub mod policy;

pub use crate::policy::ConfigError;
pub use combine::partials;
pub use merge::MergeAggregate;
pub use partial::{PartialAggregate, PartialOutput};
pub use policy::{EarlyResults, MergePolicy, PartialPolicy};
