//! Topics are made as the contracts say, and looked at for status. Every call blocks; none belongs
//! on an async runtime.

mod answered;
mod bounds;
mod lookup;
mod partitions;
mod plan;
mod propagation;
mod timestamps;
mod topics;

use rdkafka::error::KafkaError;
use thiserror::Error;

use crate::client::ConfigError;

pub use bounds::bounds;
pub use lookup::{Lookup, PartitionState, TopicState};
pub use partitions::{Extended, extend_controls, plan_controls};
pub use timestamps::{TimestampType, timestamp_type};
pub use topics::{TopicPlan, apply_topics, delete_topics, ensure_topics, max_message_bytes, plan_topics};

/// Why an administrative call failed.
#[derive(Debug, Error)]
pub enum AdminError {
    /// The configuration is impossible.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// librdkafka makes no client of the configuration: a certificate that cannot be read, a login
    /// without a name.
    #[error("no Kafka client can be made of kafka.properties")]
    Client(#[source] KafkaError),
    /// The cluster does not answer, or refuses.
    #[error("{action} failed: {reason}")]
    Kafka {
        /// What was tried.
        action: String,
        /// librdkafka's reason.
        reason: KafkaError,
    },
    /// The cluster does not answer, and the client has said why.
    #[error("{action} failed: {said}")]
    Connection {
        /// What was tried.
        action: String,
        /// The client's last error.
        said: String,
        /// librdkafka's reason.
        #[source]
        reason: Box<KafkaError>,
    },
    /// The cluster refuses to make or change a topic.
    #[error("the topic {topic} cannot be {action}: {reason}")]
    Refused {
        /// Its name.
        topic: String,
        /// Made or changed.
        action: &'static str,
        /// The broker's reason.
        reason: String,
    },
    /// A topic exists that the pipeline cannot work with.
    #[error("the topic {topic}: {reason}")]
    Unfit {
        /// Its name.
        topic: String,
        /// What of it, and what to do.
        reason: String,
    },
    /// Some partitions have got no leader in time.
    #[error("{0} has partitions without a leader after 60 s: are enough brokers running?")]
    NoLeader(String),
    /// A broker has not heard in time of a topic that was made.
    #[error(
        "broker {broker} at {address} has not heard of the new topic {topic} after {} s: is it far behind the controllers?",
        .limit.as_secs()
    )]
    Unheard {
        /// The topic's full name.
        topic: String,
        /// The broker's id.
        broker: i32,
        /// Its host and port.
        address: String,
        /// How long was waited.
        limit: std::time::Duration,
    },
    /// There is no such topic.
    #[error("the topic {0} does not exist: `millrace init` creates it")]
    UnknownTopic(String),
}

impl AdminError {
    /// Whether another try must fail too: what is wrong is the configuration, and not that nobody
    /// answers.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Client(_))
    }
}
