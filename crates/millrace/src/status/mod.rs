//! `millrace status`.

mod kafka;
mod services;
mod table;

use std::process::ExitCode;

use clap::Args;
use millrace_settings::Settings;
use serde::Serialize;

use kafka::KafkaState;
use services::{Part, Watermark};

/// How to show it.
#[derive(Debug, Args)]
pub struct Options {
    /// Print JSON in place of tables
    #[arg(long)]
    json: bool,
}

/// Everything that is shown.
#[derive(Debug, Serialize)]
struct Status {
    /// Whether everything that the pipeline needs is ready.
    ready: bool,
    /// Kafka, the registry, Elasticsearch and the services; optional parts where they answer.
    parts: Vec<Part>,
    /// What the brokers say; absent where none answers.
    kafka: Option<KafkaState>,
    /// How far event time has come, by operator.
    watermarks: Vec<Watermark>,
}

/// Shows services, topics, consumer lag and watermarks. Exits 0 where all that the pipeline needs
/// is ready.
///
/// # Errors
/// None by what is down: that is what it shows.
pub async fn command(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    let (looked, asked) = tokio::join!(kafka::look(settings), services::look(settings));
    let (mut parts, watermarks) = asked?;
    let (kafka_part, kafka) = match looked {
        Ok(state) => (state.part(settings), Some(state)),
        Err(error) => (
            Part::down("Kafka", &settings.kafka.bootstrap_servers, format!("{error:#}")),
            None,
        ),
    };
    parts.insert(0, kafka_part);
    let ready = parts.iter().all(|part| part.ready || part.optional);
    let status = Status {
        ready,
        parts,
        kafka,
        watermarks,
    };
    if options.json {
        say!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        say!("{}", table::render(&status));
    }
    Ok(if status.ready {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
