//! What reads and writes a record's value, whatever it is a record of.
//!
//! [`contract!`] makes a record with its codec in Avro and JSON of its fields, each of a [`Kind`];
//! [`wire`], [`decimal`] and [`json`] are what a codec is made of, also one that is written by
//! hand. [`framing`] is what Confluent's clients put before a value. A [`Reader`] decodes what
//! comes from a topic, whatever schema it was written with, and asks a [`SchemaSource`] for the
//! schemas that it does not know, and [`topic`] says what a topic is made with. Nothing here does
//! I/O or knows a domain.

#![forbid(unsafe_code)]

pub mod decimal;
pub mod error;
pub mod event_time;
pub mod framing;
pub mod hex;
pub mod json;
pub mod kind;
pub mod money;
pub mod reader;
pub mod resolve;
pub mod schema_check;
pub mod source;
pub mod topic;
pub mod wire;

mod ahead;
mod any;
mod event;
mod extent;
mod known;
mod macros;
mod references;

pub use ahead::ReadAhead;
pub use any::{AnyContract, AnyReader, Take};
pub use error::DecodeError;
pub use event::{Encode, Event};
pub use event_time::EventTimeLimits;
pub use kind::{Decimal, Id, Kind, Symbols, Text, Time};
pub use reader::{Contract, ReadError, Reader};
pub use source::{RegistryError, SchemaSource};
