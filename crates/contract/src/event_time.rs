//! Which times an event may have, whatever it is.

use thiserror::Error;

use crate::kind::unit_hint;

/// The bounds on the event times of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTimeLimits {
    /// The earliest, in milliseconds since 1970; `None` for any.
    pub earliest_ms: Option<i64>,
    /// How far ahead of the record's append time, in milliseconds.
    pub max_future_ms: i64,
}

/// Why an event time cannot be: what is said after the name of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ImpossibleTime {
    /// It is before the configured earliest one.
    #[error(
        "{time_ms} ms is before event_time.earliest_time, {earliest_ms} ms{hint}",
        hint = unit_hint(*time_ms)
    )]
    BeforeEarliest {
        /// The event time.
        time_ms: i64,
        /// The configured bound, `earliest_time`.
        earliest_ms: i64,
    },
    /// It is further ahead of the broker's append time than the configured bound.
    #[error("is {ahead_ms} ms ahead of the broker's time, more than the bound of {bound_ms} ms")]
    FarFuture {
        /// How far ahead of the record's append time.
        ahead_ms: i64,
        /// The configured bound, `max_future_ms`.
        bound_ms: i64,
    },
}

impl ImpossibleTime {
    /// A short name from a fixed set, fit for a metric label.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BeforeEarliest { .. } => "before_earliest_time",
            Self::FarFuture { .. } => "far_future",
        }
    }
}

impl EventTimeLimits {
    /// Checks an event time against both bounds, as every service has to that reads the stream:
    /// what one refuses and another takes would be in one of two results alone.
    ///
    /// `append_time_ms` is when the broker appended the record; `None` where a producer has stamped
    /// it, which bounds nothing.
    ///
    /// # Errors
    /// Before the earliest, or too far ahead of the append time.
    #[inline]
    pub fn check(self, time_ms: i64, append_time_ms: Option<i64>) -> Result<(), ImpossibleTime> {
        if let Some(earliest_ms) = self.earliest_ms {
            check_not_before(time_ms, earliest_ms)?;
        }
        match append_time_ms {
            Some(append_time_ms) => check_not_far_future(time_ms, append_time_ms, self.max_future_ms),
            None => Ok(()),
        }
    }
}

/// Checks an event time against the earliest that the stream may have: a time in seconds, taken for
/// milliseconds, is in January 1970.
///
/// # Errors
/// Before `earliest_ms`.
#[inline]
pub const fn check_not_before(time_ms: i64, earliest_ms: i64) -> Result<(), ImpossibleTime> {
    if time_ms < earliest_ms {
        return Err(ImpossibleTime::BeforeEarliest { time_ms, earliest_ms });
    }
    Ok(())
}

/// Checks an event time against the time at which the broker appended the record, which is part of
/// the log: so a replay decides as the first run did.
///
/// # Errors
/// More than `max_future_ms` ahead.
#[inline]
pub const fn check_not_far_future(
    time_ms: i64,
    append_time_ms: i64,
    max_future_ms: i64,
) -> Result<(), ImpossibleTime> {
    // Both are within the years that a contract takes: nothing wraps.
    let ahead_ms = time_ms.wrapping_sub(append_time_ms);
    if ahead_ms > max_future_ms {
        return Err(ImpossibleTime::FarFuture {
            ahead_ms,
            bound_ms: max_future_ms,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_times_are_held_to_both_limits() {
        let limits = EventTimeLimits {
            earliest_ms: Some(1_000),
            max_future_ms: 60,
        };
        let check = |time_ms, append_time_ms, limits: EventTimeLimits| {
            let checked = limits.check(time_ms, append_time_ms);
            checked.map_err(|error| error.code())
        };
        assert_eq!(check(1_000, Some(5_000), limits), Ok(()));
        assert_eq!(check(999, Some(5_000), limits), Err("before_earliest_time"));
        assert_eq!(check(5_060, Some(5_000), limits), Ok(()));
        assert_eq!(check(5_061, Some(5_000), limits), Err("far_future"));
        // A producer's stamp bounds nothing; the earliest holds all the same.
        assert_eq!(check(5_061, None, limits), Ok(()));
        assert_eq!(check(999, None, limits), Err("before_earliest_time"));
        let any = EventTimeLimits {
            earliest_ms: None,
            ..limits
        };
        assert_eq!(check(0, Some(5_000), any), Ok(()));
    }

    #[test]
    fn a_time_in_another_unit_is_named() {
        let ends = |time_ms, end: &str| {
            let earliest_ms = 946_684_800_000;
            let text = ImpossibleTime::BeforeEarliest { time_ms, earliest_ms }.to_string();
            assert!(text.ends_with(end), "{text}");
        };
        ends(1_760_000_000, "seconds for milliseconds?");
        ends(1_760_000_000_123_456, "microseconds for milliseconds?");
        ends(1_760_000_000_123_456_789, "nanoseconds for milliseconds?");
    }
}
