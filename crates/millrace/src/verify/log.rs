//! Reading a topic from its start to its end, and later what has come since.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use millrace_kafka::admin::bounds;
use millrace_kafka::client::{LogBridge, reader_config};
use millrace_settings::Kafka;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

/// How long the brokers may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// A topic's committed records. It joins no group, so it disturbs nobody.
pub(crate) struct TopicLog {
    consumer: BaseConsumer<LogBridge>,
    topic: String,
    /// The next offset of each partition; `None` before its first record.
    next: BTreeMap<i32, Option<i64>>,
}

impl TopicLog {
    /// Opens a topic.
    ///
    /// # Errors
    /// The settings are wrong, the brokers are away, or there is no such topic.
    pub(crate) fn open(kafka: &Kafka, topic: String) -> anyhow::Result<Self> {
        let group = format!("{}millrace-verify", kafka.topic_prefix);
        let consumer: BaseConsumer<LogBridge> =
            reader_config(kafka, &group)?.create_with_context(LogBridge)?;
        let metadata = consumer
            .fetch_metadata(Some(&topic), SILENCE)
            .with_context(|| format!("Kafka at {} does not answer", kafka.bootstrap_servers))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let partitions = found.map_or(&[][..], rdkafka::metadata::MetadataTopic::partitions);
        if partitions.is_empty() {
            bail!("there is no topic {topic}: `millrace init` creates it");
        }
        let next = partitions
            .iter()
            .map(|partition| (partition.id(), None))
            .collect();
        Ok(Self {
            consumer,
            topic,
            next,
        })
    }

    /// The number of records, aborted ones and markers of transactions included; `None` where retention has removed
    /// some.
    ///
    /// # Errors
    /// The brokers are away.
    pub(crate) fn length(&self) -> anyhow::Result<Option<u64>> {
        let mut length = 0;
        for &partition in self.next.keys() {
            let (low, high) = bounds(&self.consumer, &self.topic, partition, SILENCE)
                .with_context(|| format!("cannot get the offsets of {}-{partition}", self.topic))?;
            if low > 0 {
                return Ok(None);
            }
            length += high.unsigned_abs();
        }
        Ok(Some(length))
    }

    /// Hands over every committed record that was not handed over before, up to the end of each partition.
    ///
    /// # Errors
    /// The brokers are away, or `take` fails.
    pub(crate) fn read_new(
        &mut self,
        mut take: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut positions = TopicPartitionList::new();
        for (&partition, next) in &self.next {
            let offset = next.map_or(Offset::Beginning, Offset::Offset);
            positions.add_partition_offset(&self.topic, partition, offset)?;
        }
        // A new assignment makes the end of each partition known again.
        self.consumer.assign(&positions)?;
        let mut reading: BTreeSet<i32> = self.next.keys().copied().collect();
        let mut last_sign = Instant::now();
        let mut last_error = None;
        while !reading.is_empty() {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    take(&message)?;
                    self.next.insert(message.partition(), Some(message.offset() + 1));
                    last_sign = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    reading.remove(&partition);
                    last_sign = Instant::now();
                }
                Some(Err(error)) => last_error = Some(error),
                None => {}
            }
            if last_sign.elapsed() > SILENCE {
                let why = last_error.map_or_else(String::new, |error| format!(": {error}"));
                bail!(
                    "no answer from Kafka for {} s while reading {}{why}",
                    SILENCE.as_secs(),
                    self.topic
                );
            }
        }
        self.consumer.unassign()?;
        Ok(())
    }
}
