//! Which times an event may have, whatever it is.

use millrace_contract::Event;
use millrace_contract::event_time::ImpossibleTime;
use millrace_engine::EventTimeBounds;

use super::Refused;

#[inline]
fn check_event_time(
    time_ms: i64,
    append_time_ms: Option<i64>,
    bounds: &EventTimeBounds,
) -> Result<(), Refused> {
    bounds.limits().check(time_ms, append_time_ms).map_err(refused)
}

/// Whether an event is one that its stream may have: its time is within a policy's bounds, and it
/// can have been so ([`Event::check`]). `append_time_ms` is when the broker appended its record,
/// in milliseconds since 1970, where that is known.
///
/// # Errors
/// Why it is left out.
#[inline]
pub fn check_event(
    event: &impl Event,
    append_time_ms: Option<i64>,
    bounds: &EventTimeBounds,
) -> Result<(), Refused> {
    check_event_time(event.time_ms(), append_time_ms, bounds)?;
    event.check().map_err(|error| Refused {
        code: error.code(),
        why: error.to_string(),
    })
}

#[cold]
fn refused(error: ImpossibleTime) -> Refused {
    Refused {
        code: error.code(),
        why: format!("the event time {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_of_bounds_is_refused_by_name() {
        let bounds = EventTimeBounds {
            max_future_ms: 60,
            earliest_ms: Some(1_000),
            ..EventTimeBounds::NONE
        };
        let refused = check_event_time(999, Some(5_000), &bounds).unwrap_err();
        assert_eq!(refused.code, "before_earliest_time");
        assert!(
            refused.why.starts_with("the event time 999 ms is before"),
            "{refused:?}"
        );
        let refused = check_event_time(5_061, Some(5_000), &bounds).unwrap_err();
        assert_eq!(refused.code, "far_future");
        assert!(
            refused.why.starts_with("the event time is 61 ms ahead"),
            "{refused:?}"
        );
        assert_eq!(check_event_time(0, Some(0), &EventTimeBounds::NONE), Ok(()));
    }
}
