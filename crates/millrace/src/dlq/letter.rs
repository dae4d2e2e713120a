//! A dead letter or late record as it lies in its topic.

use std::borrow::Cow;
use std::fmt;

use millrace_kafka::RecordHeader;
use millrace_kafka::copies::{KeptRecord, header, own_headers};
use rdkafka::message::{BorrowedMessage, Message as _};

/// The code of a record that has none: one that came late.
const LATE: &str = "late";

/// Partition and offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Position {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

impl std::str::FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no position: it is written PARTITION:OFFSET, as 0:1234");
        let (partition, offset) = text.split_once(':').ok_or_else(wrong)?;
        let position = Self {
            partition: partition.parse().map_err(|_| wrong())?,
            offset: offset.parse().map_err(|_| wrong())?,
        };
        if position.partition < 0 || position.offset < 0 {
            return Err(wrong());
        }
        Ok(position)
    }
}

/// A record of the topic that a letter's was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Source {
    pub(super) at: Position,
    /// The record's time in that log, in milliseconds since 1970, where the letter tells it.
    pub(super) timestamp_ms: Option<i64>,
}

/// A letter with everything it has.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    /// Where it lies.
    pub(super) at: Position,
    pub(super) record: KeptRecord,
}

impl Letter {
    pub(super) fn of(message: &BorrowedMessage<'_>) -> Self {
        Self {
            at: Position {
                partition: message.partition(),
                offset: message.offset(),
            },
            record: KeptRecord::of(message),
        }
    }

    /// The text of Millrace's header `name`.
    pub(super) fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut headers = self.record.headers.iter();
        let value = headers.find(|(found, _)| found == name)?.1.as_deref()?;
        Some(String::from_utf8_lossy(value))
    }

    /// The reason's bounded name.
    pub(super) fn code(&self) -> Cow<'_, str> {
        let late = || self.header(header::LATE_BY_MS).map(|_| Cow::Borrowed(LATE));
        self.header(header::ERROR_CODE)
            .or_else(late)
            .unwrap_or(Cow::Borrowed("unknown"))
    }

    /// The reason in words.
    pub(super) fn reason(&self) -> String {
        match (self.header(header::ERROR), self.header(header::LATE_BY_MS)) {
            (Some(error), _) => error.into_owned(),
            (None, Some(late_by_ms)) => format!("{late_by_ms} ms after its window had closed"),
            (None, None) => String::new(),
        }
    }

    /// Full name of the topic that the record was read from, and which it is there.
    pub(super) fn source(&self) -> Option<(Cow<'_, str>, Source)> {
        let number = |name| self.header(name)?.parse::<i64>().ok();
        let source = Source {
            at: Position {
                partition: i32::try_from(number(header::SOURCE_PARTITION)?).ok()?,
                offset: number(header::SOURCE_OFFSET)?,
            },
            timestamp_ms: number(header::SOURCE_TIMESTAMP_MS),
        };
        Some((self.header(header::SOURCE_TOPIC)?, source))
    }

    /// The length that the value had, where the letter was cut.
    pub(super) fn truncated_from(&self) -> Option<u64> {
        self.header(header::TRUNCATED)?.parse().ok()
    }

    /// The headers that the record had.
    pub(super) fn own_headers(&self) -> Vec<RecordHeader<'_>> {
        own_headers(&self.record.headers())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A letter at partition 0 with these headers.
    pub(in super::super) fn letter(offset: i64, headers: &[(&str, &str)]) -> Letter {
        let headers = headers.iter();
        Letter {
            at: Position { partition: 0, offset },
            record: KeptRecord {
                timestamp_ms: Some(1_760_011_200_000 + offset * 1_000),
                key: Some(b"u-1".to_vec()),
                payload: Some(b"x".to_vec()),
                headers: headers
                    .map(|(name, value)| ((*name).to_owned(), Some(value.as_bytes().to_vec())))
                    .collect(),
            },
        }
    }

    #[test]
    fn a_position_is_read_as_it_is_written() {
        let position: Position = "3:17".parse().unwrap();
        assert_eq!((position.partition, position.offset), (3, 17));
        assert_eq!(position.to_string(), "3:17");
        for wrong in ["", "3", "3:", ":17", "3:-1", "-1:3", "a:b", "1:2:3"] {
            let error = wrong.parse::<Position>().unwrap_err();
            assert!(
                error.contains("PARTITION:OFFSET") && error.contains(wrong),
                "{error}"
            );
        }
    }

    #[test]
    fn where_it_came_from_and_why_are_in_its_headers() {
        let dead = letter(
            1,
            &[
                ("error", "the value is empty"),
                ("error.code", "empty"),
                ("source.topic", "financial_transactions"),
                ("source.partition", "4"),
                ("source.offset", "99"),
                ("source.timestamp_ms", "1760011200000"),
                ("tenant", "acme"),
                ("original.error", "theirs"),
            ],
        );
        assert_eq!(
            (dead.code(), dead.reason().as_str()),
            ("empty".into(), "the value is empty")
        );
        let (topic, source) = dead.source().unwrap();
        assert_eq!(
            (
                topic.as_ref(),
                source.at.to_string().as_str(),
                source.timestamp_ms
            ),
            ("financial_transactions", "4:99", Some(1_760_011_200_000))
        );
        let own: Vec<_> = dead.own_headers();
        assert_eq!(own.len(), 2);
        assert_eq!(own[1], ("error".into(), Some(&b"theirs"[..])));
        let late = letter(2, &[("late.by_ms", "70")]);
        assert_eq!(late.code(), "late");
        assert!(late.reason().starts_with("70 ms"));
        assert!(letter(3, &[]).source().is_none());
    }
}
