//! What can be set of a machine by key, with its ranges.

use serde::{Deserialize, Serialize};

use crate::TumblingWindows;
use crate::policy::{ConfigError, DAY_MS, EventTimeBounds, within};

/// Allowed lateness, in milliseconds.
pub const ALLOWED_LATENESS_MS: (i64, i64) = (0, DAY_MS);
/// How far a watermark may stay behind the highest event time, in milliseconds.
pub const MAX_DISORDER_MS: (i64, i64) = (0, DAY_MS);
/// How often in event time it is looked at what is due, in milliseconds.
const STEP_MS: i64 = 1_000;

/// The policy of [`super::Ordered`], checked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw<S>", bound(deserialize = "S: Copy + Deserialize<'de>"))]
pub struct OrderedPolicy<S> {
    allowed_lateness_ms: i64,
    max_disorder_ms: i64,
    bounds: EventTimeBounds,
    settings: S,
}

impl<S: Copy> OrderedPolicy<S> {
    /// Checks how long behind the watermark an event may still come, and how far the watermark
    /// stays behind the highest event time; what the machine's settings are, these check.
    ///
    /// # Errors
    /// A value outside [`ALLOWED_LATENESS_MS`] or [`MAX_DISORDER_MS`].
    pub fn new(allowed_lateness_ms: i64, max_disorder_ms: i64, settings: S) -> Result<Self, ConfigError> {
        Ok(Self {
            allowed_lateness_ms: within("allowed_lateness_ms", allowed_lateness_ms, ALLOWED_LATENESS_MS)?,
            max_disorder_ms: within("max_disorder_ms", max_disorder_ms, MAX_DISORDER_MS)?,
            bounds: EventTimeBounds::NONE,
            settings,
        })
    }

    /// With other bounds of event time.
    #[must_use]
    pub fn with_bounds(self, bounds: EventTimeBounds) -> Self {
        Self { bounds, ..self }
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

    /// What is set of the machine.
    #[must_use]
    pub fn settings(&self) -> &S {
        &self.settings
    }

    fn steps() -> TumblingWindows {
        TumblingWindows::at_least_1_ms(STEP_MS)
    }

    /// The horizon of a watermark.
    #[inline]
    pub(super) fn horizon_ms(&self, watermark_ms: i64) -> i64 {
        Self::steps().start_of(watermark_ms.saturating_sub(self.allowed_lateness_ms))
    }

    /// The next watermark above this one at which the horizon is another one.
    pub(super) fn next_step_ms(&self, watermark_ms: i64) -> i64 {
        let next_ms = Self::steps().end_of(self.horizon_ms(watermark_ms));
        next_ms.saturating_add(self.allowed_lateness_ms)
    }

    /// The first horizon at or after a time.
    #[inline]
    pub(super) fn due_at_ms(&self, time_ms: i64) -> i64 {
        Self::steps().boundary_from(time_ms)
    }

    /// The watermark at which the horizon is there.
    pub(super) fn due_by_ms(&self, time_ms: i64) -> i64 {
        self.due_at_ms(time_ms).saturating_add(self.allowed_lateness_ms)
    }
}

/// As it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw<S> {
    allowed_lateness_ms: i64,
    max_disorder_ms: i64,
    bounds: EventTimeBounds,
    settings: S,
}

impl<S: Copy> TryFrom<Raw<S>> for OrderedPolicy<S> {
    type Error = ConfigError;

    fn try_from(raw: Raw<S>) -> Result<Self, ConfigError> {
        let policy = Self::new(raw.allowed_lateness_ms, raw.max_disorder_ms, raw.settings)?;
        Ok(policy.with_bounds(raw.bounds))
    }
}
