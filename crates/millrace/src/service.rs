//! `millrace service NAME`: one service in this process. `up` starts its children so, from the one
//! binary.

use std::io::Read as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use millrace_producer::cli::Cli as ProducerCli;
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

/// Which service.
#[derive(Debug, Args)]
pub struct Options {
    /// End at once when standard input ends, as it does when the parent process is gone
    #[arg(long, hide = true)]
    exit_with_parent: bool,
    #[command(subcommand)]
    service: Service,
}

#[derive(Debug, Subcommand)]
enum Service {
    /// Generate transactions, or replay a file
    Producer(Box<ProducerCli>),
    /// Aggregate per merchant and window
    Aggregator,
    /// Detect fraud and anomalies
    Detector,
    /// Index into Elasticsearch
    ElasticSink,
    /// Put each transaction into its user's partition, where misplaced_records is rekey
    Rekey,
    /// Take records over HTTP
    Gateway,
    /// Count page views and make sessions
    Clickstream,
    /// Write transactions, aggregates and anomalies to the lake as Parquet
    LakeSink,
    /// Write aggregates, anomalies and page views to Cassandra
    CassandraSink,
}

impl Service {
    fn name(&self) -> &'static str {
        let service = match self {
            Self::Producer(_) => millrace_catalog::Service::Producer,
            Self::Aggregator => millrace_catalog::Service::Aggregator,
            Self::Detector => millrace_catalog::Service::Detector,
            Self::ElasticSink => millrace_catalog::Service::ElasticSink,
            Self::Rekey => millrace_catalog::Service::Rekey,
            Self::Gateway => millrace_catalog::Service::Gateway,
            Self::Clickstream => millrace_catalog::Service::Clickstream,
            Self::LakeSink => millrace_catalog::Service::LakeSink,
            Self::CassandraSink => millrace_catalog::Service::CassandraSink,
        };
        service.name()
    }
}

/// Runs the service until SIGTERM or SIGINT.
///
/// # Errors
/// As of the service.
pub async fn command(mut settings: Settings, options: Options) -> anyhow::Result<ExitCode> {
    millrace_telemetry::init(options.service.name(), &settings.telemetry)?;
    let shutdown = Shutdown::on_signals()?;
    if options.exit_with_parent {
        std::thread::Builder::new()
            .name("parent-guard".to_owned())
            .spawn(exit_with_parent)?;
    }
    match options.service {
        Service::Producer(arguments) => {
            let plan = arguments.apply(&mut settings)?;
            let summary = millrace_producer::run(&settings, plan, shutdown).await?;
            tracing::info!(%summary, "done");
            return Ok(if summary.succeeded() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        Service::Aggregator => millrace_aggregator::run(settings, shutdown).await?,
        Service::Detector => millrace_detector::run(settings, shutdown).await?,
        Service::ElasticSink => millrace_elastic_sink::run(settings, shutdown).await?,
        Service::Rekey => millrace_rekey::run(settings, shutdown).await?,
        Service::Gateway => millrace_gateway::run(settings, shutdown).await?,
        Service::Clickstream => millrace_clickstream_jobs::run(settings, shutdown).await?,
        Service::LakeSink => millrace_lake_sink::run(settings, shutdown).await?,
        Service::CassandraSink => millrace_cassandra_sink::run(settings, shutdown).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Blocks until standard input ends. The brokers end with the parent too, so there is nothing to
/// drain into; a service that ends at any point goes on from its last commit.
fn exit_with_parent() {
    let mut buffer = [0; 64];
    while std::io::stdin().read(&mut buffer).is_ok_and(|read| read > 0) {}
    tracing::error!("the parent process is gone: exiting at once");
    std::process::exit(143);
}
