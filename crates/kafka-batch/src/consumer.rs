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
use std::ffi::{CString, c_int};
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::{RDKafkaMessage, RDKafkaRespErr};

use crate::Record;
use crate::native::{self, Queue};

/// A consumer, and a queue beside its own from which records are taken in batches.
pub struct BatchConsumer<C: ConsumerContext + 'static> {
    // Fields are dropped in this order: the queue has to go before its client.
    queue: Queue,
    /// Room for the next batch; empty.
    spare: Cell<Vec<NonNull<RDKafkaMessage>>>,
    consumer: BaseConsumer<C>,
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
            consumer,
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
        let topic = CString::new(topic)?;
        // SAFETY: the consumer is live, and outlives this short reference.
        let fetched = unsafe { Queue::of_partition(self.consumer.client().native_ptr(), &topic, partition) };
        let fetched = fetched.ok_or_else(|| {
            KafkaError::ClientCreation(format!("no queue for partition {partition} of {topic:?}"))
        })?;
        fetched.forward(&self.queue);
        Ok(())
    }

    /// Up to `max_records` of what has been fetched. If that is nothing, it is waited for,
    /// `timeout` at most; but a batch that is not full is not.
    pub fn fetch(&self, max_records: usize, timeout: Duration) -> Batch<'_, C> {
        let mut messages = self.spare.take();
        messages.reserve_exact(max_records);
        self.take(&mut messages, max_records, 0);
        if messages.is_empty() && !timeout.is_zero() && max_records > 0 {
            // The call waits until its array is full, so it gets one of one.
            self.take(&mut messages, 1, native::timeout_ms(timeout));
            if !messages.is_empty() {
                self.take(&mut messages, max_records - 1, 0);
            }
        }
        Batch {
            messages,
            consumer: self,
        }
    }

    /// Appends up to `count` messages, for which there is room.
    fn take(&self, messages: &mut Vec<NonNull<RDKafkaMessage>>, count: usize, timeout_ms: c_int) {
        let room = &mut messages.spare_capacity_mut()[..count];
        // SAFETY: the queue is live and of a live client; `NonNull` lies in memory as a pointer
        // does, and there is room for `count` of them.
        let taken = unsafe {
            bindings::rd_kafka_consume_batch_queue(
                self.queue.as_ptr(),
                timeout_ms,
                room.as_mut_ptr().cast(),
                count,
            )
        };
        // It gives -1 for an error, of which it knows none.
        let taken = usize::try_from(taken).unwrap_or(0);
        // SAFETY: that many pointers have been written, none of them null, and the messages are
        // ours from now on.
        unsafe { messages.set_len(messages.len() + taken) }
    }
}

/// Records that were fetched, and what was reported of their partitions, in order. They are freed
/// with the batch.
pub struct Batch<'c, C: ConsumerContext + 'static> {
    messages: Vec<NonNull<RDKafkaMessage>>,
    consumer: &'c BatchConsumer<C>,
}

/// An error in place of a record, of which the context has heard too, as it does when polling. The
/// partition's position has to be set anew by a seek.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The partition.
    pub partition: i32,
    /// The offset that it is about; below 0 if it is about none.
    pub offset: i64,
    /// librdkafka's words for it, perhaps none.
    pub reason: String,
    /// What is wrong.
    pub error: KafkaError,
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
        self.messages.iter().map(|message| self.item(*message))
    }

    #[inline]
    fn item(&self, message: NonNull<RDKafkaMessage>) -> Result<Record<'_>, Report> {
        // SAFETY: a message is live, and not changed, until its batch is dropped.
        let code = unsafe { message.as_ref() }.err;
        if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            // SAFETY: as above, and it has no error.
            return Ok(unsafe { Record::new(message) });
        }
        Err(self.report(message))
    }

    #[cold]
    fn report(&self, message: NonNull<RDKafkaMessage>) -> Report {
        // SAFETY: a message is live, and not changed, until its batch is dropped.
        let message = unsafe { message.as_ref() };
        let reason = if message.payload.is_null() {
            String::new()
        } else {
            // SAFETY: the payload of a message with an error is its text, of that length.
            let text = unsafe { std::slice::from_raw_parts(message.payload.cast(), message.len) };
            String::from_utf8_lossy(text).into_owned()
        };
        let context = self.consumer.consumer.context();
        context.error(KafkaError::Global(message.err.into()), &reason);
        let error = match message.err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__FATAL => {
                KafkaError::MessageConsumptionFatal(message.err.into())
            }
            code => KafkaError::MessageConsumption(code.into()),
        };
        Report {
            partition: message.partition,
            offset: message.offset,
            reason,
            error,
        }
    }
}

impl<C: ConsumerContext + 'static> Drop for Batch<'_, C> {
    fn drop(&mut self) {
        for message in self.messages.drain(..) {
            // SAFETY: the message is ours, is given back once, and its client lives.
            unsafe { bindings::rd_kafka_message_destroy(message.as_ptr()) }
        }
        self.consumer.spare.set(std::mem::take(&mut self.messages));
    }
}
