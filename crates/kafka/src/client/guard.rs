//! The properties that the guarantees rest on.

use thiserror::Error;

/// Why a client's configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A property that would break a guarantee.
    #[error("{key} is {value:?}: {why}")]
    Property {
        /// Section and property.
        key: String,
        /// The value given.
        value: String,
        /// What would be right.
        why: &'static str,
    },
    /// A property that librdkafka refuses: it does not know its name, or the value is impossible.
    #[error("{key}: {why}")]
    Refused {
        /// Section and property.
        key: String,
        /// librdkafka's words.
        why: String,
    },
    /// Two timeouts in the wrong order.
    #[error("{lower} is {lower_ms} ms and must be below {upper}, which is {upper_ms} ms: {why}")]
    Timeouts {
        /// The key that must be lower.
        lower: &'static str,
        /// Its value.
        lower_ms: u64,
        /// The key that must be higher.
        upper: &'static str,
        /// Its value.
        upper_ms: u64,
        /// What goes wrong otherwise.
        why: &'static str,
    },
    /// A number that is none.
    #[error("{key} is {value:?} and must be a whole number of milliseconds")]
    Number {
        /// Section and property.
        key: String,
        /// The value given.
        value: String,
    },
}

/// A property with only one right value, or one that a setting has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fixed {
    /// Always the first of these values; the others say the same.
    Value(&'static str, &'static [&'static str], &'static str),
    /// Set by us, from elsewhere.
    Ours(&'static str, &'static str),
}

impl Fixed {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Value(name, ..) | Self::Ours(name, _) => name,
        }
    }

    /// The one right value.
    pub(super) fn value(&self) -> Option<&'static str> {
        match self {
            Self::Value(_, values, _) => values.first().copied(),
            Self::Ours(..) => None,
        }
    }
}

use Fixed::{Ours, Value};

/// For every client.
pub(super) const ANY: [Fixed; 4] = [
    Ours("bootstrap.servers", "set kafka.bootstrap_servers"),
    Ours("metadata.broker.list", "set kafka.bootstrap_servers"),
    Ours(
        "group.id",
        "groups have fixed names; set kafka.topic_prefix to tell deployments apart",
    ),
    Ours(
        "transactional.id",
        "it is made of job, instance and thread; set kafka.topic_prefix to tell deployments apart",
    ),
];

/// For every consumer.
pub(super) const CONSUMER: [Fixed; 4] = [
    Value(
        "check.crcs",
        &["true"],
        "it must be true: a corrupt batch would be read as if it were right",
    ),
    Value(
        "enable.auto.commit",
        &["false"],
        "it must be false: an offset is committed with what came of its records",
    ),
    Value(
        "enable.auto.offset.store",
        &["false"],
        "it must be false: an offset is committed with what came of its records",
    ),
    Value(
        "isolation.level",
        &["read_committed"],
        "it must be read_committed: aborted records are not part of the log",
    ),
];

/// For a worker's consumer.
pub(super) const WORKER_CONSUMER: [Fixed; 8] = [
    Value(
        "auto.offset.reset",
        &["error"],
        "it must be error: a lost position is the worker's to decide on, by lost_position",
    ),
    Value(
        "partition.assignment.strategy",
        &["cooperative-sticky"],
        "it must be cooperative-sticky: the worker adds and drops partitions one by one",
    ),
    Value(
        "group.protocol",
        &["classic"],
        "it must be classic: the timeouts are checked against the session's here",
    ),
    Value(
        "enable.partition.eof",
        &["false"],
        "it must be false: in a batch, librdkafka takes the end for a record and skips one",
    ),
    Ours("group.instance.id", "it is made of instance and thread"),
    Ours("session.timeout.ms", "set worker.session_timeout_ms"),
    Ours("group.remote.assignor", "it is for the consumer protocol"),
    Ours("plugin.library.paths", "interceptors could change what is read"),
];

/// For every producer.
pub(super) const PRODUCER: [Fixed; 4] = [
    Value(
        "enable.idempotence",
        &["true"],
        "it must be true: a retry would write a record twice",
    ),
    Value(
        "acks",
        &["all", "-1"],
        "it must be all: an acknowledged record would be lost with its leader",
    ),
    Value(
        "request.required.acks",
        &["all", "-1"],
        "it must be all: an acknowledged record would be lost with its leader",
    ),
    Value(
        "partitioner",
        &["murmur2_random"],
        "it must be murmur2_random: keys go where every Java client sends them",
    ),
];

/// For a transactional producer.
pub(super) const TRANSACTIONAL: [Fixed; 2] = [
    Ours("transaction.timeout.ms", "set worker.transaction_timeout_ms"),
    Value(
        "delivery.report.only.error",
        &["true"],
        "it must be true: the commit acknowledges the rest",
    ),
];

/// Refuses a property that contradicts a rule.
pub(super) fn check(section: &str, name: &str, value: &str, rules: &[&[Fixed]]) -> Result<(), ConfigError> {
    let rule = rules
        .iter()
        .flat_map(|rules| rules.iter())
        .find(|rule| rule.name() == name);
    let why = match rule {
        Some(Value(_, values, _)) if values.contains(&value) => return Ok(()),
        None => return Ok(()),
        Some(Value(_, _, why) | Ours(_, why)) => why,
    };
    Err(ConfigError::Property {
        key: format!("{section}.{name}"),
        value: value.to_owned(),
        why,
    })
}
