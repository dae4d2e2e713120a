//! What has to be true of the source topic.

use millrace_catalog::payments::{REKEY, topic};
use millrace_catalog::stream;
use millrace_kafka::admin::{TimestampType, timestamp_type};
use millrace_kafka::topic_name;
use millrace_runtime::Upstream;
use millrace_settings::{Kafka, Settings};

/// What a topic is told by that leaves its records' time to producers, in the log and by
/// `millrace status`.
pub const CREATE_TIME: &str = "its records have their producers' time (message.timestamp.type is CreateTime): nothing bounds how \
     far ahead their event times are, and one wrong clock makes all that comes after it late. `millrace init` sets LogAppendTime";

/// Warns where the records of `topic`, a full name, have their producers' time in place of the
/// broker's. In a thread of its own, so that a cluster that is away holds nothing up; the records
/// tell the same one by one (`millrace_create_time_records_total`).
pub fn warn_of_create_time(kafka: &Kafka, topic: &str) {
    let (kafka, topic) = (kafka.clone(), topic.to_owned());
    let look = move || match timestamp_type(&kafka, &topic) {
        Ok(TimestampType::LogAppendTime) => {}
        Ok(TimestampType::CreateTime) => tracing::warn!(topic, "{CREATE_TIME}"),
        Err(error) => tracing::warn!(topic, %error, "whose time its records have is not known"),
    };
    let started = std::thread::Builder::new()
        .name("source-topic".to_owned())
        .spawn(look);
    if let Err(error) = started {
        tracing::warn!(%error, "the source topic is not looked at");
    }
}

/// The full name of the topic that transactions are read from: what producers write, or what the
/// rekeying job makes of it.
#[must_use]
pub fn transactions_topic(settings: &Settings) -> String {
    topic_name(&settings.kafka, stream(topic::TRANSACTIONS, settings.rekeys()))
}

/// The job that rekeys, as those see it that read what it writes.
#[must_use]
pub fn rekeying(kafka: &Kafka) -> Upstream {
    Upstream {
        topic: topic_name(kafka, REKEY.input),
        group: topic_name(kafka, &REKEY.group()),
    }
}
