//! The schema registry client, and the codecs of the contracts as its users know them.
//!
//! [`registry`] speaks to the schema registry, and [`SchemaFetcher`] lets a reader ask it. What
//! reads and writes a value is in `millrace_contract`, and the record types' own codecs are in
//! [`millrace_domain::codec`]; both have their names here.

#![forbid(unsafe_code)]

pub mod registry;

mod fetch;

pub use fetch::SchemaFetcher;
pub use millrace_contract::{DecodeError, ReadError, Reader, error, framing, reader, resolve};
pub use millrace_domain::codec::{
    AggregateReader, Ahead, AnomalyReader, DecodedAnomaly, DecodedLabel, LabelReader, PartialReader,
    RuleChangeReader, TransactionReader, aggregate, anomaly, json, label, partial, rule_change, transaction,
};
pub use millrace_http::Tls;
pub use registry::{Registry, RegistryConfig, RegistryError};
