//! The control topic: what happens to a partition beside its records, as events in their order, and
//! every partition's watermark and policy.

pub(crate) mod directives;
mod history;
mod read;
#[cfg(test)]
pub(crate) mod tests;

use serde::{Deserialize, Serialize};

use crate::refusals::{KnownRefusals, RefusedRun};
pub use directives::{Directive, Directives};
pub(crate) use history::Watermarks;
pub(crate) use read::ControlError;

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

/// What a control topic says of a partition: of its present history alone.
///
/// A worker that restores and a verification that repeats a job offline take from here what they
/// do besides the records, so that neither knows of another history than the other.
#[derive(Debug, Clone, Default)]
pub struct ControlLog {
    pub(crate) records: Vec<ControlRecord>,
    /// From this offset on, all refusals are among them.
    refusals_from: Option<i64>,
}

impl ControlLog {
    /// Adds the next record's value.
    ///
    /// # Errors
    /// As of [`ControlRecord::parse`].
    pub fn add(&mut self, payload: &[u8]) -> Result<(), String> {
        let record = ControlRecord::parse(payload)?;
        let mark: Mark = serde_json::from_slice(payload).unwrap_or_default();
        history::cut(self, &record);
        self.refusals_from = match (mark.refusals, self.refusals_from) {
            // Before its own commit, another release may have had the partition.
            (true, None) => Some(record.offset()),
            (true, from) => from,
            (false, _) => None,
        };
        self.records.push(record);
        Ok(())
    }

    /// The policy that a replay from `from` begins with; `None` where nothing says so. From
    /// [`i64::MAX`], the one that the partition has now.
    #[must_use]
    pub fn policy_at(&self, from: i64) -> Option<&str> {
        directives::policy_at(&self.records, from)
    }

    /// The events of a replay from `from`, of a state that has had the first `done` of those at
    /// that offset, to the committed offset `to`.
    #[must_use]
    pub fn directives(&self, from: i64, done: u32, to: i64) -> Directives {
        Directives::between(&self.records, from, done, to)
    }

    /// Which records were refused by word of somebody outside of the log.
    #[must_use]
    pub fn refusals(&self) -> KnownRefusals {
        KnownRefusals::of(&self.records, self.refusals_from)
    }
}
