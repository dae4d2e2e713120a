//! The at-least-once loop from Kafka into a store: what a sink is but for its store.
//!
//! A store's crate says by [`Sink`] what becomes of a record and how a batch is written; it runs
//! the loop by [`Consumer`]. The loop reads the topics on a thread of its own, gathers items into
//! batches (`batch`), has so many of them written at once (`pipeline`, `delivery`), and commits
//! the offsets below which everything is done (`acknowledgement`). What one target does not take
//! waits (`set_aside`, `aside`) while others go on, what no target will ever take becomes a dead
//! letter (`dead_letter`), and a partition that is given up is written and committed first.
//!
//! # Guarantee
//! An offset is committed once every record before it was written, refused and acknowledged on its
//! dead-letter topic, or decided to be none of the store's. A record can be written more than once:
//! a store has to make nothing of that.
//!
//! Nothing but `consumer` and `dead_letter` talks to Kafka; the tests drive the rest without it.

#![forbid(unsafe_code)]

mod acknowledgement;
mod aside;
mod batch;
mod consumer;
mod dead_letter;
mod delivery;
mod metrics;
mod pipeline;
mod reachability;
mod retry;
mod set_aside;
#[cfg(feature = "simulation")]
pub mod simulation;
mod sink;
mod spec;

pub use acknowledgement::{PartitionKey, Span};
pub use batch::{Limits, Origin, Work};
pub use consumer::Consumer;
pub use metrics::Metrics;
pub use reachability::Reachability;
pub use retry::Backoff;
pub use sink::{Decision, Item, Reason, Record, Refusal, Sink, TargetOf, WriteBatch, Written, WrittenBy};
pub use spec::{Names, Source, SourceId, Spec};
