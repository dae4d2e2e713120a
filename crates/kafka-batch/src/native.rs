//! librdkafka's objects with an owner: each is given back once, when its owner goes.

use std::ffi::{CStr, CString, c_int};
use std::ptr::{NonNull, null_mut};
use std::time::Duration;

use rdkafka::bindings::{self, rd_kafka_conf_res_t};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::{RDKafka, RDKafkaQueue, RDKafkaTopic};

/// A reference to a queue. Must be dropped before its client.
#[derive(Debug)]
pub(crate) struct Queue(NonNull<RDKafkaQueue>);

// SAFETY: librdkafka's queues have locks of their own and may be used from any thread.
unsafe impl Send for Queue {}

impl Queue {
    /// A new queue of the client's.
    ///
    /// # Safety
    /// `client` is a live client, and outlives the queue.
    pub(crate) unsafe fn new(client: *mut RDKafka) -> Option<Self> {
        // SAFETY: the client is live, by this function's contract.
        NonNull::new(unsafe { bindings::rd_kafka_queue_new(client) }).map(Self)
    }

    /// The queue of the client's own events: delivery reports, errors, statistics.
    ///
    /// # Safety
    /// `client` is a live client, and outlives the queue.
    pub(crate) unsafe fn of_events(client: *mut RDKafka) -> Option<Self> {
        // SAFETY: the client is live, by this function's contract.
        NonNull::new(unsafe { bindings::rd_kafka_queue_get_main(client) }).map(Self)
    }

    /// The queue into which a partition's records are fetched.
    ///
    /// # Safety
    /// `client` is a live consumer, and outlives the queue.
    pub(crate) unsafe fn of_partition(client: *mut RDKafka, topic: &CStr, partition: i32) -> Option<Self> {
        // SAFETY: the client is live, by this function's contract; the name is copied.
        let queue = unsafe { bindings::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition) };
        NonNull::new(queue).map(Self)
    }

    /// As [`Self::of_partition`], of a consumer that outlives the queue.
    ///
    /// # Errors
    /// A name with a zero byte in it, or one that librdkafka refuses.
    pub(crate) fn of<C: ConsumerContext>(
        consumer: &BaseConsumer<C>,
        topic: &str,
        partition: i32,
    ) -> KafkaResult<Self> {
        let topic = CString::new(topic)?;
        // SAFETY: the consumer is live, and outlives the queue, as this function's callers see to.
        let queue = unsafe { Self::of_partition(consumer.client().native_ptr(), &topic, partition) };
        queue.ok_or_else(|| {
            KafkaError::ClientCreation(format!("no queue for partition {partition} of {topic:?}"))
        })
    }

    /// Keeps what comes into this queue in it, whatever else was said of it.
    pub(crate) fn keep(&self) {
        // SAFETY: the queue is live.
        unsafe { bindings::rd_kafka_queue_forward(self.0.as_ptr(), null_mut()) }
    }

    /// Sends what comes into this queue, and what is in it, on to `to`, which librdkafka keeps
    /// alive as long.
    pub(crate) fn forward(&self, to: &Self) {
        // SAFETY: both are live queues.
        unsafe { bindings::rd_kafka_queue_forward(self.0.as_ptr(), to.0.as_ptr()) }
    }

    pub(crate) fn as_ptr(&self) -> *mut RDKafkaQueue {
        self.0.as_ptr()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: this is the owner of the reference, which is given back once.
        unsafe { bindings::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

/// A reference to a producer's topic. Must be dropped before its client.
#[derive(Debug)]
pub(crate) struct Topic(NonNull<RDKafkaTopic>);

// SAFETY: librdkafka's topics have locks of their own and may be used from any thread.
unsafe impl Send for Topic {}

impl Topic {
    /// The topic of that name, with the client's own topic configuration.
    ///
    /// # Errors
    /// A name with a zero byte in it, or one that librdkafka refuses.
    ///
    /// # Safety
    /// `client` is a live client, and outlives the topic.
    pub(crate) unsafe fn new(client: *mut RDKafka, name: &str) -> KafkaResult<Self> {
        let name = CString::new(name)?;
        // SAFETY: the client is live, by this function's contract; the name is copied; without a
        // configuration, the topic gets a copy of the client's.
        let topic = unsafe { bindings::rd_kafka_topic_new(client, name.as_ptr(), null_mut()) };
        NonNull::new(topic).map(Self).ok_or_else(last_error)
    }

    pub(crate) fn as_ptr(&self) -> *mut RDKafkaTopic {
        self.0.as_ptr()
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: this is the owner of the reference, which is given back once.
        unsafe { bindings::rd_kafka_topic_destroy(self.0.as_ptr()) }
    }
}

/// A time as librdkafka takes it: whole milliseconds, rounded up.
pub(crate) fn timeout_ms(timeout: Duration) -> c_int {
    timeout
        .as_micros()
        .div_ceil(1_000)
        .try_into()
        .unwrap_or(c_int::MAX)
}

/// Whether a switch of the client's configuration is on.
///
/// # Safety
/// `client` is a live client.
pub(crate) unsafe fn is_set(client: *mut RDKafka, name: &CStr) -> bool {
    let mut value = [0_u8; 8];
    let mut size = value.len();
    // SAFETY: the client is live, by this function's contract, and its configuration with it.
    let configuration = unsafe { bindings::rd_kafka_conf(client) };
    // SAFETY: there is room for `size` bytes; the name is only read.
    let found = unsafe {
        bindings::rd_kafka_conf_get(configuration, name.as_ptr(), value.as_mut_ptr().cast(), &mut size)
    };
    found == rd_kafka_conf_res_t::RD_KAFKA_CONF_OK && value.starts_with(b"true")
}

fn last_error() -> KafkaError {
    // SAFETY: reads a variable of this thread.
    let code = unsafe { bindings::rd_kafka_last_error() };
    KafkaError::ClientCreation(format!(
        "no topic: {}",
        rdkafka::types::RDKafkaErrorCode::from(code)
    ))
}
