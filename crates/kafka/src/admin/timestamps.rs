//! Who stamps a topic's records.

use std::time::Duration;

use futures::executor::block_on;
use millrace_settings::Kafka;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::error::KafkaError;

use super::AdminError;
use crate::client::{LogBridge, admin_config};

/// How long the cluster may take to answer.
const CALL: Duration = Duration::from_secs(15);
/// The topic's setting.
const KEY: &str = "message.timestamp.type";

/// Whose time the records have that a topic takes from now on; those that it has keep theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's, or whatever it says.
    CreateTime,
    /// The broker's, when it appends the record.
    LogAppendTime,
}

/// Whose time the records of a topic, given by its full name, have.
///
/// # Errors
/// The cluster does not answer, has no such topic, or refuses.
pub fn timestamp_type(kafka: &Kafka, topic: &str) -> Result<TimestampType, AdminError> {
    let failed = |reason| AdminError::Kafka {
        action: format!("looking up {KEY} of {topic}"),
        reason,
    };
    let client: AdminClient<LogBridge> = admin_config(kafka)?
        .create_with_context(LogBridge)
        .map_err(failed)?;
    let options = AdminOptions::new().request_timeout(Some(CALL));
    let resources = block_on(client.describe_configs([&ResourceSpecifier::Topic(topic)], &options));
    let found = match resources.map_err(failed)?.into_iter().next() {
        Some(found) => found.map_err(|code| failed(KafkaError::AdminOp(code)))?,
        None => return Err(failed(KafkaError::Canceled)),
    };
    let value = found.get(KEY).and_then(|entry| entry.value.as_deref());
    Ok(match value {
        Some("LogAppendTime") => TimestampType::LogAppendTime,
        _ => TimestampType::CreateTime,
    })
}
