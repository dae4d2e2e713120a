//! From the parsed command line to the command.

use std::process::ExitCode;

use clap::Parser as _;
use millrace_service::process;
use millrace_settings::{LogFormat, Settings};
use tokio::runtime::Runtime;

use crate::cli::{Cli, Command};
use crate::{
    alerts, detect, dlq, dotenv, down, evaluate, explain, health, init, lab, lake, lists, map, query, rules,
    running, service, status, up, verify,
};

/// Runs the command of this process's arguments; returns the status to exit with.
#[must_use]
pub fn main() -> ExitCode {
    run(command(Cli::parse()))
}

/// Runs a command to its end; returns the status to exit with, and reports an error.
pub fn run(command: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    let outcome = Runtime::new()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(command));
    outcome.unwrap_or_else(|error| {
        process::report(&error);
        ExitCode::FAILURE
    })
}

async fn command(cli: Cli) -> anyhow::Result<ExitCode> {
    // A broken configuration must keep nobody from stopping or asking.
    let command = match cli.command {
        Command::Chaos(given) => match lab::command("chaos", cli.config.as_deref(), &given)? {},
        Command::Bench(given) => match lab::command("bench", cli.config.as_deref(), &given)? {},
        Command::Down(options) => return down::command(&options).await,
        Command::Health(options) => return health::command(&options).await,
        Command::Map(options) => return map::command(&options),
        Command::Rules(options) => return rules::command(cli.config.as_deref(), &options).await,
        other => other,
    };
    let mut settings = Settings::load(cli.config.as_deref())?;
    if !matches!(command, Command::Service(_)) {
        log_for_a_person(&settings)?;
    }
    if matches!(
        command,
        Command::Status(_) | Command::Verify(_) | Command::Alerts(_) | Command::Dlq(_)
    ) {
        running::enable(&mut settings).await?;
    }
    match command {
        Command::Up(options) => up::command(settings, options).await,
        Command::Status(options) => status::command(&settings, &options).await,
        Command::Init(options) => init::command(&settings, &options).await,
        Command::Verify(options) => verify::command(&settings, &options).await,
        Command::Dlq(options) => dlq::command(&settings, &options).await,
        Command::Lake(options) => lake::command(&settings, &options).await,
        Command::Query(options) => query::command(&settings, &options).await,
        Command::Lists(options) => lists::command(&settings, &options).await,
        Command::Alerts(options) => alerts::command(&settings, &options).await,
        Command::Explain(options) => explain::command(&settings, &options).await,
        Command::Detect(options) => detect::command(&settings, &options),
        Command::Evaluate(options) => evaluate::command(&settings, &options),
        Command::Env(options) => dotenv::command(&settings, &options),
        Command::Service(options) => Ok(process::exit_code(service::command(settings, options).await)),
        Command::Down(_)
        | Command::Health(_)
        | Command::Map(_)
        | Command::Rules(_)
        | Command::Chaos(_)
        | Command::Bench(_) => Ok(ExitCode::SUCCESS),
    }
}

/// Warnings as text: the commands print what they have to say themselves. librdkafka's own warnings
/// repeat what the commands' errors say, once for each broker and second.
///
/// # Errors
/// A log was set up before.
pub fn log_for_a_person(settings: &Settings) -> anyhow::Result<()> {
    let mut telemetry = settings.telemetry.clone();
    telemetry.log_level = "warn,librdkafka=off,rdkafka=off".to_owned();
    telemetry.log_format = LogFormat::Text;
    Ok(millrace_telemetry::init("millrace", &telemetry)?)
}
