//! Reading a topic from its start to its present end, a partition after the other.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use millrace_kafka::admin::bounds;
use millrace_kafka::client::{LogBridge, reader_config};
use millrace_settings::Kafka;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::letter::Position;

/// How long the brokers may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// A reader of the committed records of a topic. It joins no group.
pub(super) struct Scan {
    consumer: BaseConsumer<LogBridge>,
    topic: String,
    partitions: Vec<i32>,
}

impl Scan {
    /// Opens a topic by its full name.
    ///
    /// # Errors
    /// The brokers are away, or there is no such topic.
    pub(super) fn open(kafka: &Kafka, topic: &str) -> anyhow::Result<Self> {
        let found = Self::open_if_any(kafka, topic)?;
        found
            .with_context(|| format!("there is no topic {topic}: `millrace init` creates those of the suite"))
    }

    /// As [`Scan::open`]; `None` where there is no such topic.
    pub(super) fn open_if_any(kafka: &Kafka, topic: &str) -> anyhow::Result<Option<Self>> {
        let group = format!("{}millrace-dlq", kafka.topic_prefix);
        let consumer: BaseConsumer<LogBridge> =
            reader_config(kafka, &group)?.create_with_context(LogBridge)?;
        let metadata = consumer
            .fetch_metadata(Some(topic), SILENCE)
            .with_context(|| format!("Kafka at {} does not answer", kafka.bootstrap_servers))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let partitions = found.map_or(&[][..], rdkafka::metadata::MetadataTopic::partitions);
        let mut partitions: Vec<i32> = partitions
            .iter()
            .map(rdkafka::metadata::MetadataPartition::id)
            .collect();
        partitions.sort_unstable();
        Ok((!partitions.is_empty()).then(|| Self {
            consumer,
            topic: topic.to_owned(),
            partitions,
        }))
    }

    /// Hands over every committed record, until `take` says that it is enough.
    ///
    /// # Errors
    /// The brokers are away.
    pub(super) fn read(&self, mut take: impl FnMut(&BorrowedMessage<'_>) -> bool) -> anyhow::Result<()> {
        for partition in &self.partitions {
            let mut is_enough = false;
            self.read_partition(*partition, Offset::Beginning, &mut |message| {
                is_enough = !take(message);
                is_enough
            })?;
            if is_enough {
                break;
            }
        }
        Ok(())
    }

    /// Hands the record at a position to `take`; `None` where the topic no longer has it.
    ///
    /// # Errors
    /// The brokers are away.
    pub(super) fn record_at<T>(
        &self,
        at: Position,
        take: impl FnOnce(&BorrowedMessage<'_>) -> T,
    ) -> anyhow::Result<Option<T>> {
        if !self.partitions.contains(&at.partition) {
            return Ok(None);
        }
        let (low, high) = bounds(&self.consumer, &self.topic, at.partition, SILENCE)
            .with_context(|| format!("cannot get the offsets of {}-{}", self.topic, at.partition))?;
        if !(low..high).contains(&at.offset) {
            return Ok(None);
        }
        let (mut found, mut take) = (None, Some(take));
        self.read_partition(at.partition, Offset::Offset(at.offset), &mut |message| {
            if message.offset() == at.offset
                && let Some(take) = take.take()
            {
                found = Some(take(message));
            }
            true
        })?;
        Ok(found)
    }

    /// Hands over records until `is_enough` or the partition's end.
    fn read_partition(
        &self,
        partition: i32,
        from: Offset,
        is_enough: &mut dyn FnMut(&BorrowedMessage<'_>) -> bool,
    ) -> anyhow::Result<()> {
        let mut position = TopicPartitionList::new();
        position.add_partition_offset(&self.topic, partition, from)?;
        self.consumer.assign(&position)?;
        let (mut heard, mut last_error) = (Instant::now(), None);
        loop {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    if message.partition() == partition && is_enough(&message) {
                        break;
                    }
                    heard = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(at))) if at == partition => break,
                Some(Err(error)) => last_error = Some(error),
                None => {}
            }
            if heard.elapsed() > SILENCE {
                let why = last_error.map_or_else(String::new, |error| format!(": {error}"));
                bail!(
                    "no answer from Kafka for {} s while reading {}-{partition}{why}",
                    SILENCE.as_secs(),
                    self.topic
                );
            }
        }
        self.consumer.unassign()?;
        Ok(())
    }
}
