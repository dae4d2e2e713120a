//! `millrace verify`: the command around [`millrace_verify`].

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use millrace_settings::Settings;
use millrace_verify::{Options, Outcome, Report, Verdict};

/// Arguments of the command.
///
/// Compares what the brokers acknowledged to the producers with the topics and Elasticsearch,
/// waiting for windows to close. It ends with 0 where everything is as it must be, 1 where
/// something is lost, doubled or otherwise wrong, and 3 where nothing is known to be wrong but not
/// everything could be compared in time: a window or a run is open, a job is behind, or something
/// could not be read.
#[derive(Debug, Clone, Args)]
pub struct Command {
    /// Longest wait for windows to close and for what is on its way, as 120s
    #[arg(long, default_value = "120s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Let windows that are not closed and runs that have not ended pass, once a window has closed:
    /// for a stream that goes on
    #[arg(long)]
    allow_open: bool,
    /// Leave Elasticsearch out
    #[arg(long)]
    without_elasticsearch: bool,
    /// Run the jobs once more over the whole log, offline, and compare all they wrote, record by
    /// record
    #[arg(long)]
    repeat: bool,
    /// Print JSON in place of a table
    #[arg(long)]
    json: bool,
}

/// Runs the command and prints its report; the exit code says what it came to.
///
/// # Errors
/// The report cannot be written as JSON.
pub async fn command(settings: &Settings, command: &Command) -> anyhow::Result<ExitCode> {
    let options = Options {
        timeout: command.timeout,
        allow_open: command.allow_open,
        without_elasticsearch: command.without_elasticsearch,
        repeat: command.repeat,
        on_wait: tell,
    };
    let report = match millrace_verify::run(settings, &options).await {
        Ok(report) => report,
        Err(error) => {
            // Nothing was compared: that is another status than that of a loss.
            millrace_service::process::report(&error);
            return Ok(Outcome::NotFinished.exit_code());
        }
    };
    if command.json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        say!("{}", report.to_table());
    }
    if report.waits_for_a_run() {
        advise();
    }
    Ok(report.outcome.exit_code())
}

#[allow(clippy::print_stderr, reason = "beside the report, which may be JSON")]
fn advise() {
    eprintln!(
        "a producer goes on, so some window is always open: stop it and verify again, or compare what has closed with \
         --allow-open"
    );
}

#[allow(clippy::print_stderr, reason = "the command's progress")]
fn tell(report: &Report) {
    let missing = report
        .checks
        .iter()
        .filter(|check| matches!(check.verdict, Verdict::Failed | Verdict::Open | Verdict::Unread));
    let names: Vec<_> = missing.map(|check| check.check.as_str()).collect();
    match names.as_slice() {
        [] => {}
        [name] => eprintln!("waiting: {name}"),
        [first, rest @ ..] => eprintln!("waiting: {first}, and {} more", rest.len()),
    }
}
