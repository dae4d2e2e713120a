//! The schema registry client.
//!
//! [`Registry`] speaks to the schema registry, and [`SchemaFetcher`] lets a reader ask it from a
//! thread without an async runtime. What reads and writes a value is in `millrace_contract`, and a
//! stream's records are where the stream is.

#![forbid(unsafe_code)]

mod client;
mod compatibility;
mod failure;
mod fetch;
mod types;
mod writer;

pub use client::Registry;
pub use compatibility::Compatibility;
pub use fetch::SchemaFetcher;
pub use millrace_contract::source::{Found, RegistryError, SchemaKind, SchemaReference, WriterSchema};
pub use millrace_http::Tls;
pub use types::{RegisteredVersion, RegistryConfig};
