//! Which letters were sent again: a record on a compacted topic for each, written in the
//! transaction that sends it.
//!
//! A letter's id is the position of its record in the source topic, and its time there: two letters
//! of one record, as a sink makes them that was killed between a letter and its commit, are sent
//! once; and a topic that was made anew has other records at the same positions.

use std::collections::HashSet;

use millrace_settings::Kafka;
use rdkafka::message::Message as _;
use serde::Serialize;

use super::Topics;
use super::letter::{Letter, Position, Source};
use super::scan::Scan;

/// The ids of what was sent to one source topic again.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    sources: HashSet<Source>,
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
            sources.extend(parse(key, source));
            true
        })?;
        Ok(Self { sources })
    }

    /// Whether a letter's record was sent again.
    pub(super) fn contains(&self, letter: &Letter) -> bool {
        letter.source().is_some_and(|(_, source)| self.has(source))
    }

    fn has(&self, source: Source) -> bool {
        // A note of before they had times is of whatever record is there.
        let untimed = Source {
            timestamp_ms: None,
            ..source
        };
        self.sources.contains(&source) || self.sources.contains(&untimed)
    }

    /// Notes a record of the source; whether it was not there.
    pub(super) fn insert(&mut self, source: Source) -> bool {
        self.sources.insert(source)
    }
}

/// The key of the note about a record of `topic`.
pub(super) fn key(topic: &str, source: Source) -> String {
    let (at, time) = (source.at, source.timestamp_ms);
    let time = time.map_or_else(String::new, |time| format!("/{time}"));
    format!("{topic}/{}/{}{time}", at.partition, at.offset)
}

/// The record of `topic` that a key is about; `None` for those of other topics.
fn parse(key: &str, topic: &str) -> Option<Source> {
    let mut parts = key.strip_prefix(topic)?.strip_prefix('/')?.split('/');
    let (partition, offset, time) = (parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() {
        return None;
    }
    Some(Source {
        at: Position {
            partition: partition.parse().ok()?,
            offset: offset.parse().ok()?,
        },
        timestamp_ms: match time {
            Some(time) => Some(time.parse().ok()?),
            None => None,
        },
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

    const AT: Position = Position {
        partition: 3,
        offset: 99,
    };

    fn source(timestamp_ms: Option<i64>) -> Source {
        Source { at: AT, timestamp_ms }
    }

    #[test]
    fn a_key_says_where_the_record_is() {
        for source in [source(None), source(Some(1_760_011_200_000))] {
            assert_eq!(
                parse(&key("p-transactions", source), "p-transactions"),
                Some(source)
            );
        }
        for other in [
            "p-transactions.late/3/99",
            "p-trans/3/99",
            "p-transactions/3",
            "p-transactions/3/9/x",
            "p-transactions/3/9/9/9",
            "",
        ] {
            assert_eq!(parse(other, "p-transactions"), None, "{other}");
        }
    }

    #[test]
    fn another_record_at_the_same_place_was_not_sent() {
        let mut sent = Replayed::default();
        assert!(sent.insert(source(Some(5))));
        assert!(sent.has(source(Some(5))) && !sent.has(source(Some(6))));
        sent.insert(source(None));
        assert!(sent.has(source(Some(6))), "a note without a time is of any");
    }
}
