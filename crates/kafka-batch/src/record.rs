//! A record as it lies in librdkafka's memory.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::NonNull;

use rdkafka::Timestamp;
use rdkafka::bindings::{self, rd_kafka_timestamp_type_t};
use rdkafka::types::RDKafkaMessage;

use crate::RecordHeaders;

/// A fetched record, borrowed from its batch.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    message: NonNull<RDKafkaMessage>,
    batch: PhantomData<&'a RDKafkaMessage>,
}

impl<'a> Record<'a> {
    /// # Safety
    /// `message` is a fetched message without an error, and lives, unchanged, for `'a`.
    #[inline]
    pub(crate) unsafe fn new(message: NonNull<RDKafkaMessage>) -> Self {
        Self {
            message,
            batch: PhantomData,
        }
    }

    #[inline]
    fn message(&self) -> &'a RDKafkaMessage {
        // SAFETY: it lives, unchanged, for 'a, by the contract of `new`.
        unsafe { self.message.as_ref() }
    }

    /// The topic's name. Walks over all of it: for where it has to be known anew.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        // SAFETY: a message holds a reference to its topic.
        let name = unsafe { bindings::rd_kafka_topic_name(self.message().rkt) };
        // SAFETY: a topic's name stays as it is, and ends with a zero byte.
        let name = unsafe { CStr::from_ptr(name) };
        // Kafka's names of topics are ASCII.
        name.to_str().unwrap_or_default()
    }

    /// The partition.
    #[inline]
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.message().partition
    }

    /// The offset.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.message().offset
    }

    /// The record's time: the producer's or the broker's, as the topic was set up when it was
    /// written.
    #[inline]
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is live and was fetched, and there is room for the kind of its time.
        let time_ms = unsafe { bindings::rd_kafka_message_timestamp(self.message.as_ptr(), &mut kind) };
        match kind {
            rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME if time_ms >= 0 => {
                Timestamp::CreateTime(time_ms)
            }
            rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME if time_ms >= 0 => {
                Timestamp::LogAppendTime(time_ms)
            }
            _ => Timestamp::NotAvailable,
        }
    }

    /// The key's bytes.
    #[inline]
    #[must_use]
    pub fn key(&self) -> Option<&'a [u8]> {
        let message = self.message();
        // SAFETY: as long as the message, by librdkafka's contract, and so for 'a.
        unsafe { bytes(message.key.cast(), message.key_len) }
    }

    /// The value's bytes; `None` for a tombstone.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> Option<&'a [u8]> {
        let message = self.message();
        // SAFETY: as long as the message, by librdkafka's contract, and so for 'a.
        unsafe { bytes(message.payload.cast(), message.len) }
    }

    /// Where the headers are.
    #[inline]
    #[must_use]
    pub fn headers(&self) -> RecordHeaders<'a> {
        // SAFETY: the message lives for 'a, by the contract of `new`.
        unsafe { RecordHeaders::new(self.message) }
    }
}

/// # Safety
/// `start` is null or the start of `len` bytes that live, unchanged, for `'a`.
#[inline]
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    if start.is_null() {
        return None;
    }
    // SAFETY: by this function's contract.
    Some(unsafe { std::slice::from_raw_parts(start, len) })
}
