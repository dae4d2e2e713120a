//! Kafka at the edge: client settings, topic administration, and the exactly-once worker loop.
//!
//! A service implements [`Job`] and calls [`run_job`], which blocks until it is told to stop or a
//! worker fails. Topics that a job names are full names, made by [`topic_name`]; a job's own name
//! has no prefix.

#![forbid(unsafe_code)]

pub mod admin;
mod alignment;
pub mod client;
pub mod clock;
pub mod config;
pub mod control;
pub mod copies;
pub mod error;
mod idle;
pub mod job;
pub mod metrics;
mod object_url;
mod outbox;
mod ownership;
pub mod placement;
mod processor_time;
mod pulse;
mod reader;
pub mod refusals;
pub mod runner;
pub mod snapshot_store;
mod snapshot_writer;
mod source;
mod stall;
pub mod status;
mod transaction;
mod worker;

pub use config::{JobConfig, topic_name};
pub use error::WorkerError;
pub use job::{Beginning, Controls, InputRecord, Job, Outbox, OutputRecord, Task, TaskError, Upstream};
pub use metrics::JobMetrics;
pub use millrace_kafka_batch::{RecordHeader, RecordHeaders, partition_for};
pub use ownership::wait_while_taken;
pub use placement::{Misplaced, OUTGROWN, Placement};
pub use runner::run_job;
pub use source::SourcePartitions;
pub use status::{JobStatus, WorkerState};
#[cfg(any(test, feature = "simulation"))]
pub use worker::simulation;
