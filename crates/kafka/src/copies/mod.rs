//! Copies of input records: dead letters and late records.
//!
//! A copy has the record's key and value, and as headers, in this order: what the copying service
//! has to say, where the record came from (`source.topic`, `source.partition`, `source.offset`,
//! `source.timestamp_ms`), and the record's own. The names of the first two kinds are Millrace's:
//! one of the record's own headers that has such a name is kept as `original.` and its name, and
//! [`own_headers`] takes that back.
//!
//! A copy that would be larger than its topic takes is cut: it then has a header `truncated` with
//! the length that the value had, and `truncated.key` and `truncated.headers` where these were cut
//! too. The source's position says where the whole is, as long as the source topic retains it.

mod fit;
mod limits;
mod names;

use rdkafka::message::{BorrowedMessage, Header, Message as _, OwnedHeaders};

use crate::{InputRecord, RecordHeader, RecordHeaders};

pub use limits::TopicLimits;
pub use names::{header, is_reserved, own_headers};

/// Bytes of a batch beside its records, and those a record may need beside its key, its value and
/// its headers.
pub(crate) const OVERHEAD_BYTES: usize = 61 + 36;

/// A record's own bytes, kept until it is known whether it becomes a dead letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptRecord {
    /// Its time in the log, in milliseconds since 1970, if it has one.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` for a tombstone.
    pub payload: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl KeptRecord {
    /// A copy of what a client has fetched.
    #[must_use]
    pub fn of(message: &BorrowedMessage<'_>) -> Self {
        let headers = RecordHeaders::of(message);
        Self {
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
            headers: headers
                .iter()
                .map(|(name, value)| (name.into_owned(), value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> Vec<RecordHeader<'_>> {
        let headers = self.headers.iter();
        headers
            .map(|(name, value)| (name.as_str().into(), value.as_deref()))
            .collect()
    }

    /// Bytes of key, value and headers.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let len = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(name, value)| name.len() + len(value)).sum();
        len(&self.key) + len(&self.payload) + headers
    }
}

/// A record that is to be copied.
#[derive(Debug, Clone, Copy)]
pub struct SourceRecord<'a> {
    /// Its topic's full name.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its time in the log, in milliseconds since 1970, if it has one.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` for a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a [RecordHeader<'a>],
}

impl<'a> SourceRecord<'a> {
    /// An input record with its headers.
    #[must_use]
    pub fn of(record: &InputRecord<'a>, headers: &'a [RecordHeader<'a>]) -> Self {
        Self {
            topic: record.topic,
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: (record.timestamp_ms >= 0).then_some(record.timestamp_ms),
            key: record.key,
            payload: record.payload,
            headers,
        }
    }

    /// About the bytes that a copy of all of it needs in its topic.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(name, value)| fit::header_bytes(name, *value)).sum();
        // The others are few and short.
        OVERHEAD_BYTES + len(self.key) + len(self.payload) + headers + 1_024
    }
}

/// A copy as it is to be sent.
#[derive(Debug)]
pub struct RecordCopy<'a> {
    /// The key, or its first bytes.
    pub key: Option<&'a [u8]>,
    /// The value, or its first bytes.
    pub payload: Option<&'a [u8]>,
    /// Every header.
    pub headers: OwnedHeaders,
    /// Bytes that it needs in its topic at most.
    pub size_bytes: usize,
    /// Whether something was cut.
    pub is_cut: bool,
}

/// The copy of `source`, with the headers `said` first, for a topic whose batches may have `limit`
/// bytes.
#[must_use]
pub fn copy<'a>(source: &SourceRecord<'a>, said: &[(&str, &[u8])], limit: usize) -> RecordCopy<'a> {
    let fitted = fit::fit(source, said, limit);
    let mut headers = OwnedHeaders::new_with_capacity(fitted.headers.len());
    for (name, value) in &fitted.headers {
        headers = headers.insert(Header {
            key: name.as_ref(),
            value: value.as_deref(),
        });
    }
    RecordCopy {
        key: fitted.key,
        payload: fitted.payload,
        headers,
        size_bytes: fitted.size_bytes,
        is_cut: fitted.is_cut,
    }
}
