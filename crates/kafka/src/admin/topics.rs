//! Creates topics and keeps their settings as they should be.

use std::time::{Duration, Instant};

use futures::executor::block_on;
use millrace_domain::topic::{MAX_COPY_BYTES, TopicSpec};
use millrace_settings::Kafka;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::{AdminError, Lookup};
use crate::client::{LogBridge, admin_config};
use crate::topic_name;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(30);
/// How long a look-up in the midst of a transaction may take.
const QUICK: Duration = Duration::from_secs(5);
/// How long electing leaders may take.
const ELECTION: Duration = Duration::from_secs(60);

/// What became of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicChange {
    /// It was made.
    Created,
    /// It was as it should be.
    Unchanged,
    /// Its settings were changed to what they should be.
    ConfigUpdated,
}

/// Makes the topics of `specs`, under `kafka.topic_prefix`, or brings their settings up to date, and waits until every
/// partition has a leader. A second call changes nothing. The result is in the order of `specs`, with full names.
///
/// # Errors
/// The cluster does not answer, or refuses; a topic exists with fewer partitions, or, where it is compacted, with others,
/// which is found before anything is made or changed.
pub fn ensure_topics(kafka: &Kafka, specs: &[TopicSpec]) -> Result<Vec<(String, TopicChange)>, AdminError> {
    let admin = Admin::connect(kafka)?;
    let lookup = Lookup::connect(kafka)?;
    let wanted: Vec<Wanted> = specs.iter().map(|spec| Wanted::of(kafka, spec)).collect();
    let existing = lookup.topic_names()?;
    for topic in wanted.iter().filter(|topic| existing.contains(&topic.name)) {
        let found = lookup.topic(&topic.name)?.partitions.len();
        if !topic.takes_partitions(found) {
            return Err(AdminError::PartitionCount {
                topic: topic.name.clone(),
                found,
                wanted: topic.partitions,
            });
        }
    }
    let mut changes = Vec::new();
    for topic in &wanted {
        let change = if existing.contains(&topic.name) {
            admin.update(topic)?
        } else {
            admin.create(topic, kafka.replication_factor)?
        };
        changes.push((topic.name.clone(), change));
    }
    wait_for_leaders(&lookup, &wanted)?;
    Ok(changes)
}

/// Deletes the topics of `specs` under `kafka.topic_prefix`, with all that is in them, and waits until they have gone. One
/// that does not exist is no error.
///
/// # Errors
/// The cluster does not answer, or refuses.
pub fn delete_topics(kafka: &Kafka, specs: &[TopicSpec]) -> Result<(), AdminError> {
    let admin = Admin::connect(kafka)?;
    let names: Vec<String> = specs.iter().map(|spec| topic_name(kafka, spec.name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let results = block_on(admin.client.delete_topics(&names, &admin.options));
    let results = results.map_err(|reason| AdminError::Kafka {
        action: format!("deleting the topics {}", names.join(", ")),
        reason,
    })?;
    for result in results {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((topic, code)) => {
                return Err(AdminError::Refused {
                    topic,
                    action: "deleted",
                    reason: code.to_string(),
                });
            }
        }
    }
    wait_until_gone(&Lookup::connect(kafka)?, &names)
}

fn wait_until_gone(lookup: &Lookup, names: &[&str]) -> Result<(), AdminError> {
    let deadline = Instant::now() + CALL;
    loop {
        let existing = lookup.topic_names()?;
        let Some(left) = existing.iter().find(|name| names.contains(&name.as_str())) else {
            return Ok(());
        };
        if Instant::now() > deadline {
            return Err(AdminError::Refused {
                topic: left.clone(),
                action: "deleted",
                reason: format!("it is still there after {} s", CALL.as_secs()),
            });
        }
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// A topic as it should be.
struct Wanted {
    name: String,
    partitions: i32,
    is_compacted: bool,
    config: Vec<(&'static str, String)>,
}

impl Wanted {
    /// Whether the topic may have so many partitions: users add some, and reading a key's newest record needs its place.
    fn takes_partitions(&self, found: usize) -> bool {
        match usize::try_from(self.partitions) {
            Ok(wanted) if self.is_compacted => found == wanted,
            Ok(wanted) => found >= wanted,
            Err(_) => false,
        }
    }

    fn of(kafka: &Kafka, spec: &TopicSpec) -> Self {
        let timestamps = if spec.log_append_time {
            "LogAppendTime"
        } else {
            "CreateTime"
        };
        let mut config = vec![
            ("min.insync.replicas", kafka.min_insync_replicas.to_string()),
            ("message.timestamp.type", timestamps.to_owned()),
        ];
        if spec.compacted {
            config.push(("cleanup.policy", "compact".to_owned()));
        } else {
            config.push(("cleanup.policy", "delete".to_owned()));
            config.push(("retention.ms", kafka.retention_ms.to_string()));
        }
        if spec.takes_copies {
            config.push(("max.message.bytes", MAX_COPY_BYTES.to_string()));
        }
        Self {
            name: topic_name(kafka, spec.name),
            partitions: spec.partitions,
            is_compacted: spec.compacted,
            config,
        }
    }
}

/// Bytes that a batch of `topic` (its full name) may have: its `max.message.bytes`.
///
/// # Errors
/// The cluster does not answer within some seconds, or refuses: the right to describe the topic's settings is needed.
pub fn max_message_bytes(kafka: &Kafka, topic: &str) -> Result<usize, AdminError> {
    let mut admin = Admin::connect(kafka)?;
    admin.options = AdminOptions::new().request_timeout(Some(QUICK));
    let resource = admin.describe(topic)?;
    let value = resource.get("max.message.bytes");
    value
        .and_then(|entry| entry.value.as_ref()?.parse().ok())
        .ok_or_else(|| failed(topic, "describing", KafkaError::Canceled))
}

struct Admin {
    client: AdminClient<LogBridge>,
    options: AdminOptions,
}

impl Admin {
    fn connect(kafka: &Kafka) -> Result<Self, AdminError> {
        let client = admin_config(kafka)?
            .create_with_context(LogBridge)
            .map_err(AdminError::Client)?;
        let options = AdminOptions::new()
            .request_timeout(Some(CALL))
            .operation_timeout(Some(CALL));
        Ok(Self { client, options })
    }

    fn create(&self, topic: &Wanted, replication_factor: i32) -> Result<TopicChange, AdminError> {
        let mut new = NewTopic::new(
            &topic.name,
            topic.partitions,
            TopicReplication::Fixed(replication_factor),
        );
        for (key, value) in &topic.config {
            new = new.set(key, value);
        }
        let results = block_on(self.client.create_topics([&new], &self.options));
        let results = results.map_err(|reason| failed(&topic.name, "creating", reason))?;
        match results.into_iter().next() {
            // Another `init` may run beside this one.
            Some(Ok(_)) | Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(TopicChange::Created),
            Some(Err((_, code))) => Err(AdminError::Refused {
                topic: topic.name.clone(),
                action: "created",
                reason: match code {
                    RDKafkaErrorCode::InvalidReplicationFactor => {
                        format!(
                            "{code}: kafka.replication_factor is {replication_factor}; are as many brokers running?"
                        )
                    }
                    _ => code.to_string(),
                },
            }),
            None => Err(failed(&topic.name, "creating", KafkaError::Canceled)),
        }
    }

    fn update(&self, topic: &Wanted) -> Result<TopicChange, AdminError> {
        let current = self.describe(&topic.name)?;
        let differs = |(key, value): &&(&'static str, String)| {
            current.get(key).and_then(|entry| entry.value.as_ref()) != Some(value)
        };
        let changes: Vec<_> = topic.config.iter().filter(differs).collect();
        if changes.is_empty() {
            return Ok(TopicChange::Unchanged);
        }
        // This call replaces all of a topic's own settings: those that someone has made must be said again.
        let mut config = AlterConfig::new(ResourceSpecifier::Topic(&topic.name));
        for entry in &current.entries {
            if matches!(entry.source, ConfigSource::DynamicTopic)
                && let Some(value) = &entry.value
            {
                config = config.set(&entry.name, value);
            }
        }
        for (key, value) in &topic.config {
            config = config.set(key, value);
        }
        let results = block_on(self.client.alter_configs([&config], &self.options));
        let results = results.map_err(|reason| failed(&topic.name, "changing", reason))?;
        match results.into_iter().next() {
            Some(Ok(_)) => {
                tracing::info!(topic = topic.name, ?changes, "topic settings updated");
                Ok(TopicChange::ConfigUpdated)
            }
            Some(Err((_, code))) => Err(AdminError::Refused {
                topic: topic.name.clone(),
                action: "changed",
                reason: code.to_string(),
            }),
            None => Err(failed(&topic.name, "changing", KafkaError::Canceled)),
        }
    }

    fn describe(&self, topic: &str) -> Result<ConfigResource, AdminError> {
        let resource = ResourceSpecifier::Topic(topic);
        let results = block_on(self.client.describe_configs([&resource], &self.options));
        let results = results.map_err(|reason| failed(topic, "describing", reason))?;
        match results.into_iter().next() {
            Some(Ok(resource)) => Ok(resource),
            Some(Err(code)) => Err(failed(topic, "describing", KafkaError::AdminOp(code))),
            None => Err(failed(topic, "describing", KafkaError::Canceled)),
        }
    }
}

fn failed(topic: &str, action: &str, reason: KafkaError) -> AdminError {
    AdminError::Kafka {
        action: format!("{action} the topic {topic}"),
        reason,
    }
}

fn wait_for_leaders(lookup: &Lookup, wanted: &[Wanted]) -> Result<(), AdminError> {
    let deadline = Instant::now() + ELECTION;
    for topic in wanted {
        loop {
            match lookup.topic(&topic.name) {
                Ok(state)
                    if topic.takes_partitions(state.partitions.len())
                        && state
                            .partitions
                            .iter()
                            .all(|partition| partition.leader.is_some()) =>
                {
                    break;
                }
                Ok(_) | Err(AdminError::UnknownTopic(_)) if Instant::now() < deadline => {}
                Ok(_) | Err(AdminError::UnknownTopic(_)) => {
                    return Err(AdminError::NoLeader(topic.name.clone()));
                }
                Err(error) => return Err(error),
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_domain::topic::{ALL, MERCHANTS, TRANSACTIONS};

    fn wanted(name: &str) -> Wanted {
        let kafka = Kafka {
            topic_prefix: "t1-".to_owned(),
            ..Kafka::default()
        };
        Wanted::of(&kafka, ALL.iter().find(|spec| spec.name == name).unwrap())
    }

    #[test]
    fn the_source_is_stamped_by_the_broker_and_kept_for_seven_days() {
        let topic = wanted(TRANSACTIONS);
        assert_eq!(
            (topic.name.as_str(), topic.partitions),
            ("t1-financial_transactions", 5)
        );
        for (key, value) in [
            ("message.timestamp.type", "LogAppendTime"),
            ("retention.ms", "604800000"),
            ("cleanup.policy", "delete"),
            ("min.insync.replicas", "2"),
        ] {
            assert!(topic.config.contains(&(key, value.to_owned())), "{key}");
        }
    }

    #[test]
    fn reference_data_is_compacted_and_never_deleted() {
        let topic = wanted(MERCHANTS);
        assert!(topic.config.contains(&("cleanup.policy", "compact".to_owned())));
        assert!(!topic.config.iter().any(|(key, _)| *key == "retention.ms"));
    }
}
