//! The control topic: what happens to a partition beside its records, as events in their order, and
//! every partition's watermark and policy.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::refusals::RefusedRun;

/// One record of a control topic. It is written to the partition with the number of the input
/// partition it is about, in the transaction that commits `offset` there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ControlRecord {
    /// The watermark of an idle partition was advanced: an event that a replay repeats.
    Advance {
        /// It happened before the record with this offset, and after every record before.
        offset: i64,
        /// What the watermark was advanced to, in milliseconds since 1970.
        watermark_ms: i64,
        /// How many events at this offset were before it. Releases that did not write it had
        /// nothing but advances.
        #[serde(default)]
        nth: u32,
    },
    /// The task was given another policy: an event that a replay repeats.
    Configure {
        /// As in [`ControlRecord::Advance`].
        offset: i64,
        /// As in [`ControlRecord::Advance`].
        nth: u32,
        /// The policy that it had until then; `None` where the partition had done nothing yet.
        before: Option<String>,
        /// The policy that it has from then on.
        policy: String,
        /// Up to where windows were sent by then, of a job that merges sources; see
        /// [`crate::Task::closed_until_ms`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closed_until_ms: Option<i64>,
    },
    /// Which policy the task has, written anew at each start and now and then, so that retention
    /// cannot have deleted what says it; no event of a replay.
    Policy {
        /// The offset committed with it.
        offset: i64,
        /// The policy.
        policy: String,
        /// As in [`ControlRecord::Configure`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        closed_until_ms: Option<i64>,
    },
    /// Which records before `offset` were refused by word of somebody outside of the log: a replay
    /// refuses them too.
    Refused {
        /// The offset committed with it.
        offset: i64,
        /// The records, since the commit before.
        runs: Vec<RefusedRun>,
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
            Self::Advance { offset, .. }
            | Self::Configure { offset, .. }
            | Self::Policy { offset, .. }
            | Self::Refused { offset, .. }
            | Self::Watermark { offset, .. } => *offset,
        }
    }

    /// The policy that it says the task has from then on, and up to where windows were sent by
    /// then.
    #[must_use]
    pub fn policy(&self) -> Option<(&str, Option<i64>)> {
        match self {
            Self::Configure {
                policy,
                closed_until_ms,
                ..
            }
            | Self::Policy {
                policy,
                closed_until_ms,
                ..
            } => Some((policy, *closed_until_ms)),
            Self::Advance { .. } | Self::Refused { .. } | Self::Watermark { .. } => None,
        }
    }

    /// The watermark it tells.
    #[must_use]
    pub fn watermark_ms(&self) -> Option<i64> {
        match self {
            Self::Advance { watermark_ms, .. } | Self::Watermark { watermark_ms, .. } => Some(*watermark_ms),
            Self::Configure { .. } | Self::Policy { .. } | Self::Refused { .. } => None,
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

    /// The record's value as a worker writes it: it says that refusals are written too, and whether
    /// one is written at each commit of outputs.
    #[must_use]
    pub(crate) fn to_marked_json(&self, outputs: bool) -> String {
        let marked = Marked {
            record: self,
            refusals: true,
            outputs,
        };
        serde_json::to_string(&marked).unwrap_or_default()
    }

    /// The record's value.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers and texts cannot fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A record, whether its release writes what was refused ([`ControlRecord::Refused`]), and whether
/// it writes a record of a partition with each commit in which there are outputs of it.
#[derive(Serialize)]
struct Marked<'a> {
    #[serde(flatten)]
    record: &'a ControlRecord,
    refusals: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    outputs: bool,
}

/// The marks alone.
#[derive(Default, Deserialize)]
struct Mark {
    #[serde(default)]
    refusals: bool,
    #[serde(default)]
    outputs: bool,
}

/// Whether a record's value says that each commit of outputs has such a record: then nothing has
/// come of what is after the last one.
pub(crate) fn tells_outputs(payload: &[u8]) -> bool {
    serde_json::from_slice::<Mark>(payload).is_ok_and(|mark| mark.outputs)
}

/// What a control topic says of a partition.
#[derive(Debug, Default)]
pub(crate) struct ControlLog {
    pub(crate) records: Vec<ControlRecord>,
    /// From this offset on, all refusals are among them.
    pub(crate) refusals_from: Option<i64>,
}

impl ControlLog {
    /// Adds the next record's value.
    ///
    /// # Errors
    /// As of [`ControlRecord::parse`].
    pub(crate) fn add(&mut self, payload: &[u8]) -> Result<(), String> {
        let record = ControlRecord::parse(payload)?;
        let mark: Mark = serde_json::from_slice(payload).unwrap_or_default();
        self.refusals_from = match (mark.refusals, self.refusals_from) {
            // Before its own commit, another release may have had the partition.
            (true, None) => Some(record.offset()),
            (true, from) => from,
            (false, _) => None,
        };
        self.records.push(record);
        Ok(())
    }
}

/// The policy that a replay from `from` begins with, by a partition's control records in their
/// order; `None` where nothing says so. The first that speaks of a policy from there on tells which
/// one it was until then.
pub(crate) fn policy_at(records: &[ControlRecord], from: i64) -> Option<&str> {
    records
        .iter()
        .filter(|record| record.offset() >= from)
        .find_map(|record| match record {
            ControlRecord::Configure {
                before: Some(before), ..
            } => Some(before.as_str()),
            other => other.policy().map(|(policy, _)| policy),
        })
        .or_else(|| {
            // None has spoken since: the last before it holds.
            records
                .iter()
                .rev()
                .find_map(|record| record.policy().map(|(policy, _)| policy))
        })
}

/// An event beside the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Directive {
    /// The watermark is moved to this time, in milliseconds since 1970.
    Advance(i64),
    /// The task gets this policy.
    Configure(String),
}

/// The events that a replay has to repeat, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Directives(VecDeque<(i64, Directive)>);

impl Directives {
    /// Keeps those of `records` that belong to a replay from `from`, of a state that has had the
    /// first `done` of those at that offset, to the committed offset `to`.
    pub(crate) fn between(records: &[ControlRecord], from: i64, done: u32, to: i64) -> Self {
        let directive = |record: &ControlRecord| {
            let (offset, nth, directive) = match record {
                ControlRecord::Advance {
                    offset,
                    watermark_ms,
                    nth,
                } => (*offset, *nth, Directive::Advance(*watermark_ms)),
                ControlRecord::Configure {
                    offset, nth, policy, ..
                } => (*offset, *nth, Directive::Configure(policy.clone())),
                ControlRecord::Policy { .. }
                | ControlRecord::Refused { .. }
                | ControlRecord::Watermark { .. } => return None,
            };
            let is_done = offset < from || (offset == from && nth < done);
            (!is_done && offset <= to).then_some((offset, directive))
        };
        Self(records.iter().filter_map(directive).collect())
    }

    /// Takes the next one that happened before the record with `offset` was processed.
    pub(crate) fn take_before(&mut self, offset: i64) -> Option<Directive> {
        self.0
            .pop_front_if(|(at, _)| *at <= offset)
            .map(|(_, directive)| directive)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn advance(offset: i64, nth: u32, watermark_ms: i64) -> ControlRecord {
        ControlRecord::Advance {
            offset,
            watermark_ms,
            nth,
        }
    }

    fn configure(offset: i64, nth: u32, before: Option<&str>, policy: &str) -> ControlRecord {
        ControlRecord::Configure {
            offset,
            nth,
            before: before.map(str::to_owned),
            policy: policy.to_owned(),
            closed_until_ms: None,
        }
    }

    fn stated(offset: i64, policy: &str) -> ControlRecord {
        ControlRecord::Policy {
            offset,
            policy: policy.to_owned(),
            closed_until_ms: None,
        }
    }

    #[test]
    fn a_record_comes_back_from_its_text() {
        let watermark = ControlRecord::Watermark {
            offset: 0,
            watermark_ms: 1_700_000_000_000,
        };
        assert_eq!(
            watermark.to_json(),
            r#"{"kind":"watermark","offset":0,"watermark_ms":1700000000000}"#
        );
        for record in [
            advance(12, 3, -5),
            configure(12, 0, Some(r#"{"window_ms":1}"#), r#"{"window_ms":2}"#),
            stated(9, "p"),
            ControlRecord::Policy {
                offset: 9,
                policy: "p".to_owned(),
                closed_until_ms: Some(60_000),
            },
            watermark,
        ] {
            assert_eq!(ControlRecord::parse(record.to_json().as_bytes()), Ok(record));
        }
        let error = ControlRecord::parse(br#"{"kind":"rules","offset":1}"#).unwrap_err();
        assert!(error.contains("rules"), "{error}");
    }

    #[test]
    fn refusals_are_known_from_the_first_mark_that_no_other_release_came_after() {
        let (old, new) = (stated(3, "p").to_json(), stated(5, "p").to_marked_json(true));
        assert_eq!(
            ControlRecord::parse(new.as_bytes()),
            Ok(stated(5, "p")),
            "a release that knows no mark reads it"
        );
        assert!(tells_outputs(new.as_bytes()) && !tells_outputs(old.as_bytes()));
        let from = |values: &[&str]| {
            let mut log = ControlLog::default();
            values.iter().for_each(|value| log.add(value.as_bytes()).unwrap());
            assert_eq!(log.records.len(), values.len());
            log.refusals_from
        };
        assert_eq!(from(&[&old]), None);
        assert_eq!(
            from(&[&old, &new, &stated(7, "p").to_marked_json(false)]),
            Some(5)
        );
        assert_eq!(from(&[&new, &old]), None);
        assert_eq!(from(&[&new, &old, &stated(9, "p").to_marked_json(true)]), Some(9));
        assert!(ControlLog::default().add(b"{}").is_err());
    }

    #[test]
    fn an_advance_of_an_earlier_release_is_read() {
        let old = br#"{"kind":"advance","offset":5,"watermark_ms":50}"#;
        assert_eq!(ControlRecord::parse(old), Ok(advance(5, 0, 50)));
    }

    #[test]
    fn directives_are_merged_by_offset_before_the_record_they_precede() {
        let records = [
            advance(3, 0, 30),
            advance(5, 0, 50),
            stated(6, "a"),
            configure(6, 0, Some("a"), "b"),
            advance(6, 1, 60),
            advance(9, 0, 90),
            advance(12, 0, 120),
        ];
        let mut directives = Directives::between(&records, 5, 0, 9);
        let mut events = Vec::new();
        for offset in 5..9 {
            while let Some(directive) = directives.take_before(offset) {
                events.push((offset, directive));
            }
        }
        let expected = [
            (5, Directive::Advance(50)),
            (6, Directive::Configure("b".to_owned())),
            (6, Directive::Advance(60)),
        ];
        assert_eq!(events, expected, "and not those of the past or future");
        assert_eq!(
            directives.take_before(9),
            Some(Directive::Advance(90)),
            "the one at the committed offset ends the replay"
        );
        assert_eq!(directives.len(), 0);
    }

    #[test]
    fn those_that_a_snapshot_has_had_are_not_repeated() {
        let records = [
            configure(5, 0, Some("a"), "b"),
            advance(5, 1, 50),
            configure(5, 2, Some("b"), "a"),
        ];
        let mut directives = Directives::between(&records, 5, 2, 5);
        assert_eq!(
            directives.take_before(5),
            Some(Directive::Configure("a".to_owned()))
        );
        assert_eq!(directives.len(), 0);
    }

    #[test]
    fn the_first_that_speaks_of_a_policy_says_which_one_held_before() {
        let first = configure(0, 0, None, "a");
        let second = configure(7, 0, Some("a"), "b");
        assert_eq!(policy_at(&[first.clone(), second.clone()], 0), Some("a"));
        assert_eq!(
            policy_at(&[advance(2, 0, 1), second.clone()], 0),
            Some("a"),
            "the first is deleted"
        );
        assert_eq!(policy_at(&[stated(4, "a"), second.clone()], 0), Some("a"));
        assert_eq!(policy_at(&[first, second], 8), Some("b"));
        assert_eq!(policy_at(&[advance(2, 0, 1)], 0), None);
    }
}
