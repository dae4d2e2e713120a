//! What can be set of the two stages, with its ranges.

use serde::{Deserialize, Serialize};

use crate::TumblingWindows;
use crate::policy::{ConfigError, DAY_MS, EventTimeBounds, within};

/// Sizes of a window, in milliseconds. That of a user divides a day, so that any two sizes have a
/// common boundary within one.
pub const WINDOW_MS: (i64, i64) = (1, DAY_MS);
/// Allowed lateness, in milliseconds.
pub const ALLOWED_LATENESS_MS: (i64, i64) = (0, DAY_MS);
/// How far a watermark may stay behind the highest event time, in milliseconds.
pub const MAX_DISORDER_MS: (i64, i64) = (0, DAY_MS);
/// Intervals of early results, in milliseconds.
pub const EARLY_EVERY_MS: (i64, i64) = (1, DAY_MS);
/// Source partitions of stage 2: more than any topic has.
pub const SOURCES: (i64, i64) = (1, 10_000);

/// The policy of stage 1, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawPartial", into = "RawPartial")]
pub struct PartialPolicy {
    pub(super) window_ms: i64,
    pub(super) allowed_lateness_ms: i64,
    pub(super) max_disorder_ms: i64,
    pub(super) early: Option<EarlyResults>,
    bounds: EventTimeBounds,
}

impl PartialPolicy {
    /// Checks the size of a window, how long after the watermark has passed its end it still takes
    /// records, and how far the watermark stays behind the highest event time; without early
    /// results, for any event time.
    ///
    /// # Errors
    /// A value outside [`WINDOW_MS`], [`ALLOWED_LATENESS_MS`] or [`MAX_DISORDER_MS`].
    pub fn new(window_ms: i64, allowed_lateness_ms: i64, max_disorder_ms: i64) -> Result<Self, ConfigError> {
        Ok(Self {
            window_ms: within("window_ms", window_ms, WINDOW_MS)?,
            allowed_lateness_ms: within("allowed_lateness_ms", allowed_lateness_ms, ALLOWED_LATENESS_MS)?,
            max_disorder_ms: within("max_disorder_ms", max_disorder_ms, MAX_DISORDER_MS)?,
            early: None,
            bounds: EventTimeBounds::NONE,
        })
    }

    /// With early results, or without.
    #[must_use]
    pub fn with_early(self, early: Option<EarlyResults>) -> Self {
        Self { early, ..self }
    }

    /// With other bounds of event time.
    #[must_use]
    pub fn with_bounds(self, bounds: EventTimeBounds) -> Self {
        Self { bounds, ..self }
    }

    /// The watermark that a partition has to be advanced to before its first record, where others
    /// have been at work before it: windows that end at or before `closed_until_ms` were sent.
    /// Whatever it has for one of those, or for a window that overlaps one, is late then; what it
    /// has for any other is not.
    #[must_use]
    pub fn begins_at_ms(&self, closed_until_ms: i64) -> i64 {
        let windows = TumblingWindows::at_least_1_ms(self.window_ms);
        windows
            .boundary_from(closed_until_ms)
            .saturating_add(self.allowed_lateness_ms)
    }

    /// Size of the tumbling window, in milliseconds.
    #[must_use]
    pub fn window_ms(&self) -> i64 {
        self.window_ms
    }

    /// How long after the watermark has passed its end a window still takes records, in
    /// milliseconds.
    #[must_use]
    pub fn allowed_lateness_ms(&self) -> i64 {
        self.allowed_lateness_ms
    }

    /// How far the watermark stays behind the highest event time, in milliseconds.
    #[must_use]
    pub fn max_disorder_ms(&self) -> i64 {
        self.max_disorder_ms
    }

    /// When early results are due; `None` without them.
    #[must_use]
    pub fn early(&self) -> Option<EarlyResults> {
        self.early
    }

    /// Which event times the operator is given.
    #[must_use]
    pub fn bounds(&self) -> EventTimeBounds {
        self.bounds
    }
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPartial {
    window_ms: i64,
    allowed_lateness_ms: i64,
    max_disorder_ms: i64,
    early_every_ms: Option<i64>,
    bounds: EventTimeBounds,
}

impl From<PartialPolicy> for RawPartial {
    fn from(policy: PartialPolicy) -> Self {
        Self {
            window_ms: policy.window_ms,
            allowed_lateness_ms: policy.allowed_lateness_ms,
            max_disorder_ms: policy.max_disorder_ms,
            early_every_ms: policy.early.map(EarlyResults::interval_ms),
            bounds: policy.bounds,
        }
    }
}

impl TryFrom<RawPartial> for PartialPolicy {
    type Error = ConfigError;

    fn try_from(raw: RawPartial) -> Result<Self, ConfigError> {
        let early = raw.early_every_ms.map(EarlyResults::every_ms).transpose()?;
        let policy = Self::new(raw.window_ms, raw.allowed_lateness_ms, raw.max_disorder_ms)?;
        Ok(policy.with_early(early).with_bounds(raw.bounds))
    }
}

/// The policy of stage 2, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawMerge", into = "RawMerge")]
pub struct MergePolicy {
    pub(super) source_partitions: usize,
    pub(super) allowed_lateness_ms: i64,
    pub(super) early: Option<EarlyResults>,
}

impl MergePolicy {
    /// Checks the number of source partitions that windows wait for, and the allowed lateness of
    /// stage 1; without early results.
    ///
    /// # Errors
    /// A value outside [`SOURCES`] or [`ALLOWED_LATENESS_MS`].
    pub fn new(source_partitions: usize, allowed_lateness_ms: i64) -> Result<Self, ConfigError> {
        let sources = i64::try_from(source_partitions).unwrap_or(i64::MAX);
        within("source_partitions", sources, SOURCES)?;
        Ok(Self {
            source_partitions,
            allowed_lateness_ms: within("allowed_lateness_ms", allowed_lateness_ms, ALLOWED_LATENESS_MS)?,
            early: None,
        })
    }

    /// With early results, or without.
    #[must_use]
    pub fn with_early(self, early: Option<EarlyResults>) -> Self {
        Self { early, ..self }
    }

    /// How many source partitions windows wait for.
    #[must_use]
    pub fn source_partitions(&self) -> usize {
        self.source_partitions
    }

    /// When early results are due; `None` without them.
    #[must_use]
    pub fn early(&self) -> Option<EarlyResults> {
        self.early
    }

    /// The allowed lateness of stage 1, in milliseconds.
    #[must_use]
    pub fn allowed_lateness_ms(&self) -> i64 {
        self.allowed_lateness_ms
    }
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMerge {
    source_partitions: usize,
    allowed_lateness_ms: i64,
    early_every_ms: Option<i64>,
}

impl From<MergePolicy> for RawMerge {
    fn from(policy: MergePolicy) -> Self {
        Self {
            source_partitions: policy.source_partitions,
            allowed_lateness_ms: policy.allowed_lateness_ms,
            early_every_ms: policy.early.map(EarlyResults::interval_ms),
        }
    }
}

impl TryFrom<RawMerge> for MergePolicy {
    type Error = ConfigError;

    fn try_from(raw: RawMerge) -> Result<Self, ConfigError> {
        let early = raw.early_every_ms.map(EarlyResults::every_ms).transpose()?;
        Ok(Self::new(raw.source_partitions, raw.allowed_lateness_ms)?.with_early(early))
    }
}

/// When early results are due: each time the watermark passes a multiple of an interval of event
/// time.
///
/// They are a preview. What is final is made of other records and another part of the state, so
/// that an interval may be changed, or early results switched on and off, over any state and any
/// log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlyResults(TumblingWindows);

impl EarlyResults {
    /// Early results at the multiples of `every_ms`.
    ///
    /// # Errors
    /// An interval outside [`EARLY_EVERY_MS`].
    pub fn every_ms(every_ms: i64) -> Result<Self, ConfigError> {
        let every_ms = within("interval of early results, in ms,", every_ms, EARLY_EVERY_MS)?;
        Ok(Self(TumblingWindows::at_least_1_ms(every_ms)))
    }

    /// The interval, in milliseconds.
    #[must_use]
    pub fn interval_ms(self) -> i64 {
        self.0.size_ms()
    }

    /// The first multiple above a watermark.
    #[inline]
    pub(super) fn next_after(self, watermark_ms: i64) -> i64 {
        self.0.end_of(self.0.start_of(watermark_ms))
    }

    /// Whether a multiple was passed. A first watermark passes none.
    pub(super) fn are_due(self, before_ms: Option<i64>, after_ms: i64) -> bool {
        before_ms.is_some_and(|before_ms| after_ms >= self.next_after(before_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_comes_back_from_its_text_and_an_impossible_one_is_named() {
        let partial = PartialPolicy::new(60_000, 5_000, 1)
            .unwrap()
            .with_early(Some(EarlyResults::every_ms(10_000).unwrap()))
            .with_bounds(EventTimeBounds {
                max_future_ms: 60_000,
                earliest_ms: Some(7),
                refuses_misplaced: true,
                partitions: Some(5),
            });
        let text = serde_json::to_string(&partial).unwrap();
        assert_eq!(serde_json::from_str::<PartialPolicy>(&text).unwrap(), partial);
        let merge = MergePolicy::new(5, 3).unwrap();
        let text = serde_json::to_string(&merge).unwrap();
        assert_eq!(serde_json::from_str::<MergePolicy>(&text).unwrap(), merge);

        let impossible = text.replace(":5,", ":0,");
        let error = serde_json::from_str::<MergePolicy>(&impossible).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("source_partitions is 0: must be from 1 to"),
            "{error}"
        );
        let unknown = text.replace('}', ",\"later\":1}");
        assert!(serde_json::from_str::<MergePolicy>(&unknown).is_err());
        assert!(PartialPolicy::new(0, 0, 0).is_err());
        assert!(PartialPolicy::new(1, -1, 0).is_err());
        assert!(PartialPolicy::new(1, 0, DAY_MS + 1).is_err());
    }

    #[test]
    fn a_partition_begins_after_what_was_sent_and_not_later() {
        let policy = PartialPolicy::new(60_000, 5_000, 1).unwrap();
        assert_eq!(
            policy.begins_at_ms(120_000),
            125_000,
            "the window from 120 s on is open"
        );
        assert_eq!(policy.begins_at_ms(119_999), 125_000, "one that overlaps is not");
    }

    #[test]
    fn other_partitions_are_refused_where_records_are_left_out_for_where_they_lie() {
        let bounds = |partitions, refuses_misplaced| EventTimeBounds {
            partitions,
            refuses_misplaced,
            ..EventTimeBounds::NONE
        };
        let refused = bounds(Some(5), false).check_change(&bounds(Some(8), true));
        let said = refused.unwrap_err().to_string();
        assert!(
            said.contains("from 5 to 8") && said.contains("misplaced_records: count"),
            "{said}"
        );
        for (present, wanted) in [
            (bounds(Some(5), true), bounds(Some(8), false)),
            (bounds(Some(8), false), bounds(Some(8), true)),
            (bounds(None, true), bounds(Some(8), true)),
        ] {
            assert_eq!(present.check_change(&wanted), Ok(()));
        }
    }
}
