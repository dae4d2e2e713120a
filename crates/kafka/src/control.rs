//! The control topic: advances of idle partitions as events in the partitions' order, and every partition's watermark.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// One record of a control topic. It is written to the partition with the number of the input partition it is about,
/// in the transaction that commits `offset` there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ControlRecord {
    /// The watermark of an idle partition was advanced: an event that a replay repeats.
    Advance {
        /// It happened before the record with this offset, and after every record before.
        offset: i64,
        /// What the watermark was advanced to, in milliseconds since 1970.
        watermark_ms: i64,
    },
    /// What the partition's watermark is, for the other partitions to know; no event of a replay.
    Watermark {
        /// The offset committed with it.
        offset: i64,
        /// The watermark in milliseconds since 1970.
        watermark_ms: i64,
    },
}

impl ControlRecord {
    /// The offset it belongs to.
    #[must_use]
    pub fn offset(&self) -> i64 {
        match self {
            Self::Advance { offset, .. } | Self::Watermark { offset, .. } => *offset,
        }
    }

    /// The watermark it tells.
    #[must_use]
    pub fn watermark_ms(&self) -> i64 {
        match self {
            Self::Advance { watermark_ms, .. } | Self::Watermark { watermark_ms, .. } => *watermark_ms,
        }
    }

    /// Reads a record's value.
    ///
    /// # Errors
    /// It is none of this release's kinds.
    pub fn parse(payload: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(payload).map_err(|error| {
            format!(
                "{:?} is no control record: {error}",
                String::from_utf8_lossy(payload)
            )
        })
    }

    /// The record's value.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Written by hand, as a struct of two numbers cannot fail and a Result would say it could.
        let (kind, offset, watermark_ms) = match self {
            Self::Advance { offset, watermark_ms } => ("advance", offset, watermark_ms),
            Self::Watermark { offset, watermark_ms } => ("watermark", offset, watermark_ms),
        };
        format!("{{\"kind\":\"{kind}\",\"offset\":{offset},\"watermark_ms\":{watermark_ms}}}")
    }
}

/// The advances that a replay has to repeat, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Advances(VecDeque<(i64, i64)>);

impl Advances {
    /// Keeps those of `records` that belong to a replay from `from` to the committed offset `to`. One at `from` may be
    /// in the snapshot already: repeating it moves nothing, as a watermark only rises.
    pub(crate) fn between(records: &[ControlRecord], from: i64, to: i64) -> Self {
        let advance = |record: &ControlRecord| match *record {
            ControlRecord::Advance { offset, watermark_ms } if (from..=to).contains(&offset) => {
                Some((offset, watermark_ms))
            }
            _ => None,
        };
        Self(records.iter().filter_map(advance).collect())
    }

    /// Takes the next advance that happened before the record with `offset` was processed.
    pub(crate) fn take_before(&mut self, offset: i64) -> Option<i64> {
        self.0
            .pop_front_if(|(at, _)| *at <= offset)
            .map(|(_, watermark_ms)| watermark_ms)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn advance(offset: i64, watermark_ms: i64) -> ControlRecord {
        ControlRecord::Advance { offset, watermark_ms }
    }

    #[test]
    fn a_record_comes_back_from_its_text() {
        for record in [
            advance(12, -5),
            ControlRecord::Watermark {
                offset: 0,
                watermark_ms: 1_700_000_000_000,
            },
        ] {
            assert_eq!(ControlRecord::parse(record.to_json().as_bytes()), Ok(record));
            let by_serde = serde_json::to_string(&record).unwrap();
            assert_eq!(record.to_json(), by_serde);
        }
        let error = ControlRecord::parse(br#"{"kind":"rules","offset":1}"#).unwrap_err();
        assert!(error.contains("rules"), "{error}");
    }

    #[test]
    fn advances_are_merged_by_offset_before_the_record_they_precede() {
        let records = [
            advance(3, 30),
            advance(5, 50),
            ControlRecord::Watermark {
                offset: 6,
                watermark_ms: 55,
            },
            advance(5, 60),
            advance(9, 90),
            advance(12, 120),
        ];
        let mut advances = Advances::between(&records, 5, 9);
        let mut events = Vec::new();
        for offset in 5..9 {
            while let Some(watermark_ms) = advances.take_before(offset) {
                events.push((offset, watermark_ms));
            }
        }
        assert_eq!(events, [(5, 50), (5, 60)], "and not those of the past or future");
        assert_eq!(
            advances.take_before(9),
            Some(90),
            "the one at the committed offset ends the replay"
        );
        assert_eq!(advances.len(), 0);
    }
}
