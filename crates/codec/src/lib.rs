//! Avro and JSON for the contracts, Confluent framing, and the schema registry client.
//!
//! Each record type of the contracts has a module with `encode`, `encode_framed` and `decode`, written by hand for the
//! schemas of [`millrace_domain::schema`]: one pass, no tree of values. [`reader`] decodes what comes from a topic,
//! whatever schema it was written with; [`registry`] speaks to the schema registry.

#![forbid(unsafe_code)]

pub mod aggregate;
pub mod anomaly;
pub mod error;
pub mod framing;
pub mod json;
pub mod label;
pub mod partial;
pub mod reader;
pub mod registry;
pub mod transaction;

mod ahead;
mod decimal;
mod fetch;
mod known;
mod money;
mod references;
mod resolve;
mod wire;

pub use ahead::Ahead;
pub use anomaly::DecodedAnomaly;
pub use error::DecodeError;
pub use fetch::SchemaFetcher;
pub use label::DecodedLabel;
pub use millrace_http::Tls;
pub use reader::{
    AggregateReader, AnomalyReader, LabelReader, PartialReader, ReadError, Reader, TransactionReader,
};
pub use registry::{Registry, RegistryConfig, RegistryError};
