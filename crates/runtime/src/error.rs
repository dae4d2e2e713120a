//! Why a job stops.

use millrace_kafka::ClientError;
use millrace_kafka::client::ConfigError;
use rdkafka::error::KafkaError;
use thiserror::Error;

use crate::TaskError;

/// Why a worker, and with it its job, stops. A supervisor starts the process again: what was not
/// committed is aborted by the next start, and nothing is lost.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// A client cannot be made, or cannot go on.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The cluster does not answer as it must for the job to start.
    #[error("{action} failed: {reason}")]
    Kafka {
        /// What was tried.
        action: String,
        /// librdkafka's reason.
        reason: KafkaError,
    },
    /// The cluster does not say which one it is, so that nobody knows whose snapshots are its own.
    #[error(
        "the Kafka cluster at {bootstrap_servers} did not give its cluster id within {} s: are its brokers up, and can \
         their advertised addresses be reached?",
        .limit.as_secs()
    )]
    NoClusterId {
        /// Where it was asked for.
        bootstrap_servers: String,
        /// How long at most.
        limit: std::time::Duration,
    },
    /// Another process has joined the group as this one's member.
    #[error(
        "another process has the instance name {instance:?}, and has taken this one's place in the group ({reason}). Each \
         needs a name of its own: set {key}, which by default is host name and port of the metrics. This one stands back \
         until the other has gone"
    )]
    NameTaken {
        /// The instance name of both.
        instance: String,
        /// The key that sets it.
        key: &'static str,
        /// librdkafka's reason.
        reason: String,
    },
    /// A task cannot go on.
    #[error("partition {partition} of {topic} cannot be processed: {reason}")]
    Task {
        /// The input topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The task's reason.
        reason: TaskError,
    },
    /// The log no longer has what a recovery needs, or the group's offset is not what the job has
    /// committed.
    #[error(
        "partition {partition} of {topic} has lost its position: {what}. Or set worker.lost_position to continue, to go on \
         all the same"
    )]
    LostPosition {
        /// The input topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What is missing.
        what: String,
    },
    /// The consumer is of no more use.
    #[error("the consumer must be made anew: {0}")]
    Reconnect(String),
    /// A topic of the job is missing or has the wrong shape.
    #[error("{0}")]
    Topic(String),
    /// The snapshot store cannot be used at all.
    #[error("snapshots.url: {url} cannot be opened: {reason}")]
    SnapshotStore {
        /// Its address.
        url: String,
        /// Why.
        reason: String,
    },
    /// A metric could not be registered.
    #[error("the metrics cannot be registered: {0}")]
    Metrics(String),
    /// A thread could not be started, or panicked.
    #[error("the thread {name} {what}")]
    Thread {
        /// Its name.
        name: String,
        /// What became of it.
        what: String,
    },
}

impl WorkerError {
    /// A client could not be made.
    pub(crate) fn no_client(client: &'static str, reason: KafkaError) -> Self {
        Self::Client(ClientError::Create { client, reason })
    }

    /// Whether new clients can go on where these had to stop. They find out what was committed and
    /// end what was not, as those of a restarted process do.
    pub(crate) fn needs_new_clients(&self) -> bool {
        matches!(
            self,
            Self::Reconnect(_) | Self::Client(ClientError::Unanswered { .. } | ClientError::Fatal { .. })
        )
    }

    /// Whether the producer can do nothing more, not even abort.
    pub(crate) fn is_of_the_producer(&self) -> bool {
        matches!(
            self,
            Self::NameTaken { .. }
                | Self::Client(
                    ClientError::Fenced { .. } | ClientError::Unanswered { .. } | ClientError::Fatal { .. }
                )
        )
    }
}

impl From<ConfigError> for WorkerError {
    fn from(error: ConfigError) -> Self {
        Self::Client(error.into())
    }
}
