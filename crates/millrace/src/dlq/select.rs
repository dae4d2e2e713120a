//! Which letters are meant.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use millrace_kafka::copies::header;

use super::letter::{Letter, Position};

/// A letter is chosen if it passes every filter that is given.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Filter {
    /// Only letters with this reason (error.code), as empty or far_future; late for late records.
    /// May be given again
    #[arg(long, value_name = "CODE")]
    code: Vec<String>,
    /// Only letters of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Only letters made since then: a time as 2026-01-31T12:00:00Z, or how long ago, as 2h
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Only letters made before then
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Only letters whose record was read from this partition
    #[arg(long, value_name = "PARTITION")]
    source_partition: Option<i32>,
    /// Only letters whose record was read from these offsets, the last included, as 100-200
    #[arg(long, value_name = "FROM-TO", value_parser = offsets)]
    source_offsets: Option<RangeInclusive<i64>>,
    /// Only the letter at this place in its own topic, as 0:1234. May be given again
    #[arg(long, value_name = "PARTITION:OFFSET")]
    at: Vec<Position>,
}

impl Filter {
    pub(super) fn matches(&self, letter: &Letter) -> bool {
        let made = letter.record.timestamp_ms;
        let source = letter.source().map(|(_, source)| source.at);
        let is_of = |wanted: &str| letter.header(header::SERVICE).as_deref() == Some(wanted);
        let code = letter.code();
        (self.code.is_empty() || self.code.iter().any(|wanted| *wanted == code))
            && self.service.as_deref().is_none_or(is_of)
            && self
                .since
                .is_none_or(|since| made.is_some_and(|ms| ms >= since.as_millisecond()))
            && self
                .until
                .is_none_or(|until| made.is_some_and(|ms| ms < until.as_millisecond()))
            && self
                .source_partition
                .is_none_or(|wanted| source.is_some_and(|at| at.partition == wanted))
            && self
                .source_offsets
                .as_ref()
                .is_none_or(|wanted| source.is_some_and(|at| wanted.contains(&at.offset)))
            && (self.at.is_empty() || self.at.contains(&letter.at))
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let wrong =
        || format!("{text:?} is no time: it is written 2026-01-31T12:00:00Z, or 2h for two hours ago");
    let ago: Duration = humantime::parse_duration(text).map_err(|_| wrong())?;
    Timestamp::now().checked_sub(ago).map_err(|_| wrong())
}

fn offsets(text: &str) -> Result<RangeInclusive<i64>, String> {
    let wrong = || format!("{text:?} is no range of offsets: it is written FROM-TO, as 100-200");
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let (from, to): (i64, i64) = (
        from.parse().map_err(|_| wrong())?,
        to.parse().map_err(|_| wrong())?,
    );
    if from > to {
        return Err(wrong());
    }
    Ok(from..=to)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::letter::tests::letter;
    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        filter: Filter,
    }

    fn chosen(arguments: &str) -> Vec<i64> {
        let line = std::iter::once("x").chain(arguments.split_whitespace());
        let filter = Line::try_parse_from(line).unwrap().filter;
        let letters = (0..10_i64).map(|at| {
            let code = if at % 2 == 0 { "empty" } else { "far_future" };
            let (partition, offset) = ((at % 5).to_string(), (100 + at).to_string());
            letter(
                at,
                &[
                    ("error.code", code),
                    (
                        "service",
                        if at < 8 {
                            "aggregate-partial"
                        } else {
                            "elastic-sink"
                        },
                    ),
                    ("source.topic", "t"),
                    ("source.partition", &partition),
                    ("source.offset", &offset),
                ],
            )
        });
        let letters = letters.filter(|letter| filter.matches(letter));
        letters.map(|letter| letter.at.offset).collect()
    }

    #[test]
    fn every_filter_that_is_given_has_to_pass() {
        assert_eq!(chosen("").len(), 10);
        assert_eq!(chosen("--code empty"), [0, 2, 4, 6, 8]);
        assert_eq!(chosen("--code empty --code far_future").len(), 10);
        assert!(chosen("--code none").is_empty());
        assert_eq!(chosen("--service elastic-sink"), [8, 9]);
        assert_eq!(chosen("--source-partition 3"), [3, 8]);
        assert_eq!(chosen("--source-offsets 102-104"), [2, 3, 4]);
        assert_eq!(chosen("--source-offsets 102-104 --code empty"), [2, 4]);
        assert_eq!(chosen("--at 0:3 --at 0:9 --at 1:4"), [3, 9]);
        assert_eq!(chosen("--since 2025-10-09T12:00:07Z"), [7, 8, 9]);
        assert_eq!(
            chosen("--since 2025-10-09T12:00:07Z --until 2025-10-09T12:00:08Z"),
            [7]
        );
        assert!(chosen("--since 1h").is_empty());
        assert_eq!(chosen("--until 1h").len(), 10);
    }

    #[test]
    fn what_is_no_filter_is_refused_with_what_would_be_right() {
        for (arguments, right) in [
            ("--since yesterday", "2h"),
            ("--source-offsets 9", "FROM-TO"),
            ("--source-offsets 9-3", "FROM-TO"),
            ("--at 7", "PARTITION:OFFSET"),
        ] {
            let line = std::iter::once("x").chain(arguments.split_whitespace());
            let error = Line::try_parse_from(line).unwrap_err().to_string();
            assert!(error.contains(right), "{error}");
        }
    }
}
