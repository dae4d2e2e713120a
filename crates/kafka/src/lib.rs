//! Kafka at the edge: client settings, topic administration, and the exactly-once worker loop.
//!
//! A service implements [`Job`] and calls `run_job(job, config, &status, &shutdown)`, which blocks until `shutdown`
//! (an `Arc<AtomicBool>`) is set or a worker fails.
//! Topics that a job names are full names, made by [`topic_name`]; a job's own name has no prefix.

#![forbid(unsafe_code)]

pub mod client;
pub mod config;
pub mod error;
pub mod job;
pub mod murmur2;
pub mod status;

pub use config::{JobConfig, LostPosition, topic_name};
pub use error::WorkerError;
pub use job::{InputRecord, Job, Outbox, OutputRecord, Task, TaskError};
pub use murmur2::partition_for;
pub use status::{JobStatus, WorkerState};
