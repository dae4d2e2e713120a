//! What the brokers say: topics with their sizes, groups with their lag.

use std::time::Duration;

use anyhow::Context as _;
use millrace_catalog::groups;
use millrace_kafka::admin::{Lookup, TimestampType, bounds, timestamp_type};
use millrace_kafka::client::{LogBridge, reader_config};
use millrace_kafka::topic_name;
use millrace_service::source::CREATE_TIME;
use millrace_settings::Settings;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde::Serialize;

use super::services::Part;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct KafkaState {
    pub(super) brokers: Vec<i32>,
    pub(super) topics: Vec<Topic>,
    pub(super) groups: Vec<Group>,
}

/// One topic of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) partitions: usize,
    /// Offsets that the log holds; the markers that end transactions are among them.
    pub(super) records: i64,
    /// Partitions with fewer replicas in sync than they have.
    pub(super) under_replicated: usize,
    /// Partitions without a leader: nothing can be read from them or written to them.
    pub(super) offline: usize,
    /// What is wrong with its settings.
    pub(super) warning: Option<String>,
}

/// What a group has still to read of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) topic: String,
    /// Over all partitions; a partition without a commit counts whole.
    pub(super) lag: i64,
    /// Partitions with a commit.
    pub(super) committed_partitions: usize,
}

impl KafkaState {
    /// The row among the other parts.
    pub(super) fn part(&self, settings: &Settings) -> Part {
        let offline: usize = self.topics.iter().map(|topic| topic.offline).sum();
        let under: usize = self.topics.iter().map(|topic| topic.under_replicated).sum();
        let mut note = format!("{} brokers", self.brokers.len());
        if self.topics.is_empty() {
            note.push_str(", no topics yet (`millrace init` creates them)");
        }
        if under > 0 {
            note.push_str(&format!(", {under} partitions under-replicated"));
        }
        if offline > 0 {
            note.push_str(&format!(", {offline} partitions without a leader"));
        }
        for topic in &self.topics {
            if let Some(warning) = &topic.warning {
                note.push_str(&format!("; {}: {warning}", topic.name));
            }
        }
        let part = Part::ready("Kafka", &settings.kafka.bootstrap_servers, note);
        Part {
            ready: offline == 0 && !self.topics.is_empty(),
            ..part
        }
    }
}

/// Asks the brokers.
///
/// # Errors
/// None answers.
pub(super) async fn look(settings: &Settings) -> anyhow::Result<KafkaState> {
    let settings = settings.clone();
    // librdkafka's calls block.
    tokio::task::spawn_blocking(move || look_blocking(&settings)).await?
}

fn look_blocking(settings: &Settings) -> anyhow::Result<KafkaState> {
    let kafka = &settings.kafka;
    let group = format!("{}millrace-status", kafka.topic_prefix);
    let reader: BaseConsumer<LogBridge> = reader_config(kafka, &group)?.create_with_context(LogBridge)?;
    let metadata = reader
        .fetch_metadata(None, TIMEOUT)
        .context("no broker answers")?;
    let mut brokers: Vec<i32> = metadata
        .brokers()
        .iter()
        .map(rdkafka::metadata::MetadataBroker::id)
        .collect();
    brokers.sort_unstable();
    let mut topics = Vec::new();
    for spec in millrace_catalog::topics(settings.installation()) {
        let name = topic_name(kafka, spec.name);
        let Some(found) = metadata.topics().iter().find(|topic| topic.name() == name) else {
            continue;
        };
        let mut topic = Topic {
            name,
            partitions: found.partitions().len(),
            records: 0,
            under_replicated: 0,
            offline: 0,
            warning: None,
        };
        if spec.log_append_time && timestamp_type(kafka, &topic.name)? == TimestampType::CreateTime {
            topic.warning = Some(CREATE_TIME.to_owned());
        }
        for partition in found.partitions() {
            topic.under_replicated += usize::from(partition.isr().len() < partition.replicas().len());
            if partition.leader() < 0 {
                topic.offline += 1;
                continue;
            }
            let (low, high) = bounds(&reader, &topic.name, partition.id(), TIMEOUT)
                .with_context(|| format!("cannot get the offsets of {}-{}", topic.name, partition.id()))?;
            topic.records += high - low;
        }
        topics.push(topic);
    }
    let groups = lags(settings, &topics)?;
    Ok(KafkaState {
        brokers,
        topics,
        groups,
    })
}

fn lags(settings: &Settings, known: &[Topic]) -> anyhow::Result<Vec<Group>> {
    let kafka = &settings.kafka;
    let lookup = Lookup::connect(kafka)?.within(TIMEOUT);
    let mut lags = Vec::new();
    for group in groups(settings.installation()) {
        for name in &group.topics {
            let topic = topic_name(kafka, name);
            if !known
                .iter()
                .any(|known| known.name == topic && known.offline == 0)
            {
                continue;
            }
            let name = topic_name(kafka, &group.name);
            let ends = lookup.end_offsets(&topic)?;
            let committed = lookup.committed_offsets(&name, &topic)?;
            let (lag, committed_partitions) = lag(&ends, &committed);
            lags.push(Group {
                name,
                topic,
                lag,
                committed_partitions,
            });
        }
    }
    Ok(lags)
}

/// The records between what is committed and the ends, and how many partitions have a commit.
fn lag(ends: &[i64], committed: &[Option<i64>]) -> (i64, usize) {
    let behind = ends
        .iter()
        .zip(committed)
        .map(|(end, committed)| (end - committed.unwrap_or(0)).max(0));
    (behind.sum(), committed.iter().flatten().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_without_a_commit_lags_whole_and_none_is_ahead() {
        // The ends are read before the commits, which may have moved past them.
        assert_eq!(lag(&[10, 20, 30], &[Some(4), None, Some(31)]), (26, 2));
    }
}
