//! What a topic is made with, and what topics beside it are called.

/// Bytes that a record on a topic of dead letters or late records may have: what a topic of Kafka's
/// own default takes (1,048,588), and room for the headers of a copy.
pub const MAX_COPY_BYTES: u32 = 1_048_588 + 65_536;

/// The dead-letter topic of `topic`.
#[must_use]
pub fn dead_letter(topic: &str) -> String {
    format!("{topic}.dlq")
}

/// The registry's subject of the values on `topic`.
#[must_use]
pub fn value_subject(topic: &str) -> String {
    format!("{topic}-value")
}

/// What a topic is created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSpec {
    /// The topic's name, before any prefix.
    pub name: &'static str,
    /// Number of partitions that it is made with. All but compacted topics may have more.
    pub partitions: i32,
    /// Whether the log keeps the newest record of each key for ever, in place of a retention time.
    pub compacted: bool,
    /// Whether the broker stamps records as it appends them. A source does: its time is then part
    /// of the log, and a producer with a wrong clock cannot mislead the bound on far-future events.
    pub log_append_time: bool,
    /// Whether it has copies of other topics' records: then it takes larger ones than these topics
    /// do.
    pub takes_copies: bool,
    /// The Avro schema of [`value_subject`], where the topic has one.
    pub value_schema: Option<&'static str>,
    /// Whether others write it and Millrace reads: then each version of its schema must be readable
    /// as every other one, as Millrace reads with its own.
    pub is_written_by_others: bool,
}

/// A job's control topic, and the topic that the job reads; names are before any prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlTopic {
    /// The control topic: it has at least as many partitions as `input`.
    pub topic: &'static str,
    /// What the job reads.
    pub input: &'static str,
}
