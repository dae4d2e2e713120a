//! Kafka at the edge: client settings, topic administration, look-ups in the log, transactions, and
//! copies of records. It knows no job and no record's content.

#![forbid(unsafe_code)]

pub mod admin;
pub mod client;
pub mod clock;
pub mod copies;
mod error;
pub mod log;
mod members;
pub mod placement;
pub mod reader;
mod record;
mod source;
mod topic;
pub mod transaction;

pub use error::ClientError;
pub use members::{is_static_member, wait_while_taken};
pub use millrace_kafka_batch::{RecordHeader, RecordHeaders, partition_for};
pub use placement::Misplaced;
pub use record::{InputRecord, OutputRecord};
pub use source::SourcePartitions;
pub use topic::topic_name;
