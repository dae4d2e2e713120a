//! What can be set of sessions, with its ranges.

use serde::{Deserialize, Serialize};

use crate::TumblingWindows;
use crate::policy::{ConfigError, DAY_MS, EventTimeBounds, within};

/// Gaps, in milliseconds.
pub const GAP_MS: (i64, i64) = (1, DAY_MS);
/// Allowed lateness, in milliseconds.
pub const ALLOWED_LATENESS_MS: (i64, i64) = (0, DAY_MS);
/// How far a watermark may stay behind the highest event time, in milliseconds.
pub const MAX_DISORDER_MS: (i64, i64) = (0, DAY_MS);
/// How many times a gap, lateness and disorder may be together: it bounds how many sessions of a
/// key are open at once.
const MOST_GAPS: i64 = 10_000;
/// How often in a gap sessions are looked at.
const STEPS: i64 = 64;

/// The policy of [`super::Sessions`], checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct SessionPolicy {
    gap_ms: i64,
    allowed_lateness_ms: i64,
    max_disorder_ms: i64,
    bounds: EventTimeBounds,
}

impl SessionPolicy {
    /// Checks the gap, how long behind the watermark an event may still come, and how far the
    /// watermark stays behind the highest event time.
    ///
    /// # Errors
    /// A value outside [`GAP_MS`], [`ALLOWED_LATENESS_MS`] or [`MAX_DISORDER_MS`], or a gap that
    /// lateness and disorder together are more than 10,000 times.
    pub fn new(gap_ms: i64, allowed_lateness_ms: i64, max_disorder_ms: i64) -> Result<Self, ConfigError> {
        let policy = Self {
            gap_ms: within("gap_ms", gap_ms, GAP_MS)?,
            allowed_lateness_ms: within("allowed_lateness_ms", allowed_lateness_ms, ALLOWED_LATENESS_MS)?,
            max_disorder_ms: within("max_disorder_ms", max_disorder_ms, MAX_DISORDER_MS)?,
            bounds: EventTimeBounds::NONE,
        };
        let least_ms = (allowed_lateness_ms + max_disorder_ms).div_euclid(MOST_GAPS);
        within("gap_ms", gap_ms, (least_ms.max(1), GAP_MS.1))?;
        Ok(policy)
    }

    /// With other bounds of event time.
    #[must_use]
    pub fn with_bounds(self, bounds: EventTimeBounds) -> Self {
        Self { bounds, ..self }
    }

    /// Without an event for so long, a session is over, in milliseconds.
    #[must_use]
    pub fn gap_ms(&self) -> i64 {
        self.gap_ms
    }

    /// How long behind the watermark an event may still come, in milliseconds.
    #[must_use]
    pub fn allowed_lateness_ms(&self) -> i64 {
        self.allowed_lateness_ms
    }

    /// How far the watermark stays behind the highest event time, in milliseconds.
    #[must_use]
    pub fn max_disorder_ms(&self) -> i64 {
        self.max_disorder_ms
    }

    /// Which event times the operator is given.
    #[must_use]
    pub fn bounds(&self) -> EventTimeBounds {
        self.bounds
    }

    fn steps(&self) -> TumblingWindows {
        TumblingWindows::at_least_1_ms(self.gap_ms / STEPS)
    }

    /// The horizon of a watermark.
    #[inline]
    pub(super) fn horizon_ms(&self, watermark_ms: i64) -> i64 {
        let behind_ms = watermark_ms.saturating_sub(self.allowed_lateness_ms);
        self.steps().start_of(behind_ms)
    }

    /// The next watermark above this one at which the horizon is another one.
    pub(super) fn next_step_ms(&self, watermark_ms: i64) -> i64 {
        let next_ms = self.steps().end_of(self.horizon_ms(watermark_ms));
        next_ms.saturating_add(self.allowed_lateness_ms)
    }

    /// The horizon at which a session is over whose last event has this time.
    #[inline]
    pub(super) fn closes_at_ms(&self, last_ms: i64) -> i64 {
        self.steps().boundary_from(last_ms.saturating_add(self.gap_ms))
    }

    /// The watermark at which that is so.
    pub(super) fn closes_by_ms(&self, last_ms: i64) -> i64 {
        self.closes_at_ms(last_ms)
            .saturating_add(self.allowed_lateness_ms)
    }

    /// How long behind the horizon ids are remembered: a copy that comes later is late by itself.
    pub(super) fn remembered_ms(&self) -> i64 {
        self.gap_ms
    }
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    gap_ms: i64,
    allowed_lateness_ms: i64,
    max_disorder_ms: i64,
    bounds: EventTimeBounds,
}

impl From<SessionPolicy> for Raw {
    fn from(policy: SessionPolicy) -> Self {
        Self {
            gap_ms: policy.gap_ms,
            allowed_lateness_ms: policy.allowed_lateness_ms,
            max_disorder_ms: policy.max_disorder_ms,
            bounds: policy.bounds,
        }
    }
}

impl TryFrom<Raw> for SessionPolicy {
    type Error = ConfigError;

    fn try_from(raw: Raw) -> Result<Self, ConfigError> {
        let policy = Self::new(raw.gap_ms, raw.allowed_lateness_ms, raw.max_disorder_ms)?;
        Ok(policy.with_bounds(raw.bounds))
    }
}
