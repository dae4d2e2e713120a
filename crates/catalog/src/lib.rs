//! What Millrace is made of, in one table: [`PIPELINES`] with their streams, jobs, documents and
//! rows, and the [`Service`]s that run them.
//!
//! Everything that has to name one of these asks here: `init` for [`topics`], `status` and `verify`
//! for [`groups`], `up`, the settings and the boards for services and ports, the sinks for what
//! they read. A new stream, job or service is a row here; what is made of the rows is held to them
//! by the tests of this crate, the compose file and the Prometheus files too. Data alone: nothing
//! here does I/O or knows a setting but what is installed ([`Installation`]).

#![forbid(unsafe_code)]

pub mod clickstream;
pub mod commerce;
pub mod incidents;
pub mod iot;
pub mod payments;

mod groups;
mod installation;
mod services;
mod spec;
mod topics;

pub use groups::{Group, groups, rows_of};
pub use installation::Installation;
pub use millrace_contract::topic::{ControlTopic, MAX_COPY_BYTES, TopicSpec, dead_letter, value_subject};
pub use services::{Service, ServiceSpec};
pub use spec::{
    DeadLetterOwner, DocumentSpec, JobSpec, Pipeline, Retention, RowsSpec, StreamSpec, TableSpec, When,
    Writer,
};
pub use topics::{controls, is_between_jobs, owns_dead_letters, stream, topic_spec, topics};

/// Every pipeline.
pub const PIPELINES: &[&Pipeline] = &[
    &payments::PIPELINE,
    &clickstream::PIPELINE,
    &iot::PIPELINE,
    &commerce::PIPELINE,
    &incidents::PIPELINE,
];

#[cfg(test)]
mod check;
#[cfg(test)]
mod tests;
