//! Event times as files write them.

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::field::RowError;
use super::rows::Cell;

pub(super) const FIELD: &str = "transactionTime";

/// How a column's times are written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TimeFormat {
    /// As 2026-10-09T12:34:56Z.
    Rfc3339,
    /// Milliseconds since 1970.
    EpochMs,
    /// Seconds since 1970, with decimals or not.
    EpochS,
    /// A pattern as of `strftime`.
    Pattern(String),
}

/// Reads times.
#[derive(Debug, Clone)]
pub(super) struct TimeReader {
    pub(super) format: TimeFormat,
    /// The zone of times that name none.
    pub(super) zone: TimeZone,
}

impl TimeReader {
    pub(super) fn new(format: Option<&str>, zone: Option<&str>) -> Result<Self, String> {
        let format = match format {
            None | Some("rfc3339") => TimeFormat::Rfc3339,
            Some("epoch_ms") => TimeFormat::EpochMs,
            Some("epoch_s") => TimeFormat::EpochS,
            Some(pattern) if pattern.contains('%') => TimeFormat::Pattern(pattern.to_owned()),
            Some(other) => {
                return Err(format!(
                    "format {other:?} must be rfc3339, epoch_ms, epoch_s or a pattern as \"%Y-%m-%d %H:%M:%S\""
                ));
            }
        };
        let zone = match zone {
            None | Some("UTC") => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|error| {
                format!("zone {name:?} is not known here ({error}); must be a name as UTC or Europe/Paris")
            })?,
        };
        Ok(Self { format, zone })
    }

    /// Milliseconds since 1970 of a typed cell.
    pub(super) fn read_cell(&self, cell: &Cell) -> Option<Result<i64, RowError>> {
        match cell {
            Cell::Instant(ms) => Some(Ok(*ms)),
            Cell::Local(ms) => Some(self.read_local(*ms)),
            Cell::Empty | Cell::Text(_) => None,
        }
    }

    fn read_local(&self, ms: i64) -> Result<i64, RowError> {
        let date_time: DateTime = Timestamp::from_millisecond(ms)
            .map_err(|error| RowError::unreadable(FIELD, &ms.to_string(), format!("a time ({error})")))?
            .to_zoned(TimeZone::UTC)
            .datetime();
        self.localise(date_time)
            .map_err(|error| RowError::unreadable(FIELD, &date_time.to_string(), format!("a time ({error})")))
    }

    fn localise(&self, date_time: DateTime) -> Result<i64, jiff::Error> {
        Ok(date_time
            .to_zoned(self.zone.clone())?
            .timestamp()
            .as_millisecond())
    }

    /// Milliseconds since 1970 of a text.
    pub(super) fn read_text(&self, text: &str) -> Result<i64, RowError> {
        let wanted = |wanted: String| RowError::unreadable(FIELD, text, wanted);
        match &self.format {
            TimeFormat::Rfc3339 => text
                .parse::<Timestamp>()
                .map(Timestamp::as_millisecond)
                .map_err(|_| wanted("a time as 2026-10-09T12:34:56Z".to_owned())),
            TimeFormat::EpochMs => text
                .parse()
                .map_err(|_| wanted("a whole number of milliseconds since 1970".to_owned())),
            TimeFormat::EpochS => {
                epoch_s(text).ok_or_else(|| wanted("a number of seconds since 1970".to_owned()))
            }
            TimeFormat::Pattern(pattern) => self
                .read_pattern(pattern, text)
                .map_err(|error| wanted(format!("a time as {pattern:?} ({error})"))),
        }
    }

    fn read_pattern(&self, pattern: &str, text: &str) -> Result<i64, jiff::Error> {
        let parsed = BrokenDownTime::parse(pattern, text)?;
        if parsed.offset().is_some() {
            return Ok(parsed.to_timestamp()?.as_millisecond());
        }
        self.localise(parsed.to_datetime()?)
    }
}

fn epoch_s(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1_000);
    }
    let seconds: f64 = text.parse().ok()?;
    let time = SignedDuration::try_from_secs_f64(seconds).ok()?;
    i64::try_from(time.as_millis()).ok()
}

/// A time of the command line: RFC 3339, or milliseconds since 1970.
///
/// # Errors
/// Neither.
pub fn parse_time(text: &str) -> Result<i64, String> {
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    text.parse::<Timestamp>()
        .map(Timestamp::as_millisecond)
        .map_err(|error| {
            format!("must be a time as 2026-10-09T12:34:56Z or milliseconds since 1970 ({error})")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: &str, zone: &str, text: &str) -> Result<i64, RowError> {
        TimeReader::new(Some(format), Some(zone)).unwrap().read_text(text)
    }

    #[test]
    fn reads_what_files_write() {
        let noon = 1_522_584_031_000;
        for (format, zone, text) in [
            ("%Y-%m-%d %H:%M:%S", "UTC", "2018-04-01 12:00:31"),
            ("%Y-%m-%d %H:%M:%S", "Europe/Paris", "2018-04-01 14:00:31"),
            ("%Y-%m-%d %H:%M:%S %z", "UTC", "2018-04-01 14:00:31 +0200"),
            ("rfc3339", "UTC", "2018-04-01T12:00:31Z"),
            ("rfc3339", "UTC", "2018-04-01T14:00:31+02:00"),
            ("epoch_ms", "UTC", "1522584031000"),
            ("epoch_s", "UTC", "1522584031"),
            ("epoch_s", "UTC", "1522584031.0"),
        ] {
            assert_eq!(read(format, zone, text), Ok(noon), "{format} {text}");
        }
        let local = TimeReader::new(None, Some("Europe/Paris")).unwrap();
        assert_eq!(local.read_cell(&Cell::Local(noon + 7_200_000)), Some(Ok(noon)));
        assert_eq!(local.read_cell(&Cell::Instant(noon)), Some(Ok(noon)));
    }

    #[test]
    fn says_what_would_be_right() {
        let error = read("%Y-%m-%d %H:%M:%S", "UTC", "yesterday")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("transactionTime: \"yesterday\" is not a time as"),
            "{error}"
        );
        let error = TimeReader::new(Some("iso"), None).unwrap_err();
        assert!(error.contains("must be rfc3339, epoch_ms"), "{error}");
        let error = TimeReader::new(None, Some("Mars/Olympus")).unwrap_err();
        assert!(error.contains("Mars/Olympus"), "{error}");
        assert!(parse_time("later").unwrap_err().contains("milliseconds"));
        assert_eq!(parse_time("2018-04-01T12:00:31Z"), Ok(1_522_584_031_000));
    }
}
