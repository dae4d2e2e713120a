//! The command: its own stack, one fault after another, a table at the end.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum as _};
use millrace_catalog::PIPELINES;
use millrace_settings::{MisplacedRecords, Settings};
use millrace_stack::LocalStack;
use millrace_telemetry::Shutdown;
use tokio::sync::Mutex;

use super::cluster::Cluster as _;
use super::fault::Fault;
use super::outcome::{Outcome, table};
use super::pipeline::Pipeline;
use super::{hasten, scenario};
use crate::harness;
use crate::harness::apart::{connect, set_apart};
use crate::harness::monitor::OFTEN;
use crate::harness::program::Program;
use crate::harness::stack::tell;
use millrace::state::{DEFAULT_DIR, State};

/// Longest time for one fault, from the start of its services to their end.
const FAULT_LIMIT: Duration = Duration::from_secs(15 * 60);

/// What to try.
///
/// Starts a stack of its own on free ports (Kafka 3+3, registry, Elasticsearch; a JDK 21 or later
/// and Maven are needed), beside whatever runs already, and a new pipeline under load for each
/// fault. Exits 0 only if after every fault the sums are equal to the cent, all that the jobs have
/// written is what an undisturbed run writes, and no transaction is left open. Windows, sessions
/// and timeouts are shorter than the defaults.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The faults, in this order
    #[arg(
        long = "fault",
        value_enum,
        value_delimiter = ',',
        required_unless_present = "all"
    )]
    faults: Vec<Fault>,
    /// Every fault
    #[arg(long, conflicts_with = "faults")]
    all: bool,
    /// What flows: payments, and streams beside it, each as `init` would make it
    #[arg(
        long,
        value_name = "STREAM",
        value_delimiter = ',',
        default_value = PIPELINES[0].name,
        value_parser = PossibleValuesParser::new(PIPELINES.iter().map(|pipeline| pipeline.name)),
    )]
    streams: Vec<String>,
    /// Transactions a second
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(100..))]
    rate: u64,
    /// Users of the generated stream, each with a profile in the detector's state; the
    /// configuration's if not given
    #[arg(long, value_name = "N")]
    users: Option<u32>,
    /// How long the stream runs before the fault, at least, as 30s: state grows meanwhile
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    warm_up: Duration,
    /// Print JSON in place of a table
    #[arg(long)]
    json: bool,
    /// The state folder: the data is in a folder of its own below it, and goes when every fault has
    /// passed
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR)]
    state_dir: PathBuf,
    /// The folder of fetched programs; MILLRACE_CACHE if not given
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

/// Runs the faults and prints what they came to.
///
/// # Errors
/// The stack does not start. A fault that fails is a row of the table and the exit code.
#[allow(clippy::print_stdout, reason = "the command's output")]
pub async fn command(settings: Settings, options: Options) -> Result<ExitCode> {
    let shutdown = Shutdown::on_signals()?;
    let state = State::new(options.state_dir.clone()).for_run()?;
    let stack = tokio::select! {
        stack = harness::stack::start(&state, options.cache_dir.as_deref()) => Arc::new(Mutex::new(stack?)),
        () = shutdown.wait() => return Ok(ExitCode::FAILURE),
    };
    let faults = match options.all {
        true => Fault::value_variants(),
        false => &options.faults,
    };
    let mut outcomes = Vec::new();
    for fault in faults {
        tell(&format!("{fault}: {}", fault.describe()));
        let started = Instant::now();
        let tried = tokio::select! {
            tried = tokio::time::timeout(FAULT_LIMIT, try_fault(*fault, &settings, &options, &stack, &state)) => tried,
            () = shutdown.wait() => break,
        };
        let limit = || format!("not over after {} s", FAULT_LIMIT.as_secs());
        let tried = tried.with_context(limit).and_then(|tried| tried);
        let mut outcome = tried.unwrap_or_else(|error| Outcome::failed(*fault, &error));
        outcome.seconds = started.elapsed().as_secs_f64();
        tell(&outcome.to_string());
        outcomes.push(outcome);
        stack.mend().await?;
    }
    let whole = !shutdown.is_triggered();
    tell("stopping the stack");
    // Every task that held it has ended.
    if let Some(stack) = Arc::into_inner(stack) {
        stack.into_inner().stop().await?;
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&outcomes)?);
    } else {
        println!("{}", table(&outcomes));
    }
    if whole && outcomes.iter().all(|outcome| outcome.passed) {
        state.remove()?;
        return Ok(ExitCode::SUCCESS);
    }
    tell(&format!("data and logs are in {}", state.root().display()));
    Ok(ExitCode::FAILURE)
}

async fn try_fault(
    fault: Fault,
    settings: &Settings,
    options: &Options,
    stack: &Arc<Mutex<LocalStack>>,
    state: &State,
) -> Result<Outcome> {
    let folder = std::path::absolute(state.root().join(fault.to_string()))?;
    let mut settings = settings.clone();
    set_apart(&mut settings, &format!("{fault}-"), &folder)?;
    hasten(&mut settings);
    let misplaced_records = match fault.rekeys() {
        true => MisplacedRecords::Rekey,
        // Its producer's records lie right: there is nothing to rekey.
        false => MisplacedRecords::Count,
    };
    settings.aggregator.misplaced_records = misplaced_records;
    settings.detector.misplaced_records = misplaced_records;
    for pipeline in PIPELINES
        .iter()
        .filter(|it| options.streams.iter().any(|name| name == it.name))
    {
        if let Some(service) = pipeline.enabled_by {
            settings.enable(service);
        }
    }
    connect(&mut settings, &*stack.lock().await);
    settings.producer.rate_per_s = options.rate;
    settings.producer.users = options.users.unwrap_or(settings.producer.users);
    settings.validate()?;
    let program = Program::this()?;
    let mut pipeline = Pipeline::start(&settings, stack.clone(), program, &folder, OFTEN).await?;
    pipeline.warm_up(options.warm_up).await?;
    tell(&format!("{fault}: the stream flows"));
    scenario::apply(fault, &mut pipeline).await?;
    tell(&format!("{fault}: recovered; stopping the stream, and comparing"));
    let (judgement, recoveries) = pipeline.finish().await?;
    Ok(Outcome::of(fault, judgement, recoveries))
}
