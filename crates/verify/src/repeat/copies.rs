//! Late records and dead letters: copies of input records, each with the reason why it is one.

use anyhow::Result;
use millrace_settings::Kafka;
use rdkafka::message::Message as _;

use super::difference::{Comparison, digest};
use crate::message;
use millrace_kafka::log::TopicLog;

/// What identifies a copy: the record's place.
pub(super) fn place(partition: i32, offset: i64) -> Vec<u8> {
    format!("{partition} {offset}").into_bytes()
}

/// What must be the same: key, value, and the reason, as the header named for it says it.
pub(super) fn content(key: Option<&[u8]>, payload: Option<&[u8]>, reason: &[u8]) -> u64 {
    digest((key, payload.unwrap_or_default(), reason))
}

/// Compares the copies on a topic; of those with a service, the ones of `service`.
///
/// # Errors
/// The brokers are away.
pub(super) fn compare(
    kafka: &Kafka,
    topic: String,
    reason: &str,
    service: &str,
    comparison: &mut Comparison,
) -> Result<()> {
    TopicLog::open(kafka, topic)?.read_new(|message| {
        let by = message::text(message, "service");
        if by.is_empty() || by == service {
            let (partition, offset) = message::source(message).unwrap_or((-1, -1));
            let reason = message::text(message, reason).as_bytes();
            let content = content(message.key(), message.payload(), reason);
            comparison.found(&place(partition, offset), content);
        }
        anyhow::Ok(())
    })
}
