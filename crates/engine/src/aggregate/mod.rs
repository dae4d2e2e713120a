//! Merchant aggregates over tumbling windows of event time, in two stages: [`partial`] adds up one partition of
//! transactions, [`merge`] adds up what all of them send.

mod combine;
mod early;
mod groups;
pub mod merge;
mod open_window;
pub mod partial;

pub use combine::partials;
pub use merge::MergeAggregate;
pub use partial::{PartialAggregate, PartialOutput};

use std::fmt;

use thiserror::Error;

use crate::{Disposition, TumblingWindows};

/// The settings of stage 1, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggregateConfig {
    window_ms: i64,
    allowed_lateness_ms: i64,
    max_disorder_ms: i64,
    early: Option<EarlyResults>,
}

impl AggregateConfig {
    /// Checks the size of a window, how long after the watermark has passed its end it still takes records, and how
    /// far the watermark stays behind the highest event time.
    ///
    /// # Errors
    /// A window below 1 ms, or a negative lateness or disorder.
    pub fn new(window_ms: i64, allowed_lateness_ms: i64, max_disorder_ms: i64) -> Result<Self, ConfigError> {
        let at_least = |setting, value, least| {
            if value < least {
                return Err(ConfigError {
                    setting,
                    value,
                    least,
                });
            }
            Ok(value)
        };
        Ok(Self {
            window_ms: at_least("window_ms", window_ms, 1)?,
            allowed_lateness_ms: at_least("allowed_lateness_ms", allowed_lateness_ms, 0)?,
            max_disorder_ms: at_least("max_disorder_ms", max_disorder_ms, 0)?,
            early: None,
        })
    }

    /// With early results, or without.
    #[must_use]
    pub fn with_early(self, early: Option<EarlyResults>) -> Self {
        Self { early, ..self }
    }
}

/// When early results are due: each time the watermark passes a multiple of an interval of event time.
///
/// They are a preview. What is final is made of other records and another part of the state, so that an interval may be
/// changed, or early results switched on and off, over any state and any log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlyResults(TumblingWindows);

impl EarlyResults {
    /// Early results at the multiples of `every_ms`.
    ///
    /// # Errors
    /// An interval below 1 ms.
    pub fn every_ms(every_ms: i64) -> Result<Self, ConfigError> {
        TumblingWindows::new(every_ms).map(Self).ok_or(ConfigError {
            setting: "interval of early results, in ms,",
            value: every_ms,
            least: 1,
        })
    }

    /// The first multiple above a watermark.
    #[inline]
    fn next_after(self, watermark_ms: i64) -> i64 {
        self.0.end_of(self.0.start_of(watermark_ms))
    }

    /// Whether a multiple was passed. A first watermark passes none.
    fn are_due(self, before_ms: Option<i64>, after_ms: i64) -> bool {
        before_ms.is_some_and(|before_ms| after_ms >= self.next_after(before_ms))
    }
}

/// The settings that a state depends on, by name: what a snapshot's fingerprint needs. Early results are none of them.
impl fmt::Display for AggregateConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            window_ms,
            allowed_lateness_ms,
            max_disorder_ms,
            early: _,
        } = self;
        write!(
            f,
            "window_ms={window_ms} allowed_lateness_ms={allowed_lateness_ms} max_disorder_ms={max_disorder_ms}"
        )
    }
}

/// A setting that no operator can work with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{setting} is {value} and must be at least {least}")]
pub struct ConfigError {
    /// The setting's name.
    pub setting: &'static str,
    /// Its value.
    pub value: i64,
    /// The least that works.
    pub least: i64,
}

/// Whether a window has closed, and if so, what becomes of a record for it.
///
/// A window `[start, end)` closes when the watermark reaches `end + lateness`. How late a record is counts from the
/// last millisecond that the window covers, so it is never 0.
#[inline]
fn late(watermark_ms: Option<i64>, window_end_ms: i64, allowed_lateness_ms: i64) -> Option<Disposition> {
    let watermark_ms = watermark_ms?;
    let closes_ms = window_end_ms.saturating_add(allowed_lateness_ms);
    (watermark_ms >= closes_ms).then(|| Disposition::Late {
        late_by_ms: watermark_ms.saturating_sub(closes_ms).saturating_add(1),
    })
}
