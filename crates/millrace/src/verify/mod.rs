//! `millrace verify`: compares what the producer's brokers acknowledged with what came out, counts, and sums to the cent.
//!
//! Per window and currency, the acknowledged transactions must equal those in the aggregates plus those that came late (but for
//! late copies of what is in the aggregates); no aggregate or anomaly may be there twice; each malformed record must be a dead letter of each service; and
//! Elasticsearch must hold what the topics hold. [`compare`] says so without I/O; the other modules fetch the figures.

pub mod compare;
pub mod elastic;
mod late;
pub mod ledger;
pub mod report;
pub mod topics;
pub mod totals;

pub(crate) mod log;
mod rows;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use millrace_domain::topic;
use millrace_kafka::topic_name;
use millrace_settings::Settings;

pub use report::{Check, Counts, Report, Verdict};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// What a verification does beside comparing.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Longest wait for windows to close and for what is on its way, as 120s
    #[arg(long, default_value = "120s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Let windows that are not closed and runs that have not ended pass
    #[arg(long)]
    pub allow_open: bool,
    /// Leave Elasticsearch out
    #[arg(long)]
    pub without_elasticsearch: bool,
    /// Called with each report that is not the last, about once a second.
    #[arg(skip = nothing as fn(&Report))]
    pub on_wait: fn(&Report),
}

fn nothing(_report: &Report) {}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            allow_open: false,
            without_elasticsearch: false,
            on_wait: nothing,
        }
    }
}

/// Arguments of the command.
#[derive(Debug, Clone, Args)]
pub struct Command {
    /// How it is done.
    #[command(flatten)]
    pub options: Options,
    /// Print JSON in place of a table
    #[arg(long)]
    pub json: bool,
}

/// Compares until everything passes, nothing can get better, or the timeout is over.
///
/// # Errors
/// Something could not be read; that says nothing about the figures.
pub async fn run(settings: &Settings, options: &Options) -> anyhow::Result<Report> {
    let deadline = Instant::now() + options.timeout;
    let index = match options.without_elasticsearch {
        true => None,
        false => Some(elastic::Index::new(settings)?),
    };
    let opening = settings.clone();
    let mut topics = tokio::task::spawn_blocking(move || topics::Topics::open(&opening)).await??;
    loop {
        // Before the topics, from which it is fed: so it never seems to hold more than they do.
        let indexed = match &index {
            None => None,
            Some(index) => match index.look().await {
                Ok(indexed) => Some(indexed),
                // An index just made has no shard to search for a moment, and a server may be on its way back.
                Err(error) if Instant::now() < deadline => {
                    tracing::warn!("Elasticsearch is asked again: {error:#}");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            },
        };
        let looked = settings.clone();
        let (back, expected, observed) = tokio::task::spawn_blocking(move || {
            let transactions = topic_name(&looked.kafka, topic::TRANSACTIONS);
            let folder = &looked.producer.ledger_dir;
            let expected = ledger::read(folder, &transactions, looked.aggregator.window_ms);
            let observed = topics.observe();
            (topics, expected, observed)
        })
        .await?;
        topics = back;
        let (expected, observed) = (expected?, observed?);
        let checks = compare::compare(&expected, &observed, indexed.as_ref());
        let report = Report {
            counts: compare::counts(&expected, &observed),
            ..Report::of(checks, options.allow_open)
        };
        if report.passed || !report.may_change() || Instant::now() >= deadline {
            return Ok(report);
        }
        (options.on_wait)(&report);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Runs the command and prints its report; the exit code says whether it passed.
///
/// # Errors
/// As for [`run`].
#[allow(clippy::print_stdout, reason = "the command's output")]
pub async fn command(settings: &Settings, command: &Command) -> anyhow::Result<ExitCode> {
    let options = Options {
        on_wait: tell,
        ..command.options.clone()
    };
    let report = run(settings, &options).await?;
    if command.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", report.to_table());
    }
    Ok(if report.passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[allow(clippy::print_stderr, reason = "the command's progress")]
fn tell(report: &Report) {
    let missing = report
        .checks
        .iter()
        .filter(|check| matches!(check.verdict, Verdict::Failed | Verdict::Open));
    let names: Vec<_> = missing.map(|check| check.check.as_str()).collect();
    if let [first, rest @ ..] = names.as_slice() {
        eprintln!("waiting: {first}, and {} more checks", rest.len());
    }
}
