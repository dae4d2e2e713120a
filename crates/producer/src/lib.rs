//! The transaction generator and the replay of recorded files.
//!
//! [`run`] sends what [`Options`] say with the settings' `producer` section. Sources
//! ([`generator`], [`replay`]) know nothing of Kafka; `millrace_publisher` sends what they make,
//! and knows nothing of transactions; [`ledger`] says what is added up of those acknowledged.
//! Where the clickstream, sensors or a shop are enabled, it sends their records beside transactions
//! (`beside`).

#![forbid(unsafe_code)]

mod beside;
pub mod cli;
mod clicks;
pub mod encode;
pub mod generator;
pub mod ledger;
pub mod metrics;
mod options;
mod plan;
mod progress;
mod readings;
pub mod replay;
mod run;
mod seen;
mod shop;
pub mod source;
pub mod stream;
pub mod world;

pub use options::{GenerateOptions, Options};
pub use run::{Summary, run};
