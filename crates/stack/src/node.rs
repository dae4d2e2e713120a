//! The parts of the stack, and what is reported while they start and stop.

use std::fmt;
use std::time::Duration;

/// One process of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// A controller of the Kafka cluster, 1 to 3.
    Controller(u8),
    /// A broker of the Kafka cluster, 1 to 3.
    Broker(u8),
    /// The schema registry.
    Registry,
    /// Elasticsearch.
    Elasticsearch,
    /// Prometheus.
    Prometheus,
}

/// How many controllers, and how many brokers, the cluster has.
pub const KAFKA_NODES: u8 = 3;

impl Node {
    /// The three controllers.
    pub fn controllers() -> impl Iterator<Item = Self> {
        (1..=KAFKA_NODES).map(Self::Controller)
    }

    /// The three brokers.
    pub fn brokers() -> impl Iterator<Item = Self> {
        (1..=KAFKA_NODES).map(Self::Broker)
    }

    /// The name of its log file, folder and pid record: `broker-1`, `schema-registry`, …
    #[must_use]
    pub fn name(self) -> String {
        self.to_string()
    }

    /// How long it may take to end after SIGTERM before it is killed. A broker hands its partitions
    /// over first.
    #[must_use]
    pub(crate) fn stop_timeout(self) -> Duration {
        match self {
            Self::Controller(_) | Self::Broker(_) => Duration::from_secs(25),
            Self::Registry | Self::Elasticsearch | Self::Prometheus => Duration::from_secs(10),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller(number) => write!(f, "controller-{number}"),
            Self::Broker(number) => write!(f, "broker-{number}"),
            Self::Registry => f.write_str("schema-registry"),
            Self::Elasticsearch => f.write_str("elasticsearch"),
            Self::Prometheus => f.write_str("prometheus"),
        }
    }
}

/// What is going on, for a person to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A component is being fetched by Maven; it takes minutes on a slow line, once.
    Fetching {
        /// Its name and version.
        component: String,
    },
    /// It is in the cache.
    Fetched {
        /// Its name and version.
        component: String,
    },
    /// A process was started.
    Starting {
        /// Which.
        node: Node,
    },
    /// It answers real requests.
    Ready {
        /// Which.
        node: Node,
        /// Since its start.
        after: Duration,
    },
    /// Something optional is left out.
    Skipped {
        /// Which.
        node: Node,
        /// Why.
        reason: String,
    },
    /// It was told to stop.
    Stopping {
        /// Which.
        node: Node,
    },
    /// It has ended.
    Stopped {
        /// Which.
        node: Node,
    },
}
