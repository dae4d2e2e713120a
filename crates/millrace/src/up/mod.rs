//! `millrace up`.

mod addresses;
mod cassandra;
pub mod compose;
mod docker;
mod feed;
mod images;
mod local;
mod plan;
mod ports;
mod reporter;
mod services;
mod streams;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use millrace_producer::replay::{FileFormat, Speed};
use millrace_settings::Settings;
use millrace_stack::Heaps;
use millrace_telemetry::Shutdown;

use crate::state::{DEFAULT_DIR, State};
use feed::Feed;
use reporter::Reporter;
pub(crate) use services::url;
use streams::Stream;

/// How to start, and for how long.
///
/// Without --docker or --local, Docker Compose is used where an engine answers and the images of
/// Kafka, the registry, Elasticsearch and Millrace itself can be had; else everything runs as local
/// processes on 127.0.0.1, for which a JDK 21 or later and Maven are needed.
///
/// Data is kept from one `up` to the next (local: in the state folder; Docker: in volumes), until
/// `millrace down --volumes`. `up --for` starts from nothing each time, in a folder
/// (.millrace/runs/TIME) or Compose project of its own, so that what it verifies is that run alone;
/// its data is removed when the verification has passed.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Use Docker Compose, or fail
    #[arg(long, conflicts_with = "local")]
    docker: bool,
    /// Use local processes
    #[arg(long)]
    local: bool,
    /// Transactions a second; 0 is as fast as it goes
    #[arg(long, value_name = "N")]
    rate: Option<u64>,
    /// The streams to run: payments, clickstream, iot, commerce, incidents, or all; those that the
    /// settings enable run in any case. Not given, all do that there is memory for; with --file or
    /// --no-producer none but the payments
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = streams::parse)]
    streams: Vec<Stream>,
    /// Send this file in place of generated transactions, and then stay; several times for several
    /// files, one after another. Local processes; the topics must have seen no later time, as after
    /// `millrace down --volumes`
    #[arg(long = "file", value_name = "FILE", requires = "mapping", conflicts_with_all = ["docker", "rate", "no_producer"])]
    files: Vec<PathBuf>,
    /// With --file: the mapping from the file's columns to a transaction's fields;
    /// `millrace map FILE` proposes one
    #[arg(long, value_name = "FILE", requires = "files")]
    mapping: Option<PathBuf>,
    /// With --file: csv, ndjson or parquet, if the extension does not say
    #[arg(long, value_name = "FORMAT", requires = "files")]
    file_format: Option<FileFormat>,
    /// With --file: how many times the recorded pace, or max
    #[arg(long, default_value = "max", value_parser = parse_speed)]
    speed: String,
    /// With --file: sort its rows by time first
    #[arg(long, requires = "files")]
    sort: bool,
    /// Start no producer: the transactions are others' (local processes)
    #[arg(long, conflicts_with_all = ["docker", "rate", "duration"])]
    no_producer: bool,
    /// Run so long, as 60s or 5m, or until the files of --file are sent; then stop the producer,
    /// wait for the last windows, verify, stop everything, and exit 0 only if the verification
    /// passed
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// With --for: longest wait for the last windows to close and to be indexed
    #[arg(long, value_name = "TIME", default_value = "180s", value_parser = humantime::parse_duration)]
    drain_timeout: Duration,
    /// Docker: use Millrace's own images as they are where they are there, in place of building
    /// them from these sources
    #[arg(long)]
    no_build: bool,
    /// Local: the state folder
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR)]
    state_dir: PathBuf,
    /// Local: the folder of fetched programs; MILLRACE_CACHE if not given
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

/// A speed as the replay takes it.
fn parse_speed(text: &str) -> Result<String, String> {
    text.parse::<Speed>().map(|_| text.to_owned())
}

/// Starts everything and stays until Ctrl-C (a second one ends at once), SIGTERM, or the end of
/// `--for`.
///
/// # Errors
/// A part does not start, or dies and cannot be started again.
pub async fn command(mut settings: Settings, options: Options) -> anyhow::Result<ExitCode> {
    let configured = settings.clone();
    if let Some(rate) = options.rate {
        settings.producer.rate_per_s = rate;
    }
    let feed = Feed::of(&options)?;
    let reporter = Arc::new(Reporter::new());
    let memory_mib = millrace_stack::memory_beside_mib(&Heaps::default());
    if let Some(told) = streams::enable(&mut settings, &options.streams, &feed, memory_mib) {
        reporter.line(&told);
    }
    settings.validate()?;
    let shutdown = Shutdown::on_signals()?;
    let state = State::new(options.state_dir.clone());
    let _claim = state.claim()?;
    if !options.local && feed == Feed::Generator {
        match plan::make(&options, &reporter, &shutdown).await? {
            plan::Choice::Use(plan) => {
                return docker::run(&configured, &settings, &options, *plan, &reporter, &shutdown).await;
            }
            plan::Choice::Stopped => return Ok(ExitCode::FAILURE),
            plan::Choice::Cannot(reason) if options.docker => {
                anyhow::bail!("{reason}; without --docker, local processes are used")
            }
            plan::Choice::Cannot(reason) => reporter.line(&format!("using local processes: {reason}")),
        }
    }
    local::run(settings, &options, feed, &state, &reporter, &shutdown).await
}

/// Prints a verification's report and says how `up --for` ends.
fn conclude(reporter: &Reporter, report: &millrace_verify::Report) -> ExitCode {
    reporter.clear();
    reporter.print(&report.to_table().to_string());
    report.outcome.exit_code()
}

/// What woke a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wake {
    /// The time of `--for` is over.
    TimeIsUp,
    /// Ctrl-C or SIGTERM.
    Asked,
}
