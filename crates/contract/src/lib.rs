//! What reads and writes a record's value, whatever it is a record of.
//!
//! [`wire`], [`decimal`] and [`json`] are what a contract's codec is made of; [`framing`] is what Confluent's clients put
//! before a value. A [`Reader`] decodes what comes from a topic, whatever schema it was written with, and asks a
//! [`SchemaSource`] for the schemas that it does not know. Nothing here does I/O or knows a domain.

#![forbid(unsafe_code)]

pub mod decimal;
pub mod error;
pub mod framing;
pub mod json;
pub mod money;
pub mod reader;
pub mod resolve;
pub mod source;
pub mod wire;

mod ahead;
mod known;
mod references;

pub use ahead::ReadAhead;
pub use error::DecodeError;
pub use reader::{Contract, ReadError, Reader};
pub use source::{RegistryError, SchemaSource};
