//! Event times as files write them.

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::{AmbiguousOffset, Disambiguation, TimeZone};

use super::field::RowError;
use super::number::{Decimal, Marks};
use super::rows::{Cell, date, local};

pub(super) const FIELD: &str = "transactionTime";

/// How a column's times are written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TimeFormat {
    /// ISO 8601, as 2026-10-09T12:34:56Z.
    Iso,
    /// A number of this power of ten of a second since 1970, and its name.
    Epoch(u8, &'static str),
    /// A pattern as of `strftime`.
    Pattern(String),
}

/// Reads times.
#[derive(Debug, Clone)]
pub(super) struct TimeReader {
    format: TimeFormat,
    /// The zone of times that name none.
    zone: Option<TimeZone>,
    /// Which of the two instants an hour means that is there twice, and what one that is not there
    /// at all means; none if neither is taken.
    disambiguation: Option<Disambiguation>,
}

impl TimeReader {
    pub(super) fn new(
        format: Option<&str>,
        zone: Option<&str>,
        disambiguation: Option<&str>,
    ) -> Result<Self, String> {
        let format = match format {
            None | Some("iso" | "rfc3339") => TimeFormat::Iso,
            Some("epoch_s") => TimeFormat::Epoch(0, "seconds"),
            Some("epoch_ms") => TimeFormat::Epoch(3, "milliseconds"),
            Some("epoch_us") => TimeFormat::Epoch(6, "microseconds"),
            Some("epoch_ns") => TimeFormat::Epoch(9, "nanoseconds"),
            Some(pattern) if pattern.contains('%') => TimeFormat::Pattern(pattern.to_owned()),
            Some(other) => {
                return Err(format!(
                    "format {other:?} must be iso, epoch_s, epoch_ms, epoch_us, epoch_ns or a pattern as \
                     \"%Y-%m-%d %H:%M:%S\""
                ));
            }
        };
        let zone = zone
            .map(|name| match name {
                "UTC" => Ok(TimeZone::UTC),
                name => TimeZone::get(name).map_err(|error| {
                    format!(
                        "zone {name:?} is not known here ({error}); must be a name as UTC or Europe/Paris"
                    )
                }),
            })
            .transpose()?;
        if matches!(format, TimeFormat::Epoch(..)) && zone.as_ref().is_some_and(|zone| *zone != TimeZone::UTC)
        {
            return Err("numbers since 1970 are UTC: leave zone out".to_owned());
        }
        let disambiguation = match disambiguation {
            None | Some("reject") => None,
            Some("earlier") => Some(Disambiguation::Earlier),
            Some("later") => Some(Disambiguation::Later),
            Some(other) => {
                return Err(format!(
                    "disambiguation {other:?} must be reject, earlier or later"
                ));
            }
        };
        Ok(Self {
            format,
            zone,
            disambiguation,
        })
    }

    /// Milliseconds since 1970 of a cell of a format that has times.
    pub(super) fn read_cell(&self, cell: &Cell) -> Option<Result<i64, RowError>> {
        let civil = match cell {
            Cell::Instant(ms) => return Some(Ok(*ms)),
            Cell::Local(ms) => local(*ms),
            Cell::Date(days) => date(*days).map(|date| date.to_datetime(Time::midnight())),
            Cell::Empty | Cell::Text(_) | Cell::Number(_) => return None,
        };
        Some(
            civil
                .map_err(|error| error.to_string())
                .and_then(|civil| self.localise(civil))
                .map_err(|error| RowError::unreadable(FIELD, &cell.to_string(), format!("a time ({error})"))),
        )
    }

    /// Milliseconds since 1970 of a time in the mapping's zone; UTC if it gives none.
    fn localise(&self, civil: DateTime) -> Result<i64, String> {
        let zone = self.zone.clone().unwrap_or(TimeZone::UTC);
        let ambiguous = zone.to_ambiguous_timestamp(civil);
        let name = zone.iana_name().unwrap_or("this zone");
        if self.disambiguation.is_none() {
            let what = match ambiguous.offset() {
                AmbiguousOffset::Unambiguous { .. } => None,
                AmbiguousOffset::Gap { .. } => Some("is not there"),
                AmbiguousOffset::Fold { .. } => Some("is there twice"),
            };
            if let Some(what) = what {
                return Err(format!(
                    "that hour {what} in {name}, as the clocks change; disambiguation: earlier or later in the mapping \
                     chooses"
                ));
            }
        }
        ambiguous
            .disambiguate(self.disambiguation.unwrap_or(Disambiguation::Reject))
            .map(Timestamp::as_millisecond)
            .map_err(|error| error.to_string())
    }

    /// Milliseconds since 1970 of a text.
    pub(super) fn read_text(&self, text: &str) -> Result<i64, RowError> {
        match &self.format {
            TimeFormat::Iso => self
                .read_iso(text)
                .map_err(|error| format!("a time as 2026-10-09T12:34:56Z ({error})")),
            TimeFormat::Epoch(power, name) => {
                epoch_ms(text, *power).ok_or_else(|| format!("a number of {name} since 1970"))
            }
            TimeFormat::Pattern(pattern) => self
                .read_pattern(pattern, text)
                .map_err(|error| format!("a time as {pattern:?} ({error})")),
        }
        .map_err(|wanted| RowError::unreadable(FIELD, text, wanted))
    }

    fn read_iso(&self, text: &str) -> Result<i64, String> {
        let pieces = Pieces::parse(text).map_err(|error| error.to_string())?;
        if pieces.offset().is_some() {
            let time: Timestamp = text.parse().map_err(|error: jiff::Error| error.to_string())?;
            return Ok(time.as_millisecond());
        }
        if pieces.time_zone_annotation().is_some() {
            return Err("a zone in brackets needs an offset before it".to_owned());
        }
        if self.zone.is_none() {
            return Err("it has no offset: give zone in the mapping".to_owned());
        }
        let time = pieces.time().unwrap_or(Time::midnight());
        self.localise(pieces.date().to_datetime(time))
    }

    fn read_pattern(&self, pattern: &str, text: &str) -> Result<i64, String> {
        let told = |error: jiff::Error| error.to_string();
        let parsed = BrokenDownTime::parse(pattern, text).map_err(told)?;
        if parsed.offset().is_some() {
            return Ok(parsed.to_timestamp().map_err(told)?.as_millisecond());
        }
        if parsed.iana_time_zone().is_some() {
            return Ok(parsed.to_zoned().map_err(told)?.timestamp().as_millisecond());
        }
        let time = parsed.to_time().map_err(told)?;
        self.localise(parsed.to_date().map_err(told)?.to_datetime(time))
    }
}

/// Milliseconds of a number of the power of ten of a second, rounded down.
fn epoch_ms(text: &str, power: u8) -> Option<i64> {
    let number = Decimal::parse(text, Marks::PLAIN)?;
    if power <= 3 {
        return number.floor(3 - power);
    }
    Some(number.floor(0)?.div_euclid(10_i64.pow(u32::from(power - 3))))
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
        let zone = (!zone.is_empty()).then_some(zone);
        TimeReader::new(Some(format), zone, None).unwrap().read_text(text)
    }

    #[test]
    fn reads_what_files_write() {
        let noon = 1_522_584_031_000;
        for (format, zone, text) in [
            ("%Y-%m-%d %H:%M:%S", "UTC", "2018-04-01 12:00:31"),
            ("%Y-%m-%d %H:%M:%S", "", "2018-04-01 12:00:31"),
            ("%Y-%m-%d %H:%M:%S", "Europe/Paris", "2018-04-01 14:00:31"),
            ("%Y-%m-%d %H:%M:%S %z", "UTC", "2018-04-01 14:00:31 +0200"),
            ("%Y-%m-%d %H:%M:%S %Q", "UTC", "2018-04-01 14:00:31 Europe/Paris"),
            ("iso", "", "2018-04-01T12:00:31Z"),
            ("rfc3339", "", "2018-04-01T14:00:31+02:00"),
            ("iso", "Europe/Paris", "2018-04-01T12:00:31Z"),
            ("iso", "Europe/Paris", "2018-04-01 12:00:31+00"),
            ("iso", "Europe/Paris", "2018-04-01T14:00:31"),
            ("iso", "Europe/Paris", "2018-04-01 14:00:31.000"),
            ("iso", "Europe/Paris", "2018-04-01 14:00:31,0"),
            ("epoch_ms", "", "1522584031000"),
            ("epoch_ms", "", "1522584031000.0"),
            ("epoch_ms", "", "1.522584031e12"),
            ("epoch_s", "", "1522584031"),
            ("epoch_s", "", "1522584031.0"),
            ("epoch_us", "", "1522584031000999"),
            ("epoch_ns", "", "1522584031000999999"),
        ] {
            assert_eq!(read(format, zone, text), Ok(noon), "{format} {zone} {text}");
        }
        assert_eq!(read("epoch_s", "", "1522584031.123"), Ok(noon + 123));
        let midnight = Ok(1_522_540_800_000);
        assert_eq!(read("iso", "UTC", "2018-04-01"), midnight);
        assert_eq!(read("%d/%m/%Y", "UTC", "01/04/2018"), midnight);
        let local = TimeReader::new(None, Some("Europe/Paris"), None).unwrap();
        assert_eq!(local.read_cell(&Cell::Local(noon + 7_200_000)), Some(Ok(noon)));
        assert_eq!(local.read_cell(&Cell::Instant(noon)), Some(Ok(noon)));
        assert_eq!(local.read_cell(&Cell::Date(17_622)), Some(Ok(1_522_533_600_000)));
    }

    #[test]
    fn the_two_odd_hours_of_a_year_are_told_or_chosen() {
        let with = |disambiguation, format, text| {
            TimeReader::new(Some(format), Some("Europe/Paris"), disambiguation)
                .unwrap()
                .read_text(text)
        };
        let pattern = "%Y-%m-%dT%H:%M:%S";
        for format in ["iso", pattern] {
            let gap = with(None, format, "2024-03-31T02:30:00").unwrap_err().to_string();
            assert!(gap.contains("is not there in Europe/Paris"), "{gap}");
            let fold = with(None, format, "2024-10-27T02:30:00").unwrap_err().to_string();
            assert!(fold.contains("is there twice in Europe/Paris"), "{fold}");
            let chosen = |which| with(Some(which), format, "2024-10-27T02:30:00").unwrap();
            assert_eq!(chosen("later") - chosen("earlier"), 3_600_000);
        }
        let reader = TimeReader::new(None, Some("Europe/Paris"), None).unwrap();
        let typed = reader.read_cell(&Cell::Local(1_711_852_200_000)).unwrap();
        assert!(typed.unwrap_err().to_string().contains("is not there"));
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
        let error = read("iso", "", "2018-04-01T12:00:31").unwrap_err().to_string();
        assert!(error.contains("no offset: give zone in the mapping"), "{error}");
        let refused = |format, zone, choice| TimeReader::new(format, zone, choice).unwrap_err();
        for (error, expected) in [
            (refused(Some("stamp"), None, None), "must be iso, epoch_s"),
            (refused(None, Some("Mars/Olympus"), None), "Mars/Olympus"),
            (refused(Some("epoch_s"), Some("Europe/Paris"), None), "are UTC"),
            (refused(None, None, Some("first")), "reject, earlier or later"),
        ] {
            assert!(error.contains(expected), "{error}");
        }
        assert!(parse_time("later").unwrap_err().contains("milliseconds"));
        assert_eq!(parse_time("2018-04-01T12:00:31Z"), Ok(1_522_584_031_000));
    }
}
