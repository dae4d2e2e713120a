//! `millrace evaluate FILE --mapping M --labels COLUMN`: how good rules are, over files of
//! transactions that say which are fraud.

mod collect;
mod labels;
mod print;
mod report;

use std::process::ExitCode;

use clap::Args;
use millrace_producer::replay::parse_time;
use millrace_settings::Settings;

pub(crate) use self::collect::Collected;
pub(crate) use self::labels::Labels;
pub(crate) use self::report::{Measure, Report};
use crate::detect::Input;

/// Which files, by which rules, and what is measured.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    input: Input,
    /// The column that says whether a transaction is fraud (1 or 0, true or false, yes or no); the
    /// mapping must not read it
    #[arg(long, value_name = "COLUMN")]
    labels: String,
    /// A column with the kind of fraud: recall is told for each of its values
    #[arg(long, value_name = "COLUMN")]
    scenarios: Option<String>,
    /// Measure from this time on, as 2018-04-21T00:00:00Z; what is before it warms the features up
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<i64>,
    /// Measure what is before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<i64>,
    /// Leave out users who have a fraud before --since: somebody knows of them already
    #[arg(long, requires = "since")]
    remove_known_users: bool,
    /// Users that are looked into on a day, for card precision
    #[arg(long, value_name = "K", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    top_k: u32,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

/// Prints what was measured.
///
/// # Errors
/// The rules are wrong, the files cannot be read, a label is none, or nothing is left to measure.
pub fn command(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    let report = measure(settings, options)?;
    if options.json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        say!("{}", print::shown(&report));
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(settings: &Settings, options: &Options) -> anyhow::Result<Report> {
    // The rules and the files first: what is wrong there is said before the labels are read.
    let (transactions, judge) = options.input.open(settings)?;
    let labels = Labels::read(&options.input, &options.labels, options.scenarios.as_deref())?;
    let collected = collect::collect(transactions, judge, &labels, options.until)?;
    let measure = Measure {
        labels: &options.labels,
        since_ms: options.since,
        remove_known_users: options.remove_known_users,
        top_k: options.top_k,
    };
    Report::new(&collected, &labels, &measure)
}

#[cfg(test)]
mod tests;
