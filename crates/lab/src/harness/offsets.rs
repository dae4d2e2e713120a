//! What the groups have committed and where their topics end, by word of the brokers.

use std::time::Duration;

use anyhow::{Context as _, Result};
use millrace_catalog::groups;
use millrace_kafka::admin::Lookup;
use millrace_kafka::client::{LogBridge, reader_config};
use millrace_kafka::topic_name;
use millrace_settings::Settings;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};

use super::group::Group;
use super::monitor::Position;

type Client = BaseConsumer<LogBridge>;

/// How long one look-up may take: in an outage the next look must not wait for this one.
const CALL: Duration = Duration::from_millis(1_500);

/// A client for each group, and the partitions it reads.
pub(super) struct Offsets {
    groups: Vec<(Group, Client, TopicPartitionList)>,
}

impl Offsets {
    /// Looks the topics up and makes the clients.
    ///
    /// # Errors
    /// The settings are wrong, or a topic is missing.
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        let lookup = Lookup::connect(&settings.kafka)?;
        let reader = |reader: Group| {
            let mut groups = groups(settings.installation()).into_iter();
            let found = groups.find(|found| found.reader == reader.reader());
            let group = found.with_context(|| format!("there is no group of {}", reader.reader()))?;
            let mut config = reader_config(&settings.kafka, &topic_name(&settings.kafka, &group.name))?;
            // What is committed is told at once, also while a transaction is about to change it;
            // and the end is the log's, not that of the last transaction that has ended.
            config.set("isolation.level", "read_uncommitted");
            let client = config.create_with_context(LogBridge).context("a reader")?;
            let mut list = TopicPartitionList::new();
            for topic in &group.topics {
                let topic = topic_name(&settings.kafka, topic);
                for partition in lookup.topic(&topic)?.partitions {
                    list.add_partition_offset(&topic, partition.number, Offset::End)?;
                }
            }
            anyhow::Ok((reader, client, list))
        };
        Ok(Self {
            groups: Group::watched(settings)
                .into_iter()
                .map(reader)
                .collect::<Result<_>>()?,
        })
    }

    /// Where each group is; `None` where not every leader and coordinator answers.
    pub(super) fn positions(&self) -> Vec<(Group, Option<Position>)> {
        let mut positions = Vec::with_capacity(self.groups.len());
        for (group, client, list) in &self.groups {
            let position = look(client, list);
            if position.is_none() {
                // librdkafka goes on asking the leader it has once heard of, and that may be the
                // broker that died.
                let _ = client.fetch_metadata(None, CALL);
            }
            positions.push((*group, position));
        }
        positions
    }
}

fn look(client: &Client, list: &TopicPartitionList) -> Option<Position> {
    // The ends first: a group that is at the head never seems ahead.
    let ends = client.offsets_for_times(list.clone(), CALL).ok()?;
    let committed = client.committed_offsets(list.clone(), CALL).ok()?;
    Some(Position {
        committed: sum(&committed, false)?,
        end: sum(&ends, true)?,
    })
}

/// The offsets, added; `None` where one could not be had, or is not there though it must be.
fn sum(list: &TopicPartitionList, every: bool) -> Option<i64> {
    let mut sum = 0;
    for element in list.elements() {
        element.error().ok()?;
        match element.offset() {
            Offset::Offset(offset) => sum += offset,
            _ if every => return None,
            _ => {}
        }
    }
    Some(sum)
}
