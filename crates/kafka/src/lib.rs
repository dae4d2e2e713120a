//! Kafka at the edge: client settings, topic administration, and the exactly-once worker loop.

#![forbid(unsafe_code)]

pub mod job;

pub use job::{InputRecord, Job, Outbox, OutputRecord, Task, TaskError};
