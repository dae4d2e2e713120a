//! Records as a job sees them: read from a partition, and written to a topic.

use millrace_kafka_batch::{Record, RecordHeaders};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Timestamp};

/// One input record, borrowed from the client's buffer.
#[derive(Debug, Clone, Copy)]
pub struct InputRecord<'a> {
    /// Topic it was read from.
    pub topic: &'a str,
    /// Partition it was read from.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// The record's time in the log, in milliseconds since 1970; below 0 if it has none.
    pub timestamp_ms: i64,
    /// Whether that is the broker's time when it appended the record. Else a producer has made it,
    /// and it says nothing.
    pub is_append_time: bool,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; `None` for a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Its headers, which are read when they are asked for.
    pub headers: RecordHeaders<'a>,
}

impl<'a> InputRecord<'a> {
    /// A record that was fetched in a batch from `topic`.
    #[inline]
    #[must_use]
    pub fn of_batch(topic: &'a str, record: &Record<'a>) -> Self {
        let timestamp = record.timestamp();
        Self {
            topic,
            partition: record.partition(),
            offset: record.offset(),
            timestamp_ms: timestamp.to_millis().unwrap_or(-1),
            is_append_time: matches!(timestamp, Timestamp::LogAppendTime(_)),
            key: record.key(),
            payload: record.payload(),
            headers: record.headers(),
        }
    }

    /// A record that came alone.
    #[must_use]
    pub fn of_message(message: &'a BorrowedMessage<'_>) -> Self {
        Self {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
            is_append_time: matches!(message.timestamp(), Timestamp::LogAppendTime(_)),
            key: message.key(),
            payload: message.payload(),
            headers: RecordHeaders::of(message),
        }
    }
}

impl InputRecord<'_> {
    /// When the broker appended the record to the log, in milliseconds since 1970; `None` if only a
    /// producer says when.
    #[inline]
    #[must_use]
    pub fn append_time_ms(&self) -> Option<i64> {
        self.is_append_time.then_some(self.timestamp_ms)
    }
}

/// One record to be written in the current transaction.
#[derive(Debug, Clone, Copy)]
pub struct OutputRecord<'a> {
    /// Topic to write to, by its full name, as [`crate::topic_name`] makes it.
    pub topic: &'a str,
    /// A fixed partition; `None` leaves it to murmur2 of the key.
    pub partition: Option<i32>,
    /// The key's bytes.
    pub key: Option<&'a [u8]>,
    /// The value's bytes.
    pub payload: &'a [u8],
    /// Headers by name, in order.
    pub headers: &'a [(&'a str, &'a [u8])],
}
