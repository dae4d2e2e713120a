//! The wall clock, as records are stamped with it.

use std::time::{SystemTime, UNIX_EPOCH};

/// The machine's clock in milliseconds since 1970; 0 before that.
#[must_use]
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
