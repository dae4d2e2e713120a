//! The detector's process.

use std::path::PathBuf;

use clap::Parser;
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

/// Raises an alert for each fraud pattern in a user's transactions, exactly once.
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
    millrace_telemetry::init("detector", &settings.telemetry)?;
    millrace_detector::run(settings, Shutdown::on_signals()?).await
}
