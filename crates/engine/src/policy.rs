//! What every operator's policy has in common.
//!
//! A *policy* is what a user may change over an existing state: the size of windows, lateness,
//! disorder, thresholds, the number of sources. It is no part of a state's *layout*, which is the
//! operator and the version of its bytes (the first byte says both). A state carries the policy it
//! last had, and a change of policy is an event in the partition's order
//! ([`crate::Operator::configure`]): so a replay repeats it at the same place, and a snapshot can
//! be read whatever the settings have become since.

use millrace_contract::EventTimeLimits;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A day, in milliseconds: no span of event time that may be set is longer.
pub const DAY_MS: i64 = 24 * 3_600_000;

/// Which event times are possible, and which records are left out for where they lie.
///
/// An operator does not look at them, as it does not know a record's time and place in the log: its
/// caller does, and leaves out what is outside. They are in the policy, as a replay has to decide
/// as the first run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTimeBounds {
    /// How far an event time may be ahead of the record's time in the log, in milliseconds.
    pub max_future_ms: i64,
    /// The earliest event time, in milliseconds since 1970; `None` for any.
    #[serde(default)]
    pub earliest_ms: Option<i64>,
    /// Whether a record is left out that lies in another partition than its user's records.
    #[serde(default)]
    pub refuses_misplaced: bool,
    /// How many partitions the input has, by which a user's partition is told; `None` in a policy
    /// of before they were part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
}

impl EventTimeBounds {
    /// Any event time.
    pub const NONE: Self = Self {
        max_future_ms: i64::MAX,
        earliest_ms: None,
        refuses_misplaced: false,
        partitions: None,
    };

    /// Those on times alone.
    #[inline]
    #[must_use]
    pub const fn limits(&self) -> EventTimeLimits {
        EventTimeLimits {
            earliest_ms: self.earliest_ms,
            max_future_ms: self.max_future_ms,
        }
    }

    /// Whether `wanted` may take the place of these bounds over any state.
    ///
    /// # Errors
    /// The input has another number of partitions, and records are to be left out for where they
    /// lie: those from before the change lie where the earlier number put them, and are right.
    pub fn check_change(&self, wanted: &Self) -> Result<(), PolicyRefused> {
        match (self.partitions, wanted.partitions) {
            (Some(present), Some(partitions)) if present != partitions && wanted.refuses_misplaced => {
                Err(PolicyRefused {
                    setting: "the number of partitions of the input",
                    present: present.into(),
                    wanted: partitions.into(),
                    reason: "misplaced_records: dead_letter would refuse the records that lie where the earlier number \
                             puts them. Set misplaced_records: count and start again; once the job has read all that was \
                             written before partitions were added, dead_letter can be set back",
                })
            }
            _ => Ok(()),
        }
    }
}

impl Default for EventTimeBounds {
    fn default() -> Self {
        Self::NONE
    }
}

/// A setting that no operator can work with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{setting} is {value}: must be from {least} to {most}")]
pub struct ConfigError {
    /// The setting's name.
    pub setting: &'static str,
    /// Its value.
    pub value: i64,
    /// The least that works.
    pub least: i64,
    /// The most that works.
    pub most: i64,
}

/// `value`, if it is from `least` to `most`.
///
/// # Errors
/// It is not; by the name of the setting.
pub fn within<N: Copy + PartialOrd + Into<i64>>(
    setting: &'static str,
    value: N,
    (least, most): (N, N),
) -> Result<N, ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(ConfigError {
        setting,
        value: value.into(),
        least: least.into(),
        most: most.into(),
    })
}

/// Why a policy cannot take the place of the present one over this state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{setting} cannot be changed from {present} to {wanted} in place: {reason}")]
pub struct PolicyRefused {
    /// The setting's name.
    pub setting: &'static str,
    /// Its present value.
    pub present: i64,
    /// The value that was asked for.
    pub wanted: i64,
    /// Why, and what would be right.
    pub reason: &'static str,
}
