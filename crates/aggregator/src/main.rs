//! The aggregator's process.

use std::path::PathBuf;

use clap::Parser;
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

/// Adds transactions up for each merchant, currency and minute, exactly once.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file; without it config/millrace.yml, where there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let settings = Settings::load(arguments.config.as_deref())?;
    millrace_telemetry::init("aggregator", &settings.telemetry)?;
    millrace_aggregator::run(settings, Shutdown::on_signals()?).await
}
