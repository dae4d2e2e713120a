//! Full names of topics.

use millrace_settings::Kafka;

/// The full name of a topic: `kafka.topic_prefix` and `name`.
#[must_use]
pub fn topic_name(kafka: &Kafka, name: &str) -> String {
    format!("{}{name}", kafka.topic_prefix)
}
