//! `millrace query`: asks the tables in Cassandra.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use comfy_table::{Table as Shown, presets};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use millrace_cassandra_sink::read::{self, Answer, Question, Span};
use millrace_cassandra_sink::store::connect;
use millrace_domain::EntityType;
use millrace_kafka::clock::now_ms;
use millrace_settings::Settings;

/// Arguments of the command.
#[derive(Debug, Clone, Args)]
pub struct Options {
    #[command(subcommand)]
    about: About,
    /// A day in UTC, as 2026-01-31, in place of --since
    #[arg(long, global = true, conflicts_with = "since")]
    day: Option<Date>,
    /// How far back from now, as 90m or 7d
    #[arg(long, global = true, default_value = "24h", value_parser = humantime::parse_duration)]
    since: Duration,
    /// Rows at most, the newest
    #[arg(long, global = true, default_value_t = 100, value_parser = limit)]
    limit: usize,
    /// Print an object a row, as NDJSON, with every column
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum About {
    /// What a merchant took and gave back, by window and currency
    Merchant {
        /// The merchant's id
        id: String,
        /// Alerts about it, in place of what it took
        #[arg(long)]
        alerts: bool,
    },
    /// Alerts about a user
    User {
        /// The user's id
        id: String,
    },
    /// Alerts about anybody
    Alerts,
    /// Views and visitors of a page, by window
    Page {
        /// The page, as shop.example/cart
        page: String,
    },
}

/// More would not fit in memory at ease.
const MAX_LIMIT: usize = 1_000_000;

fn limit(text: &str) -> Result<usize, String> {
    let given = text.parse::<usize>().map_err(|error| error.to_string())?;
    let is_right = (1..=MAX_LIMIT).contains(&given);
    is_right
        .then_some(given)
        .ok_or_else(|| format!("must be from 1 to {MAX_LIMIT}"))
}

/// Columns of each table that a person is shown: the rest are long, or what was asked for.
const LEFT_OUT: [&str; 10] = [
    "merchant_id",
    "day",
    "month",
    "bucket",
    "page",
    "window_end",
    "transaction_ids",
    "rule_set_version",
    "rule_revision",
    "reason_codes",
];

/// Runs the command.
///
/// # Errors
/// The cluster does not answer, or has no such table.
#[allow(clippy::print_stderr, reason = "the command's output")]
pub async fn command(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    let sink = &settings.cassandra_sink;
    let (question, span) = (options.question(), options.span(now_ms())?);
    let session = connect(sink).await?;
    let answer = read::ask(&session, &sink.keyspace, &question, span, options.limit).await?;
    if options.json {
        for row in &answer.rows {
            say!("{}", serde_json::Value::from(read::object(answer.table, row)));
        }
    } else {
        say!("{}", shown(&answer));
    }
    if answer.is_cut {
        let limit = options.limit;
        eprintln!("these are the newest {limit}; --limit shows more, --day others");
    }
    Ok(ExitCode::SUCCESS)
}

impl Options {
    fn question(&self) -> Question {
        match &self.about {
            About::Merchant { id, alerts: false } => Question::Merchant(id.clone()),
            About::Merchant { id, alerts: true } => Question::Alerts(EntityType::Merchant, id.clone()),
            About::User { id } => Question::Alerts(EntityType::User, id.clone()),
            About::Alerts => Question::AllAlerts,
            About::Page { page } => Question::Page(page.clone()),
        }
    }

    fn span(&self, now_ms: i64) -> anyhow::Result<Span> {
        if let Some(day) = self.day {
            return Span::day(day);
        }
        let back_ms = i64::try_from(self.since.as_millis()).context("--since is too long")?;
        // The whole of today: a window that has begun, or was made with a clock ahead, is in it.
        let today = Timestamp::from_millisecond(now_ms)?
            .to_zoned(TimeZone::UTC)
            .date();
        Ok(Span {
            from_ms: now_ms.saturating_sub(back_ms).max(0),
            to_ms: Span::day(today)?.to_ms,
        })
    }
}

fn shown(answer: &Answer) -> Shown {
    let mut shown = Shown::new();
    shown.load_style(presets::ASCII_MARKDOWN);
    let is_shown = |name: &&str| !LEFT_OUT.contains(name);
    let names = answer
        .table
        .columns
        .iter()
        .map(|column| column.name)
        .filter(is_shown);
    let names: Vec<&str> = names.collect();
    shown.set_header(&names);
    for row in &answer.rows {
        let value = |name: &&str| read::value(answer.table, row, name).map_or_else(String::new, read::shown);
        shown.add_row(names.iter().map(value).collect::<Vec<_>>());
    }
    shown
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use jiff::civil::date;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(line: &str) -> Result<Options, clap::Error> {
        Ok(Line::try_parse_from(line.split(' '))?.options)
    }

    #[test]
    fn a_line_is_a_question_with_a_time() {
        let user = options("query user u-1 --day 2026-01-31 --json").unwrap();
        assert_eq!(
            user.question(),
            Question::Alerts(EntityType::User, "u-1".to_owned())
        );
        assert_eq!(user.span(0).unwrap(), Span::day(date(2026, 1, 31)).unwrap());
        let merchant = options("query merchant m-1 --since 1h").unwrap();
        assert_eq!(merchant.question(), Question::Merchant("m-1".to_owned()));
        let noon = Span::day(date(2026, 1, 31)).unwrap().from_ms + 43_200_000;
        let span = merchant.span(noon).unwrap();
        assert_eq!(span.from_ms, noon - 3_600_000);
        assert_eq!(span.to_ms, Span::day(date(2026, 1, 31)).unwrap().to_ms);
        assert_eq!(
            options("query merchant m-1 --alerts").unwrap().question(),
            Question::Alerts(EntityType::Merchant, "m-1".to_owned())
        );
        assert_eq!(
            options("query page /cart").unwrap().question(),
            Question::Page("/cart".to_owned())
        );
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for line in [
            "query",
            "query user",
            "query alerts --day 2026-02-30",
            "query alerts --day 2026-01-31 --since 1h",
            "query alerts --limit 0",
        ] {
            assert!(options(line).is_err(), "{line}");
        }
    }
}
