//! The local stack: Kafka (three controllers, three brokers), the schema registry, Elasticsearch
//! and, where asked for and at hand, Prometheus, as processes on loopback. For machines without a
//! Docker engine, and for tests.
//!
//! [`cassandra`] is one node of Cassandra, for who needs it beside them.
//!
//! The programs come once from Maven into a cache folder ([`cache`]); a JDK 21 or later runs them
//! ([`jdk`]). Every process is recorded with its start time under the state folder ([`record`]),
//! and each JVM ends itself when its parent dies, so none is left behind.

#![forbid(unsafe_code)]

pub mod cache;
pub mod cassandra;
mod components;
pub mod error;
pub mod jdk;
mod launch;
pub mod local;
mod maven;
mod metadata;
pub mod node;
pub mod options;
mod owner;
mod preflight;
pub mod process;
pub mod quorum;
mod ready;
pub mod record;
mod server_files;
mod tools;

pub use cassandra::{Cassandra, CassandraOptions};
pub use error::StackError;
pub use local::LocalStack;
pub use node::{Node, Progress};
pub use options::{Heaps, Ports, PrometheusOptions, SecureListener, StackOptions};
pub use owner::listening_process;
pub use preflight::memory_beside_mib;
pub use process::{ManagedProcess, ProcessSpec};
pub use record::stop_recorded;
pub use tools::KafkaTools;
