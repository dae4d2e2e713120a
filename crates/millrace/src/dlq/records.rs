//! Which letters were sent again: a record on a compacted topic for each, written in the
//! transaction that sends it.
//!
//! A letter's id is the position of its record in the source topic: two letters of one record, as a
//! sink makes them that was killed between a letter and its commit, are sent once.

use std::collections::HashSet;

use millrace_settings::Kafka;
use rdkafka::message::Message as _;
use serde::Serialize;

use super::Topics;
use super::letter::{Letter, Position};
use super::scan::Scan;

/// The ids of what was sent to one source topic again.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    sources: HashSet<Position>,
}

impl Replayed {
    /// Reads the topic of these records.
    ///
    /// # Errors
    /// The brokers are away, or there is no such topic.
    pub(super) fn read(kafka: &Kafka, topics: &Topics) -> anyhow::Result<Self> {
        Self::from(&Scan::open(kafka, &topics.replays)?, &topics.source)
    }

    /// As [`Replayed::read`]; empty where `init` has not made the topic yet.
    pub(super) fn read_if_any(kafka: &Kafka, topics: &Topics) -> anyhow::Result<Self> {
        match Scan::open_if_any(kafka, &topics.replays)? {
            Some(scan) => Self::from(&scan, &topics.source),
            None => Ok(Self::default()),
        }
    }

    fn from(scan: &Scan, source: &str) -> anyhow::Result<Self> {
        let mut sources = HashSet::new();
        scan.read(|message| {
            let key = std::str::from_utf8(message.key().unwrap_or_default()).unwrap_or_default();
            sources.extend(position(key, source));
            true
        })?;
        Ok(Self { sources })
    }

    /// Whether a letter's record was sent again.
    pub(super) fn contains(&self, letter: &Letter) -> bool {
        letter.source().is_some_and(|(_, at)| self.sources.contains(&at))
    }

    /// Notes a record of the source; whether it was not there.
    pub(super) fn insert(&mut self, source: Position) -> bool {
        self.sources.insert(source)
    }
}

/// The key of the record about `at` in `source`.
pub(super) fn key(source: &str, at: Position) -> String {
    format!("{source}/{}/{}", at.partition, at.offset)
}

/// Where in `source` the record is that a key is about; `None` for those of other topics.
fn position(key: &str, source: &str) -> Option<Position> {
    let (partition, offset) = key.strip_prefix(source)?.strip_prefix('/')?.split_once('/')?;
    Some(Position {
        partition: partition.parse().ok()?,
        offset: offset.parse().ok()?,
    })
}

/// The value of such a record.
#[derive(Debug, Serialize)]
pub(super) struct ReplayRecord<'a> {
    /// Topic, partition and offset of the letter.
    pub(super) letter: &'a str,
    /// When it was sent again, in milliseconds since 1970.
    pub(super) replayed_at_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_where_the_record_is() {
        let at = Position {
            partition: 3,
            offset: 99,
        };
        assert_eq!(position(&key("p-transactions", at), "p-transactions"), Some(at));
        for other in [
            "p-transactions.late/3/99",
            "p-trans/3/99",
            "p-transactions/3",
            "p-transactions/3/9/9",
            "",
        ] {
            assert_eq!(position(other, "p-transactions"), None, "{other}");
        }
    }
}
