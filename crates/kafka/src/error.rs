//! Why a job stops.

use rdkafka::error::KafkaError;
use thiserror::Error;

use crate::TaskError;
use crate::client::ConfigError;

/// Why a worker, and with it its job, stops. A supervisor starts the process again: what was not
/// committed is aborted by the next start, and nothing is lost.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// The configuration is impossible.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A client could not be made.
    #[error("the Kafka {client} cannot be made: {reason}")]
    Client {
        /// Which client.
        client: &'static str,
        /// librdkafka's reason.
        reason: KafkaError,
    },
    /// The cluster does not answer as it must for the job to start.
    #[error("{action} failed: {reason}")]
    Kafka {
        /// What was tried.
        action: String,
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
    /// Whether new clients can go on where these had to stop. They find out what was committed and
    /// end what was not, as those of a restarted process do.
    pub(crate) fn needs_new_clients(&self) -> bool {
        matches!(
            self,
            Self::Reconnect(_) | Self::Unanswered { .. } | Self::Fatal { .. }
        )
    }

    /// Whether the producer can do nothing more, not even abort.
    pub(crate) fn is_of_the_producer(&self) -> bool {
        matches!(
            self,
            Self::Fenced { .. } | Self::NameTaken { .. } | Self::Unanswered { .. } | Self::Fatal { .. }
        )
    }
}
