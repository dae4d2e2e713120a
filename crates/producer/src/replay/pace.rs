//! The pace of a replay, and where its times are moved.

use std::str::FromStr;
use std::time::{Duration, Instant};

use millrace_kafka::clock::now_ms;

use super::time::parse_time;

/// How fast recorded time passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// So many times as fast as it was recorded.
    Factor(f64),
    /// As fast as it goes.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        match text.parse() {
            Ok(factor) if factor > 0.0 && f64::is_finite(factor) => Ok(Self::Factor(factor)),
            _ => Err("must be max, or a factor above 0 as 1, 0.5 or 60".to_owned()),
        }
    }
}

/// Where the first event time is moved; the others keep their distance from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShiftTo {
    /// The clock's time at the start.
    Now,
    /// A time in milliseconds since 1970.
    Time(i64),
}

impl FromStr for ShiftTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Now);
        }
        parse_time(text).map(Self::Time)
    }
}

/// When each row is due, and its time after the shift.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    speed: Speed,
    shift_to: Option<ShiftTo>,
    first: Option<First>,
}

#[derive(Debug, Clone, Copy)]
struct First {
    event_time_ms: i64,
    sent_at: Instant,
    shift_ms: i64,
}

impl Pace {
    pub(super) fn new(speed: Speed, shift_to: Option<ShiftTo>) -> Self {
        Self {
            speed,
            shift_to,
            first: None,
        }
    }

    fn first(&mut self, event_time_ms: i64) -> First {
        *self.first.get_or_insert_with(|| First {
            event_time_ms,
            sent_at: Instant::now(),
            shift_ms: match self.shift_to {
                None => 0,
                Some(ShiftTo::Now) => now_ms() - event_time_ms,
                Some(ShiftTo::Time(to_ms)) => to_ms - event_time_ms,
            },
        })
    }

    /// Whether event times are moved.
    pub(super) fn moves(&self) -> bool {
        self.shift_to.is_some()
    }

    /// The event time after the shift.
    pub(super) fn shifted(&mut self, event_time_ms: i64) -> i64 {
        event_time_ms.saturating_add(self.first(event_time_ms).shift_ms)
    }

    /// How long after the first row one of that recorded time is due, in milliseconds.
    pub(super) fn due_ms(&mut self, event_time_ms: i64) -> i64 {
        match self.speed {
            Speed::Max => 0,
            Speed::Factor(factor) => {
                let recorded_ms = event_time_ms - self.first(event_time_ms).event_time_ms;
                (recorded_ms.max(0) as f64 / factor) as i64
            }
        }
    }

    /// How long until a row of that recorded time is due; `None` if it is.
    pub(super) fn wait(&mut self, event_time_ms: i64) -> Option<Duration> {
        let Speed::Factor(factor) = self.speed else {
            return None;
        };
        let first = self.first(event_time_ms);
        let recorded_ms = u64::try_from(event_time_ms - first.event_time_ms).ok()?;
        let due = Duration::try_from_secs_f64(recorded_ms as f64 / 1_000.0 / factor).unwrap_or(Duration::MAX);
        let wait = due.saturating_sub(first.sent_at.elapsed());
        (!wait.is_zero()).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_divides_recorded_time() {
        let minute = Duration::from_secs(60);
        let start = Instant::now();
        let mut pace = Pace::new(Speed::Factor(60.0), None);
        assert_eq!(pace.wait(1_000_000), None);
        let wait = pace.wait(1_000_000 + 3_600_000).unwrap();
        assert!(wait <= minute && wait + start.elapsed() >= minute, "{wait:?}");
        assert_eq!(pace.wait(999_000), None, "a row from before is due at once");
        assert_eq!(Pace::new(Speed::Max, None).wait(i64::MAX), None);
    }

    #[test]
    fn a_shift_keeps_distances() {
        let mut pace = Pace::new(Speed::Max, Some(ShiftTo::Time(5_000)));
        assert_eq!(pace.shifted(100), 5_000);
        assert_eq!(pace.shifted(250), 5_150);
        assert_eq!(pace.shifted(90), 4_990);
    }

    #[test]
    fn says_what_would_be_right() {
        for bad in ["0", "-1", "fast", "inf", "NaN"] {
            assert!(bad.parse::<Speed>().unwrap_err().contains("above 0"), "{bad}");
        }
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("now".parse(), Ok(ShiftTo::Now));
        assert!("soon".parse::<ShiftTo>().is_err());
    }
}
