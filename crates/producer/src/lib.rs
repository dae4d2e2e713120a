//! The transaction generator and the replay of recorded files.
//!
//! [`run`] sends what [`Options`] say with the settings' `producer` section. Sources
//! ([`generator`], [`replay`]) know nothing of Kafka; [`sender`] knows nothing of where records
//! come from; the [`ledger`] has what was acknowledged.

#![forbid(unsafe_code)]

pub mod cli;
pub mod encode;
pub mod generator;
mod lanes;
pub mod ledger;
pub mod metrics;
mod options;
mod plan;
mod progress;
pub mod replay;
mod run;
mod run_id;
mod seen;
pub mod sender;
pub mod source;
pub mod stream;
mod supervisor;
pub mod world;

pub use options::{GenerateOptions, Options};
pub use run::{Summary, run};
pub use run_id::RunTag;
