//! The exactly-once loop: reads a partition, processes it, and commits its outputs with its offset.
//!
//! A service implements [`Job`] and starts it with [`Jobs`], or calls [`run_job`], which blocks
//! until it is told to stop or a worker fails. Topics that a job names are full names, made by
//! [`millrace_kafka::topic_name`]; a job's own name has no prefix.

#![forbid(unsafe_code)]

mod alignment;
mod check;
pub mod config;
pub mod control;
pub mod error;
mod failure;
mod idle;
pub mod job;
mod jobs;
pub mod keyed;
pub mod metrics;
pub mod object_url;
mod outbox;
mod ownership;
pub mod past;
mod placement;
pub mod processor;
mod processor_time;
mod pulse;
pub mod refusals;
pub mod replay;
pub mod runner;
mod snapshot_store;
mod snapshot_writer;
mod source;
mod stall;
pub mod status;
pub mod windowed;
mod worker;

pub use check::check_settings;
pub use config::JobConfig;
pub use error::WorkerError;
pub use job::{Beginning, Controls, Job, Outbox, Task, TaskError, Upstream};
pub use jobs::{Jobs, hash_seed};
pub use metrics::JobMetrics;
pub use millrace_kafka::{InputRecord, OutputRecord};
pub use placement::{OUTGROWN, Placement};
pub use runner::run_job;
pub use status::{JobStatus, WorkerState};
#[cfg(any(test, feature = "simulation"))]
pub use worker::simulation;
