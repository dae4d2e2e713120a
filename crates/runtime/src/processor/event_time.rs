//! Which times an event may have, whatever it is.

use millrace_contract::kind::unit_hint;
use millrace_engine::EventTimeBounds;

use super::Refused;

/// Whether an event's time is within a policy's bounds. `append_time_ms` is when the broker
/// appended its record, in milliseconds since 1970, where that is known.
///
/// # Errors
/// Before the earliest, or too far ahead of the append time.
#[inline]
pub fn check_event_time(
    time_ms: i64,
    append_time_ms: Option<i64>,
    bounds: &EventTimeBounds,
) -> Result<(), Refused> {
    if let Some(earliest_ms) = bounds.earliest_ms
        && time_ms < earliest_ms
    {
        return Err(before_earliest(time_ms, earliest_ms));
    }
    match append_time_ms.map(|append_time_ms| time_ms.saturating_sub(append_time_ms)) {
        Some(ahead_ms) if ahead_ms > bounds.max_future_ms => Err(far_future(ahead_ms, bounds.max_future_ms)),
        _ => Ok(()),
    }
}

#[cold]
fn before_earliest(time_ms: i64, earliest_ms: i64) -> Refused {
    let hint = unit_hint(time_ms);
    Refused {
        code: "before_earliest_time",
        why: format!(
            "the event time {time_ms} ms is before event_time.earliest_time, {earliest_ms} ms{hint}"
        ),
    }
}

#[cold]
fn far_future(ahead_ms: i64, bound_ms: i64) -> Refused {
    Refused {
        code: "far_future",
        why: format!(
            "the event time is {ahead_ms} ms ahead of the broker's time, more than the bound of {bound_ms} ms"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_within_its_bounds_or_refused_by_name() {
        let bounds = EventTimeBounds {
            max_future_ms: 60,
            earliest_ms: Some(1_000),
            ..EventTimeBounds::NONE
        };
        let check = |time_ms, append_time_ms| {
            check_event_time(time_ms, append_time_ms, &bounds).map_err(|refused| refused.code)
        };
        assert_eq!(check(1_000, Some(5_000)), Ok(()));
        assert_eq!(check(999, Some(5_000)), Err("before_earliest_time"));
        assert_eq!(check(5_060, Some(5_000)), Ok(()));
        assert_eq!(check(5_061, Some(5_000)), Err("far_future"));
        assert_eq!(check(5_061, None), Ok(()), "a producer's stamp bounds nothing");
        assert_eq!(
            check_event_time(i64::MIN, Some(i64::MAX), &EventTimeBounds::NONE),
            Ok(())
        );
    }
}
