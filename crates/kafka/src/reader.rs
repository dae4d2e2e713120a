//! Bounded look-ups in the log, off the hot path: committed offsets, ends, and reading a partition
//! to its end.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use crate::client::LogBridge;

/// How long one look-up may take.
const CALL: Duration = Duration::from_secs(5);
/// How long reading to the end of a partition may go without getting anything.
const STALLED: Duration = Duration::from_secs(10);
/// The longest wait for a record that is followed.
const FOLLOW: Duration = Duration::from_millis(100);
/// How many offsets from the end the search for the last record starts.
const LAST_STEP: i64 = 32;

/// A record's offset, value and time.
pub type LastRecord = (i64, Vec<u8>, Option<i64>);

/// A consumer that joins no group and assigns itself one partition at a time.
pub struct Reader {
    consumer: BaseConsumer<LogBridge>,
}

impl Reader {
    /// A reader with this configuration, as [`crate::client::reader_config`] makes it.
    ///
    /// # Errors
    /// librdkafka refuses the configuration.
    pub fn new(config: &ClientConfig) -> KafkaResult<Self> {
        Ok(Self {
            consumer: config.create_with_context(LogBridge)?,
        })
    }

    /// The group's committed offset. One that a transaction is about to change is an error, to be
    /// tried again: the answer must be what the next owner can rely on.
    ///
    /// # Errors
    /// The cluster does not answer, or refuses.
    pub fn committed(&self, topic: &str, partition: i32) -> KafkaResult<Option<i64>> {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let list = self.consumer.committed_offsets(list, CALL)?;
        let element = list
            .find_partition(topic, partition)
            .ok_or(KafkaError::Canceled)?;
        element.error()?;
        match element.offset() {
            Offset::Offset(offset) => Ok(Some(offset)),
            _ => Ok(None),
        }
    }

    /// The first offset and the end of a partition, by word of its leader.
    ///
    /// # Errors
    /// The cluster does not answer, or refuses.
    pub fn bounds(&self, topic: &str, partition: i32) -> KafkaResult<(i64, i64)> {
        let bounds = self.consumer.fetch_watermarks(topic, partition, CALL);
        if bounds.is_err() {
            self.refresh_leaders(topic);
        }
        bounds
    }

    /// The number of a topic's partitions.
    ///
    /// # Errors
    /// The cluster does not answer, or refuses.
    pub fn partitions(&self, topic: &str) -> KafkaResult<i32> {
        let metadata = self.consumer.fetch_metadata(Some(topic), CALL)?;
        let count = metadata.topics().first().map_or(0, |it| it.partitions().len());
        i32::try_from(count).map_err(|_| KafkaError::Canceled)
    }

    /// Learns anew who leads the partitions. librdkafka sends a look-up to the leader it has once
    /// heard of, and does not ask again when that broker has died, but for topics that it reads.
    fn refresh_leaders(&self, topic: &str) {
        if let Err(error) = self.consumer.fetch_metadata(Some(topic), CALL) {
            tracing::debug!(%error, topic, "the leaders are not known");
        }
    }

    /// The ends of several partitions, each by word of its leader; `None` for one whose leader did
    /// not answer. An end is the last stable offset, or, of a client that reads what is not
    /// committed too, the high watermark.
    ///
    /// # Errors
    /// The cluster does not answer, or refuses.
    pub fn ends(&self, topic: &str, partitions: &[i32], timeout: Duration) -> KafkaResult<Vec<Option<i64>>> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            // A list-offsets request takes "end" in place of a timestamp.
            list.add_partition_offset(topic, *partition, Offset::End)?;
        }
        let found = self.consumer.offsets_for_times(list, timeout);
        let is_whole = found
            .as_ref()
            .is_ok_and(|list| list.elements().iter().all(|it| it.error().is_ok()));
        if !is_whole {
            self.refresh_leaders(topic);
        }
        let list = found?;
        let end = |partition: &i32| {
            let element = list.find_partition(topic, *partition)?;
            match (element.error(), element.offset()) {
                (Ok(()), Offset::Offset(offset)) => Some(offset),
                _ => None,
            }
        };
        Ok(partitions.iter().map(end).collect())
    }

    /// Reads the committed records from `from` to the present end of the partition. `visit` returns
    /// whether to go on.
    ///
    /// # Errors
    /// As of the other look-ups; also a batch that is there and cannot be read.
    pub fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        mut visit: impl FnMut(&BorrowedMessage<'_>) -> bool,
    ) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(from))?;
        self.consumer.assign(&list)?;
        let result = self.read_assigned(partition, &mut visit);
        self.consumer.unassign()?;
        result
    }

    /// Hands over the committed records from `from` on as they come, while they are wanted, and
    /// says by `None` that there is nothing more for the moment. What hinders the client it logs,
    /// and goes on by itself.
    ///
    /// # Errors
    /// The client refuses the partition.
    pub fn follow(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        is_wanted: impl Fn() -> bool,
        mut visit: impl FnMut(Option<&BorrowedMessage<'_>>),
    ) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(from))?;
        self.consumer.assign(&list)?;
        while is_wanted() {
            match self.consumer.poll(FOLLOW) {
                Some(Ok(message)) => visit(Some(&message)),
                None | Some(Err(KafkaError::PartitionEOF(_))) => visit(None),
                Some(Err(error)) => tracing::debug!(%error, topic, "while following"),
            }
        }
        self.consumer.unassign()
    }

    fn read_assigned(
        &self,
        partition: i32,
        visit: &mut dyn FnMut(&BorrowedMessage<'_>) -> bool,
    ) -> KafkaResult<()> {
        let mut heard = Instant::now();
        while heard.elapsed() < STALLED {
            match self.consumer.poll(Duration::from_millis(100)) {
                None => continue,
                Some(Ok(message)) => {
                    if message.partition() == partition && !visit(&message) {
                        return Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(at))) if at == partition => return Ok(()),
                Some(Err(error)) if is_unreadable(&error) => return Err(error),
                // librdkafka goes on by itself; if it cannot, the time runs out.
                Some(Err(error)) => {
                    tracing::debug!(%error, partition, "while reading to the end");
                    continue;
                }
            }
            heard = Instant::now();
        }
        Err(KafkaError::MessageConsumption(
            RDKafkaErrorCode::OperationTimedOut,
        ))
    }

    /// The last committed record of a partition: its offset, value and time in milliseconds
    /// since 1970.
    ///
    /// # Errors
    /// The cluster does not answer, or refuses.
    pub fn last_record(&self, topic: &str, partition: i32) -> KafkaResult<Option<LastRecord>> {
        let (low, end) = self.bounds(topic, partition)?;
        let mut step = LAST_STEP;
        loop {
            let start = end.saturating_sub(step).max(low);
            let mut last = None;
            self.read(topic, partition, start, |message| {
                let payload = message.payload().unwrap_or_default().to_vec();
                last = Some((message.offset(), payload, message.timestamp().to_millis()));
                true
            })?;
            if last.is_some() || start == low {
                return Ok(last);
            }
            step = step.saturating_mul(8);
        }
    }

    /// Whether no committed record is at or after `from`: what is between there and the end is
    /// markers of transactions, or was aborted.
    ///
    /// # Errors
    /// The cluster does not answer, or refuses.
    pub fn is_empty_from(&self, topic: &str, partition: i32, from: i64) -> KafkaResult<bool> {
        let mut empty = true;
        self.read(topic, partition, from, |message| {
            empty = message.offset() < from;
            empty
        })?;
        Ok(empty)
    }
}

/// Whether a batch is there and cannot be read, now or by waiting.
fn is_unreadable(error: &KafkaError) -> bool {
    matches!(
        error,
        KafkaError::MessageConsumption(
            RDKafkaErrorCode::BadMessage
                | RDKafkaErrorCode::BadCompression
                | RDKafkaErrorCode::InvalidMessage
                | RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::NotImplemented
        )
    )
}
