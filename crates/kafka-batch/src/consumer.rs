//! Fetched records by the array.
//!
//! A partition that is *routed* has its records and its errors in a queue of their own, which is
//! read a batch at a time. Everything else (rebalances, answers to commits, errors of the client,
//! statistics, logs) stays in the consumer's own queue and is served by [`BaseConsumer::poll`], as
//! ever. They must be apart: librdkafka's batch calls serve events by callbacks, rust-rdkafka has
//! none, and for a rebalance without a callback librdkafka gives all partitions up.
//!
//! librdkafka (2.12) takes whatever is in a batch for a record when it moves a partition's
//! position: a report of a partition moves it too, one further than the report's own offset. From
//! the next pause on (each rebalance has one), the record in between is left out. Ends of
//! partitions are such reports, so that `enable.partition.eof` is refused; after an error, the
//! caller has to seek.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaMessage;

use crate::bell::Bell;
use crate::messages::{destroy, item, take};
use crate::native::{self, Queue};
use crate::{PartitionQueue, Record, Report};

/// A consumer, and a queue beside its own from which records are taken in batches.
pub struct BatchConsumer<C: ConsumerContext + 'static> {
    // Fields are dropped in this order: the queue has to go before its client.
    queue: Queue,
    /// Room for the next batch; empty.
    spare: Cell<Vec<NonNull<RDKafkaMessage>>>,
    /// Rings when records come of a partition that has a queue of its own.
    bell: Arc<Bell>,
    consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: the queue and the consumer may be used from any thread; the room has no message in it, as
// those belong to a batch, which borrows the consumer and cannot be sent.
unsafe impl<C: ConsumerContext + 'static> Send for BatchConsumer<C> {}

impl<C: ConsumerContext + 'static> BatchConsumer<C> {
    /// Adds a queue to a consumer.
    ///
    /// # Errors
    /// The consumer reports ends of partitions (`enable.partition.eof`), or librdkafka has no
    /// memory for a queue.
    pub fn new(consumer: BaseConsumer<C>) -> KafkaResult<Self> {
        // SAFETY: the consumer is live.
        if unsafe { native::is_set(consumer.client().native_ptr(), c"enable.partition.eof") } {
            return Err(KafkaError::ClientCreation(
                "enable.partition.eof must be false where records are taken in batches: librdkafka would skip one at each end"
                    .to_owned(),
            ));
        }
        // SAFETY: the consumer is live, and dropped after the queue.
        let queue = unsafe { Queue::new(consumer.client().native_ptr()) }
            .ok_or_else(|| KafkaError::ClientCreation("no queue for batches".to_owned()))?;
        Ok(Self {
            queue,
            spare: Cell::default(),
            bell: Arc::default(),
            consumer: Arc::new(consumer),
        })
    }

    /// The consumer itself, which has to be polled for everything but the records of routed
    /// partitions.
    #[must_use]
    pub fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// Has what is fetched from a partition come in batches. To be called each time just before the
    /// partition is assigned: giving it up ends the routing, and records fetched before the call
    /// come by the consumer's own poll.
    ///
    /// # Errors
    /// A name with a zero byte in it, or one that librdkafka refuses.
    pub fn route(&self, topic: &str, partition: i32) -> KafkaResult<()> {
        let fetched = Queue::of(&self.consumer, topic, partition)?;
        fetched.forward(&self.queue);
        Ok(())
    }

    /// As [`Self::route`], and what is fetched comes in a queue of the partition's own.
    ///
    /// # Errors
    /// A name with a zero byte in it, or one that librdkafka refuses.
    pub fn route_apart(&self, topic: &str, partition: i32) -> KafkaResult<PartitionQueue<C>> {
        PartitionQueue::new(
            Arc::clone(&self.consumer),
            Arc::clone(&self.bell),
            topic,
            partition,
        )
    }

    /// Waits, `timeout` at most, until records come into an empty one of the partitions' own
    /// queues; not at all where some have come since the last call.
    pub fn wait(&self, timeout: Duration) {
        self.bell.wait(timeout);
    }

    /// Up to `max_records` of what has been fetched. If that is nothing, it is waited for,
    /// `timeout` at most; but a batch that is not full is not.
    pub fn fetch(&self, max_records: usize, timeout: Duration) -> Batch<'_, C> {
        let mut messages = self.spare.take();
        messages.reserve_exact(max_records);
        take(&self.queue, &mut messages, max_records, 0);
        if messages.is_empty() && !timeout.is_zero() && max_records > 0 {
            // The call waits until its array is full, so it gets one of one.
            take(&self.queue, &mut messages, 1, native::timeout_ms(timeout));
            if !messages.is_empty() {
                take(&self.queue, &mut messages, max_records - 1, 0);
            }
        }
        Batch {
            messages,
            consumer: self,
        }
    }
}

/// Records that were fetched, and what was reported of their partitions, in order. They are freed
/// with the batch.
pub struct Batch<'c, C: ConsumerContext + 'static> {
    messages: Vec<NonNull<RDKafkaMessage>>,
    consumer: &'c BatchConsumer<C>,
}

impl<C: ConsumerContext + 'static> Batch<'_, C> {
    /// Number of records and reports.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Each record, or what was reported in its place.
    pub fn iter(&self) -> impl Iterator<Item = Result<Record<'_>, Report>> {
        let context = self.consumer.consumer.context();
        // SAFETY: a message is live, and not changed, until its batch is dropped.
        self.messages
            .iter()
            .map(|message| unsafe { item(*message, &**context) })
    }
}

impl<C: ConsumerContext + 'static> Drop for Batch<'_, C> {
    fn drop(&mut self) {
        for message in self.messages.drain(..) {
            // SAFETY: the message is ours, is given back once, and its client lives.
            unsafe { destroy(message) }
        }
        self.consumer.spare.set(std::mem::take(&mut self.messages));
    }
}
