//! Why a client cannot go on.

use rdkafka::error::KafkaError;
use thiserror::Error;

use crate::client::ConfigError;

/// Why a client, or a transaction of it, cannot go on.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The configuration is impossible.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A client could not be made.
    #[error("the Kafka {client} cannot be made: {reason}")]
    Create {
        /// Which client.
        client: &'static str,
        /// librdkafka's reason.
        reason: KafkaError,
    },
    /// Somebody has taken over this worker's transactional id: another process, or the
    /// transaction's coordinator.
    #[error(
        "{action}: this worker is fenced ({reason}). Another process runs with the instance name {instance:?}, or this \
         one could not reach the brokers for longer than its transaction timeout: it stood still, or the network or its \
         login failed"
    )]
    Fenced {
        /// What was tried.
        action: &'static str,
        /// This process's instance name.
        instance: String,
        /// librdkafka's reason.
        reason: String,
    },
    /// A client is broken beyond use.
    #[error("{action} failed for good: {reason}")]
    Fatal {
        /// What was tried.
        action: &'static str,
        /// librdkafka's reason.
        reason: String,
    },
    /// The outcome of a commit or abort stayed unknown until the deadline; the next start finds it
    /// out.
    #[error("{action} had no answer within {waited_ms} ms: {reason}")]
    Unanswered {
        /// What was tried.
        action: &'static str,
        /// How long.
        waited_ms: u128,
        /// The last answer.
        reason: String,
    },
    /// An output that the cluster will never take.
    #[error("a record for {topic} cannot be produced: {reason}")]
    Output {
        /// The topic.
        topic: String,
        /// Why.
        reason: String,
    },
}
