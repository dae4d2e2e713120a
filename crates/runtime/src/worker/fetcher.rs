//! The consumer of a worker, and where it reads.

use std::time::Duration;

use millrace_kafka_batch::{BatchConsumer, PartitionQueue};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::context::WorkerContext;
use super::turns::Turns;
use crate::WorkerError;

pub(super) type Client = BaseConsumer<WorkerContext>;
type Queues = Turns<PartitionQueue<WorkerContext>>;

/// How long a seek may take; one that is not done is tried again in the next step.
const SEEK: Duration = Duration::from_millis(200);

/// What librdkafka fetches ahead of each partition that takes turns, unless it is said: such
/// partitions have a queue each, and those that wait have it full.
const AHEAD: [(&str, &str); 2] = [
    ("queued.min.messages", "5000"),
    ("queued.max.messages.kbytes", "4096"),
];

/// Bounds what is fetched ahead where partitions take turns.
pub(super) fn bound_queues(config: &mut ClientConfig, is_said: impl Fn(&str) -> bool) {
    for (property, value) in AHEAD.into_iter().filter(|(property, _)| !is_said(property)) {
        config.set(property, value);
    }
}

/// A consumer whose records come in batches.
pub(super) struct Fetcher {
    // Fields are dropped in this order: what was fetched goes before the consumer.
    /// Where partitions take their records in turns: what was fetched of each.
    turns: Option<Queues>,
    batches: BatchConsumer<WorkerContext>,
}

impl Fetcher {
    /// `takes_turns`: partitions have queues of their own.
    pub(super) fn new(consumer: Client, takes_turns: bool) -> KafkaResult<Self> {
        Ok(Self {
            turns: takes_turns.then(Turns::default),
            batches: BatchConsumer::new(consumer)?,
        })
    }

    pub(super) fn consumer(&self) -> &Client {
        self.batches.consumer()
    }

    pub(super) fn batches(&self) -> &BatchConsumer<WorkerContext> {
        &self.batches
    }

    pub(super) fn turns(&self) -> Option<&Queues> {
        self.turns.as_ref()
    }

    pub(super) fn turns_mut(&mut self) -> Option<&mut Queues> {
        self.turns.as_mut()
    }

    /// Says where records of a partition go that is about to be assigned.
    pub(super) fn route(&mut self, topic: &str, number: i32) -> KafkaResult<()> {
        match &mut self.turns {
            Some(turns) => turns.add(number, self.batches.route_apart(topic, number)?),
            None => self.batches.route(topic, number)?,
        }
        Ok(())
    }

    /// Forgets what was fetched of partitions that go.
    pub(super) fn forget(&mut self, numbers: &[i32]) {
        if let Some(turns) = &mut self.turns {
            turns.remove(numbers);
        }
    }

    /// Pauses a partition: from this call on, nothing fetched before is delivered but what is in a
    /// batch already, or was taken for one.
    pub(super) fn pause(&self, topic: &str, number: i32) -> Result<(), WorkerError> {
        let paused = list(topic, [(number, Offset::Invalid)]).and_then(|list| self.consumer().pause(&list));
        paused.map_err(failed("pausing a partition"))
    }

    /// Has a paused partition read on from `offset`, and nothing that was fetched before; an error
    /// of the seek where the consumer is not ready for it.
    pub(super) fn go_on(
        &mut self,
        topic: &str,
        number: i32,
        offset: i64,
    ) -> Result<KafkaResult<()>, WorkerError> {
        if let Err(reason) = self.seek(topic, number, offset) {
            tracing::debug!(partition = number, %reason, "the seek is tried again");
            return Ok(Err(reason));
        }
        let resumed = list(topic, [(number, Offset::Invalid)]).and_then(|list| self.consumer().resume(&list));
        resumed.map_err(failed("resuming a partition"))?;
        Ok(Ok(()))
    }

    fn seek(&mut self, topic: &str, number: i32, offset: i64) -> KafkaResult<()> {
        let position = list(topic, [(number, Offset::Offset(offset))])?;
        let sought = self.consumer().seek_partitions(position, SEEK)?;
        for element in sought.elements() {
            element.error()?;
        }
        if let Some(turns) = &mut self.turns {
            turns.clear(number);
        }
        Ok(())
    }
}

pub(super) fn list(
    topic: &str,
    partitions: impl IntoIterator<Item = (i32, Offset)>,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        list.add_partition_offset(topic, partition, offset)?;
    }
    Ok(list)
}

pub(super) fn failed(action: &str) -> impl FnOnce(KafkaError) -> WorkerError {
    let action = action.to_owned();
    |reason| WorkerError::Kafka { action, reason }
}
