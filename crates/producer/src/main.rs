//! The producer's binary: settings, logs and signals around [`millrace_producer::run`].

use std::process::ExitCode;

use clap::Parser;
use millrace_producer::cli::Cli;
use millrace_service::process;
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

/// Exit code 1 if any record failed or is late unasked, as for an error.
#[tokio::main]
async fn main() -> ExitCode {
    process::exit_code(run(Cli::parse()).await)
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let mut settings = Settings::load(cli.config.as_deref())?;
    let options = cli.apply(&mut settings)?;
    millrace_telemetry::init("producer", &settings.telemetry)?;
    let shutdown = Shutdown::on_signals()?;
    let summary = millrace_producer::run(&settings, options, shutdown).await?;
    Ok(if summary.succeeded() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
