//! Which times a transaction may have.

use millrace_domain::{EventTimeLimits, InvalidValue, Transaction};
use millrace_engine::EventTimeBounds;

/// Whether a transaction's event time is within a policy's bounds. `append_time_ms` is when the
/// broker appended its record, in milliseconds since 1970, where that is known.
///
/// # Errors
/// Before the earliest, or too far ahead of the append time.
#[inline]
pub fn check_event_time(
    transaction: &Transaction,
    append_time_ms: Option<i64>,
    bounds: &EventTimeBounds,
) -> Result<(), InvalidValue> {
    let limits = EventTimeLimits {
        earliest_ms: bounds.earliest_ms,
        max_future_ms: bounds.max_future_ms,
    };
    transaction.check_event_time(append_time_ms, limits)
}
