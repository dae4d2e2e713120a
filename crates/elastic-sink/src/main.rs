//! The Elasticsearch sink's process.

use std::path::PathBuf;

use clap::Parser;
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

/// Writes transactions, aggregates and anomalies to Elasticsearch.
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
    millrace_telemetry::init("elastic-sink", &settings.telemetry)?;
    millrace_elastic_sink::run(settings, Shutdown::on_signals()?).await
}
