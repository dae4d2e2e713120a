//! The acknowledged send into Kafka with its ledger: what a producing service is but for its
//! records.
//!
//! A service gives [`Source`]s, each of which makes [`Record`]s on a sending thread of its own, and
//! says by [`Entry`] what is kept of a record until its outcome is known. The threads ([`Lanes`])
//! gather records, hand them to librdkafka a partition at a time, and count every outcome
//! (`sender`); the [`Supervisor`] takes what they counted into the [`Ledger`](ledger::Ledger) and
//! the metrics, says whether the brokers acknowledge, and stops the threads.
//!
//! # Guarantee
//! Each record that a source gave ends as exactly one of: acknowledged by every in-sync replica; of
//! unknown outcome, as the brokers may have it or not; or not sent, as the run was stopped or
//! failed before. The ledger's file has the first two. Its `finished` says that nothing is left.
//!
//! # Waiting for one record's acknowledgement
//! [`Entry::settled`] is called with each outcome, on the sending thread: an entry that holds a
//! channel's sender answers whoever waits for its record. An entry that is dropped without that
//! call belongs to a record that was never sent.
//!
//! Nothing here knows what a record holds.

#![forbid(unsafe_code)]

mod entry;
mod lanes;
pub mod ledger;
mod metrics;
mod pacer;
mod run_id;
mod sender;
mod source;
mod supervisor;

pub use entry::{Class, Entry};
pub use lanes::{Lanes, Spec, Topic, Topics};
pub use metrics::{Metrics, Names};
pub use pacer::Pacer;
pub use run_id::{RunId, RunTag};
pub use source::{Next, Partition, Record, Source};
pub use supervisor::{Ended, State, Supervisor};
