//! Reading a topic from its start to its end, and later what has come since.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use millrace_domain::texts::InFlight;
use millrace_settings::Kafka;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, Timestamp, TopicPartitionList};
use thiserror::Error;

use crate::admin::bounds;
use crate::client::{ConfigError, LogBridge, reader_config};

/// How long the brokers may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// Why a topic cannot be read to its end.
#[derive(Debug, Error)]
pub enum LogError {
    /// The settings are impossible.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// librdkafka refuses.
    #[error(transparent)]
    Client(#[from] KafkaError),
    /// The brokers are away.
    #[error("Kafka at {servers} does not answer")]
    Away {
        /// Which.
        servers: String,
        /// librdkafka's reason.
        #[source]
        reason: KafkaError,
    },
    /// A batch has another checksum than its records have.
    #[error("a batch of {topic} is corrupt: docs/operations.md, \"A partition that cannot be read\"")]
    Corrupt {
        /// Its topic.
        topic: String,
        /// librdkafka's word.
        #[source]
        reason: KafkaError,
    },
    /// There is no such topic.
    #[error("there is no topic {topic}: `millrace init` creates it")]
    NoTopic {
        /// Its full name.
        topic: String,
    },
    /// The leader of a partition does not say where it starts and ends.
    #[error("cannot get the offsets of {topic}-{partition}")]
    Offsets {
        /// The topic's full name.
        topic: String,
        /// The partition.
        partition: i32,
        /// librdkafka's reason.
        #[source]
        reason: KafkaError,
    },
    /// The brokers fell silent.
    #[error("no answer from Kafka for {} s while reading {topic}{why}", SILENCE.as_secs())]
    Silent {
        /// The topic's full name.
        topic: String,
        /// The last error, with a colon before it; empty where there was none.
        why: String,
    },
}

/// A topic's committed records. It joins no group, so it disturbs nobody.
pub struct TopicLog {
    consumer: BaseConsumer<LogBridge>,
    topic: String,
    /// The next offset of each partition; `None` before its first record.
    next: BTreeMap<i32, Option<i64>>,
}

/// What a topic has, by word of its leaders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// Offsets that are there: records, aborted ones and markers of transactions included.
    pub length: u64,
    /// Partitions whose beginning retention, or somebody, has removed.
    pub truncated: BTreeSet<i32>,
    /// Offsets that are gone.
    pub removed: u64,
}

/// What is at one offset of a topic's partitions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AtOffset {
    /// The values of the committed records there.
    pub values: Vec<Vec<u8>>,
    /// Whether retention, or somebody, has removed what a partition had there.
    pub is_removed: bool,
}

impl TopicLog {
    /// Opens a topic.
    ///
    /// # Errors
    /// The settings are wrong, the brokers are away, or there is no such topic.
    pub fn open(kafka: &Kafka, topic: String) -> Result<Self, LogError> {
        let group = format!("{}millrace-verify", kafka.topic_prefix);
        let consumer: BaseConsumer<LogBridge> =
            reader_config(kafka, &group)?.create_with_context(LogBridge)?;
        let metadata = consumer
            .fetch_metadata(Some(&topic), SILENCE)
            .map_err(|reason| LogError::Away {
                servers: kafka.bootstrap_servers.clone(),
                reason,
            })?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let partitions = found.map_or(&[][..], rdkafka::metadata::MetadataTopic::partitions);
        if partitions.is_empty() {
            return Err(LogError::NoTopic { topic });
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

    /// Number of partitions when it was opened.
    pub fn partitions(&self) -> i32 {
        i32::try_from(self.next.len()).unwrap_or(i32::MAX)
    }

    /// The topic's full name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Where the partitions start and end.
    ///
    /// # Errors
    /// The brokers are away.
    pub fn extent(&self) -> Result<Extent, LogError> {
        let mut extent = Extent {
            length: 0,
            truncated: BTreeSet::new(),
            removed: 0,
        };
        for &partition in self.next.keys() {
            let (low, high) = self.bounds(partition)?;
            extent.length += high.saturating_sub(low).unsigned_abs();
            extent.removed += low.unsigned_abs();
            if low > 0 {
                extent.truncated.insert(partition);
            }
        }
        Ok(extent)
    }

    /// Hands over every committed record that was not handed over before, up to the end of each
    /// partition. The texts of long ids are there as long as `take` has the record, unless somebody
    /// [holds](millrace_domain::texts::Held) them.
    ///
    /// # Errors
    /// The brokers are away, or `take` fails.
    pub fn read_new<E: From<LogError>>(
        &mut self,
        mut take: impl FnMut(&BorrowedMessage<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut next = std::mem::take(&mut self.next);
        let positions = next
            .iter()
            .map(|(&partition, next)| (partition, next.map_or(Offset::Beginning, Offset::Offset)));
        let read = self.read(positions.collect(), |message| {
            take(message)?;
            next.insert(message.partition(), Some(message.offset() + 1));
            Ok(true)
        });
        self.next = next;
        read
    }

    /// Hands over the committed records of one partition from `from` on, or from its start where
    /// that is later, as long as `take` says that there should be more.
    ///
    /// # Errors
    /// The brokers are away, or `take` fails.
    pub fn read_partition<E: From<LogError>>(
        &self,
        partition: i32,
        from: i64,
        take: impl FnMut(&BorrowedMessage<'_>) -> Result<bool, E>,
    ) -> Result<(), E> {
        self.read(BTreeMap::from([(partition, Offset::Offset(from))]), take)
    }

    /// Hands over the committed records of these partitions that were appended within a time, in
    /// milliseconds since 1970, and of each a few more, until `take` says that it has enough of a
    /// partition.
    ///
    /// # Errors
    /// The brokers are away, or `take` fails.
    pub fn read_appended<E: From<LogError>>(
        &self,
        partitions: &[i32],
        (from_ms, to_ms): (i64, i64),
        mut take: impl FnMut(&BorrowedMessage<'_>) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut times = TopicPartitionList::new();
        for &partition in partitions {
            let added = times.add_partition_offset(&self.topic, partition, Offset::Offset(from_ms.max(0)));
            added.map_err(LogError::Client)?;
        }
        let found = self.consumer.offsets_for_times(times, SILENCE);
        let found = found.map_err(LogError::Client)?;
        let first = |it: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match it.offset() {
            offset @ Offset::Offset(_) => Some((it.partition(), offset)),
            // Nothing was appended since.
            _ => None,
        };
        self.read(found.elements().iter().filter_map(first).collect(), |message| {
            let is_over = match message.timestamp() {
                Timestamp::LogAppendTime(at_ms) => at_ms > to_ms,
                Timestamp::CreateTime(_) | Timestamp::NotAvailable => false,
            };
            Ok(take(message)? && !is_over)
        })
    }

    /// Those of `offsets` at or after which the partition has a committed record: what a group that
    /// has committed them has not read.
    ///
    /// # Errors
    /// The brokers are away.
    pub fn with_records_from(
        &self,
        offsets: impl IntoIterator<Item = (i32, Option<i64>)>,
    ) -> Result<BTreeSet<i32>, LogError> {
        let offsets = offsets
            .into_iter()
            .map(|(partition, offset)| (partition, offset.map_or(Offset::Beginning, Offset::Offset)));
        let mut found = BTreeSet::new();
        self.read(offsets.collect(), |message| {
            found.insert(message.partition());
            Ok::<_, LogError>(false)
        })?;
        Ok(found)
    }

    /// What the partitions have at this offset.
    ///
    /// # Errors
    /// The brokers are away.
    pub fn at(&self, offset: i64) -> Result<AtOffset, LogError> {
        let mut found = AtOffset::default();
        let mut positions = BTreeMap::new();
        for &partition in self.next.keys() {
            let (low, high) = self.bounds(partition)?;
            found.is_removed |= offset < low;
            if (low..high).contains(&offset) {
                positions.insert(partition, Offset::Offset(offset));
            }
        }
        let values = &mut found.values;
        self.read(positions, |message| {
            // It is a later one where a transaction's marker is there, or what was aborted.
            if message.offset() == offset {
                values.extend(message.payload().map(<[u8]>::to_vec));
            }
            Ok::<_, LogError>(false)
        })?;
        Ok(found)
    }

    fn bounds(&self, partition: i32) -> Result<(i64, i64), LogError> {
        bounds(&self.consumer, &self.topic, partition, SILENCE).map_err(|reason| LogError::Offsets {
            topic: self.topic.clone(),
            partition,
            reason,
        })
    }

    /// Reads from these positions; a partition to its end, or until `take` has enough of it.
    fn read<E: From<LogError>>(
        &self,
        positions: BTreeMap<i32, Offset>,
        mut take: impl FnMut(&BorrowedMessage<'_>) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut assignment = TopicPartitionList::new();
        for (&partition, &offset) in &positions {
            let added = assignment.add_partition_offset(&self.topic, partition, offset);
            added.map_err(LogError::Client)?;
        }
        // A new assignment makes the end of each partition known again.
        self.consumer.assign(&assignment).map_err(LogError::Client)?;
        let mut reading: BTreeSet<i32> = positions.into_keys().collect();
        let mut last_sign = Instant::now();
        let mut last_error = None;
        while !reading.is_empty() {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let partition = message.partition();
                    // Of a long id, what is made of a record keeps the hash: a log has any number.
                    let _round = InFlight::begin();
                    if reading.contains(&partition) && !take(&message)? {
                        reading.remove(&partition);
                    }
                    last_sign = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    reading.remove(&partition);
                    last_sign = Instant::now();
                }
                // What comes next is behind it: going on would leave it out.
                Some(Err(error @ KafkaError::MessageConsumption(RDKafkaErrorCode::BadMessage))) => {
                    let (topic, reason) = (self.topic.clone(), error);
                    return Err(LogError::Corrupt { topic, reason }.into());
                }
                Some(Err(error)) => last_error = Some(error),
                None => {}
            }
            if last_sign.elapsed() > SILENCE {
                let why = last_error.map_or_else(String::new, |error| format!(": {error}"));
                let topic = self.topic.clone();
                return Err(LogError::Silent { topic, why }.into());
            }
        }
        self.consumer.unassign().map_err(LogError::Client)?;
        Ok(())
    }
}
