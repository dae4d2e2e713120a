//! The earliest event time that a stream may have.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// The earliest event time that a stream may have: a date (its beginning in UTC) or a time with its
/// zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EarliestTime(Timestamp);

impl EarliestTime {
    /// In milliseconds since 1970.
    #[must_use]
    pub fn ms(self) -> i64 {
        self.0.as_millisecond()
    }
}

impl Default for EarliestTime {
    /// The year 2000: a time in seconds that is read as milliseconds is in 1970.
    fn default() -> Self {
        Self(Timestamp::constant(946_684_800, 0))
    }
}

impl fmt::Display for EarliestTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.strip_suffix("T00:00:00Z").unwrap_or(&text))
    }
}

impl From<EarliestTime> for String {
    fn from(time: EarliestTime) -> Self {
        time.to_string()
    }
}

impl FromStr for EarliestTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = text.trim();
        let of_date = || time.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok();
        // A time without a zone would be read as a date alone.
        let of_date = || (time.len() == "2000-01-01".len()).then(of_date).flatten();
        time.parse()
            .ok()
            .or_else(|| Some(of_date()?.timestamp()))
            .filter(|time: &Timestamp| time.as_millisecond() >= 0)
            .map(Self)
            .ok_or_else(|| {
                format!(
                    "is {text:?}: must be a date from 1970 on, as 2000-01-01, or a time with its zone, as 2000-01-01T06:00:00Z"
                )
            })
    }
}

impl TryFrom<String> for EarliestTime {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<EarliestTime>().unwrap().ms()
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(EarliestTime::default().to_string(), "2000-01-01");
        for text in ["2000-01-01", "1970-01-01", "1987-06-05T04:03:02Z"] {
            assert_eq!(text.parse::<EarliestTime>().unwrap().to_string(), text);
        }
        assert_eq!(ms("2000-01-01"), 946_684_800_000);
        assert_eq!(ms("2000-01-01T01:00:00+01:00"), 946_684_800_000);
        assert_eq!(ms(" 2000-01-01T00:00:00.5Z "), 946_684_800_500);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "2000",
            "2000-01",
            "2000-13-01",
            "1969-12-31",
            "2000-01-01T00:00:00",
            "946684800000",
            "now",
        ] {
            let error = text.parse::<EarliestTime>().unwrap_err();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
