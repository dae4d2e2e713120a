//! Whether every value is possible: ranges, formats, and values against each other.

mod cassandra_sink;
mod connections;
mod elastic_sink;
mod gateway;
mod lake_sink;
mod rules;
mod services;
mod sink;

use std::collections::BTreeMap;
use std::fmt::Display;

use millrace_fraud::ranges::Range;

use crate::sections::Settings;

/// A value that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The full key.
    pub(crate) key: String,
    /// What is wrong, and what would be right.
    pub(crate) message: String,
}

/// Everything impossible in `settings`.
pub(crate) fn violations(settings: &Settings) -> Vec<Violation> {
    let mut check = Check::default();
    connections::check(&mut check, settings);
    services::check(&mut check, settings);
    gateway::check(&mut check, settings);
    elastic_sink::check(&mut check, &settings.elastic_sink);
    lake_sink::check(&mut check, &settings.lake_sink);
    cassandra_sink::check(&mut check, &settings.cassandra_sink);
    rules::check(&mut check, &settings.detector.rules);
    check.violations
}

/// Properties that the services set themselves, each with what to use in its place.
const RESERVED_PROPERTIES: [(&str, &str); 11] = [
    ("bootstrap.servers", "use kafka.bootstrap_servers"),
    ("metadata.broker.list", "use kafka.bootstrap_servers"),
    ("group.id", "use kafka.topic_prefix"),
    ("transactional.id", "use kafka.topic_prefix"),
    ("transaction.timeout.ms", "use worker.transaction_timeout_ms"),
    ("session.timeout.ms", "use worker.session_timeout_ms"),
    (
        "enable.auto.commit",
        "exactly-once needs offsets committed in transactions",
    ),
    ("enable.idempotence", "exactly-once needs it on"),
    ("isolation.level", "exactly-once needs read_committed"),
    ("acks", "no acknowledged record may be lost: it is `all`"),
    (
        "partitioner",
        "keys are partitioned by murmur2, as every Java client does",
    ),
];

/// Collects what is wrong.
#[derive(Debug, Default)]
struct Check {
    violations: Vec<Violation>,
}

impl Check {
    fn refuse(&mut self, key: &str, message: impl Into<String>) {
        self.violations.push(Violation {
            key: key.to_owned(),
            message: message.into(),
        });
    }

    /// `low <= value <= high`; not-a-number is outside.
    fn range<T: PartialOrd + Display + Copy>(&mut self, key: &str, value: T, low: T, high: T) {
        let within = value >= low && value <= high;
        if !within {
            self.refuse(key, format!("is {value}: must be from {low} to {high}"));
        }
    }

    /// A value of the detector is in the operator's range.
    fn detector<T: PartialOrd + Display + Copy>(&mut self, range: &Range<T>, value: T) {
        self.range(&format!("detector.{}", range.key), value, range.least, range.most);
    }

    fn share(&mut self, key: &str, value: f64) {
        self.range(key, value, 0.0, 1.0);
    }

    fn not_empty(&mut self, key: &str, value: &str) {
        if value.trim().is_empty() {
            self.refuse(key, "is empty: must be given");
        }
    }

    /// `lower` is below `upper`, both in milliseconds.
    fn below(&mut self, lower: (&str, u64), upper: (&str, u64)) {
        if lower.1 >= upper.1 {
            self.refuse(
                lower.0,
                format!("is {}: must be below {}, which is {}", lower.1, upper.0, upper.1),
            );
        }
    }

    /// The first and the longest pause between attempts, of a section.
    fn retries(&mut self, section: &str, initial_ms: u64, max_ms: u64) {
        let (initial, max) = (
            format!("{section}.retry_initial_ms"),
            format!("{section}.retry_max_ms"),
        );
        self.range(&initial, initial_ms, 1, 600_000);
        self.range(&max, max_ms, 1, 600_000);
        if initial_ms > max_ms {
            self.refuse(
                &initial,
                format!("is {initial_ms}: must be at most {max}, which is {max_ms}"),
            );
        }
    }

    fn properties(&mut self, key: &str, properties: &BTreeMap<String, String>) {
        for property in properties.keys() {
            let full = format!("{key}.{property}");
            if property.is_empty() || property.contains(char::is_whitespace) {
                self.refuse(
                    key,
                    format!("has the property {property:?}: a name has no spaces"),
                );
            }
            if let Some((_, instead)) = RESERVED_PROPERTIES.iter().find(|(name, _)| name == property) {
                self.refuse(&full, format!("is set by the services: {instead}"));
            }
        }
    }
}
