//! Event times.

use serde_json::{Value as Json, json};

use super::Kind;
use crate::DecodeError;
use crate::json::{Integer, put_display};
use crate::wire::{Cursor, put_long};

/// The latest time: the end of the year 9999.
pub const MAX_TIME_MS: i64 = 253_402_300_799_999;

/// A time in milliseconds since 1970, up to [`MAX_TIME_MS`]: `timestamp-millis` in the schema, an
/// integer in JSON.
#[derive(Debug, Clone, Copy)]
pub enum Time {}

impl Time {
    #[inline]
    fn check(time_ms: i64, field: &'static str) -> Result<i64, DecodeError> {
        match time_ms {
            0..=MAX_TIME_MS => Ok(time_ms),
            _ => Err(out_of_range(time_ms, field)),
        }
    }
}

#[cold]
fn out_of_range(time_ms: i64, field: &'static str) -> DecodeError {
    let hint = unit_hint(time_ms);
    DecodeError::Invalid {
        code: "time_out_of_range",
        message: format!("{field} {time_ms} ms is not between 1970-01-01 and 9999-12-31{hint}"),
    }
}

impl Kind for Time {
    type Value = i64;
    type Json<'de> = Integer;

    const MAX_LEN: usize = 7;

    fn schema() -> Json {
        json!({"type": "long", "logicalType": "timestamp-millis"})
    }

    #[inline]
    fn put(value: &i64, bytes: &mut Vec<u8>) {
        put_long(*value, bytes);
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<i64, DecodeError> {
        Self::check(cursor.long(field)?, field)
    }

    fn put_json(value: &i64, bytes: &mut Vec<u8>) {
        put_display(bytes, value);
    }

    fn of_json(Integer(value): Integer, field: &'static str) -> Result<i64, DecodeError> {
        Self::check(value, field)
    }
}

/// Which other unit makes a plausible time of a value that is none in milliseconds; empty where
/// none does.
#[must_use]
pub fn unit_hint(value: i64) -> &'static str {
    /// The years 2000 to 2099.
    const PLAUSIBLE_MS: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;
    let is_plausible = |ms: Option<i64>| ms.is_some_and(|ms| PLAUSIBLE_MS.contains(&ms));
    if is_plausible(value.checked_mul(1_000)) {
        ": seconds for milliseconds?"
    } else if is_plausible(Some(value / 1_000)) {
        ": microseconds for milliseconds?"
    } else if is_plausible(Some(value / 1_000_000)) {
        ": nanoseconds for milliseconds?"
    } else {
        ""
    }
}
