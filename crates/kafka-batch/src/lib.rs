//! Producing and consuming many records a call, over librdkafka's C interface.
//!
//! rust-rdkafka hands records over one by one. librdkafka can do more in a call: take a lock and
//! wake a thread once for a thousand records of a partition, and fill an array with what was
//! fetched. This crate wraps those calls and nothing else; clients, contexts, callbacks and events
//! stay rust-rdkafka's. It is the only crate of the workspace with unsafe code.

#![deny(unsafe_op_in_unsafe_fn)]

mod bell;
mod bounds;
mod consumer;
mod events;
mod flush;
mod headers;
mod messages;
mod murmur2;
mod native;
mod partition_queue;
mod producer;
mod record;

pub use bounds::fetched_log_start;
pub use consumer::{Batch, BatchConsumer};
pub use events::Reports;
pub use flush::flush;
pub use headers::{RecordHeader, RecordHeaders};
pub use messages::Report;
pub use murmur2::{murmur2, partition_for};
pub use partition_queue::PartitionQueue;
pub use producer::{BatchProducer, Outcome, TopicIndex};
pub use record::Record;
