//! What is fetched of one partition, apart from the others.
//!
//! Whoever reads several partitions in an order of its own lets those that are to wait lie: the
//! records that were taken stay here, those behind them in librdkafka's queue, which fetches no
//! more of the partition once it has `queued.min.messages` or `queued.max.messages.kbytes` of it.
//! Nothing is fetched twice, as it is where a partition is paused and sought to again.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

use rdkafka::bindings;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::types::{RDKafka, RDKafkaMessage, RDKafkaRespErr};

use crate::bell::Bell;
use crate::messages::{destroy, item, take};
use crate::native::Queue;
use crate::{Record, Report};

/// The fetched records of one partition of a [`crate::BatchConsumer`], in order, and what was
/// reported of it.
pub struct PartitionQueue<C: ConsumerContext + 'static> {
    // Fields are dropped in this order: the queue has to go before its client.
    queue: Queue,
    messages: Vec<NonNull<RDKafkaMessage>>,
    /// The queue has its address.
    _bell: Arc<Bell>,
    consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: queue, consumer and messages may be used from any thread, and only this queue's owner has
// the messages.
unsafe impl<C: ConsumerContext + 'static> Send for PartitionQueue<C> {}

impl<C: ConsumerContext + 'static> PartitionQueue<C> {
    pub(crate) fn new(
        consumer: Arc<BaseConsumer<C>>,
        bell: Arc<Bell>,
        topic: &str,
        partition: i32,
    ) -> KafkaResult<Self> {
        let queue = Queue::of(&consumer, topic, partition)?;
        queue.keep();
        // SAFETY: the queue is live; the bell lives as long as this, which ends its use.
        unsafe {
            bindings::rd_kafka_queue_cb_event_enable(
                queue.as_ptr(),
                Some(ring),
                Arc::as_ptr(&bell).cast_mut().cast(),
            );
        }
        Ok(Self {
            queue,
            messages: Vec::new(),
            _bell: bell,
            consumer,
        })
    }

    /// Takes of what has been fetched until `count` records and reports are here, if there are so
    /// many.
    pub fn fill(&mut self, count: usize) {
        let missing = count.saturating_sub(self.messages.len());
        if missing > 0 {
            self.messages.reserve(missing);
            take(&self.queue, &mut self.messages, missing, 0);
        }
    }

    /// Number of records and reports that are here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The offset of the record in this place, counted from 0; `None` if there is none, but a
    /// report or nothing.
    #[must_use]
    pub fn offset(&self, place: usize) -> Option<i64> {
        // SAFETY: a message is live, and not changed, while it is here.
        let message = unsafe { self.messages.get(place)?.as_ref() };
        (message.err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then_some(message.offset)
    }

    /// The first `count` records, or what was reported in their places. The context hears of a
    /// report each time that it is got.
    pub fn iter(&self, count: usize) -> impl Iterator<Item = Result<Record<'_>, Report>> {
        let context = self.consumer.context();
        // SAFETY: a message is live, and not changed, while it is here, which this borrows.
        self.messages
            .iter()
            .take(count)
            .map(|message| unsafe { item(*message, &**context) })
    }

    /// Frees the first `count` records and reports; all of them if they are fewer.
    pub fn remove_first(&mut self, count: usize) {
        let count = count.min(self.messages.len());
        for message in self.messages.drain(..count) {
            // SAFETY: the message is ours, is given back once, and its client lives.
            unsafe { destroy(message) }
        }
    }
}

impl<C: ConsumerContext + 'static> Drop for PartitionQueue<C> {
    fn drop(&mut self) {
        let queue = self.queue.as_ptr();
        // SAFETY: the queue is live. It rings under the lock that this call takes, and so never
        // after it.
        unsafe { bindings::rd_kafka_queue_cb_event_enable(queue, None, std::ptr::null_mut()) };
        // Nobody else would empty the queue, which is the partition's and stays.
        // SAFETY: the queue is live.
        let queued = unsafe { bindings::rd_kafka_queue_length(queue) };
        self.fill(self.len() + queued);
        self.remove_first(usize::MAX);
    }
}

/// What librdkafka calls when something comes into an empty queue.
unsafe extern "C" fn ring(_client: *mut RDKafka, bell: *mut c_void) {
    // SAFETY: it is the address that the queue was given, of a bell that lives until its use ends.
    let bell = unsafe { &*bell.cast::<Bell>().cast_const() };
    bell.ring();
}
