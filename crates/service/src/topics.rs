//! What services must know of topics before they start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use millrace_catalog::{controls, topic_spec};
use millrace_kafka::SourcePartitions;
use millrace_kafka::admin::{self, Extended};
use millrace_kafka::client::admin_config;
use millrace_settings::{Kafka, Settings};
use millrace_telemetry::Shutdown;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

/// How long one attempt to describe a topic may take: a stop waits that long at most.
const METADATA_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the brokers may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The number of a topic's partitions. Waits, for brokers that are still starting too, until
/// `shutdown`.
///
/// # Errors
/// The topic does not exist, no broker answers in a minute, or `shutdown`.
pub async fn partition_count(kafka: &Kafka, topic: &str, shutdown: &Shutdown) -> anyhow::Result<i32> {
    let (kafka, topic, shutdown) = (kafka.clone(), topic.to_owned(), shutdown.clone());
    tokio::task::spawn_blocking(move || partitions(&kafka, &topic, &shutdown)).await?
}

/// The schema that the catalog has for the values of a topic, by its name before any prefix.
///
/// # Errors
/// It has none.
pub(crate) fn schema(topic: &str) -> anyhow::Result<&'static str> {
    let schema = topic_spec(topic).and_then(|spec| spec.value_schema);
    schema.with_context(|| format!("the catalog has no schema of {topic}"))
}

/// Gives the control topics the partitions that were added to what their jobs read.
///
/// # Errors
/// The cluster does not answer, or refuses: with what somebody has to do who may.
pub async fn extend_controls(settings: &Settings) -> anyhow::Result<()> {
    let (kafka, controls) = (settings.kafka.clone(), controls(settings.installation()));
    let extend = move || admin::extend_controls(&kafka, &controls);
    for extended in tokio::task::spawn_blocking(extend).await?? {
        let Extended {
            topic,
            from,
            to,
            input,
        } = extended;
        tracing::warn!(
            topic,
            from,
            to,
            input,
            "the control topic has got the partitions of its job's input"
        );
    }
    Ok(())
}

/// Whether the source has got more partitions than jobs that have `ended` were prepared for: they
/// are to be prepared anew then, whatever they ended with. Their error is told here in that case.
///
/// # Errors
/// None but of this process.
pub async fn have_grown(source: Arc<SourcePartitions>, ended: &anyhow::Result<()>) -> anyhow::Result<bool> {
    let looked = Arc::clone(&source);
    tokio::task::spawn_blocking(move || looked.look()).await?;
    if !source.have_grown() {
        return Ok(false);
    }
    let (before, partitions) = (source.at_start(), source.known());
    match ended {
        Ok(()) => tracing::warn!(before, partitions, "goes on with the partitions that were added"),
        Err(error) => tracing::warn!(
            before,
            partitions,
            error = format!("{error:#}"),
            "goes on with the partitions that were added"
        ),
    }
    Ok(true)
}

/// The number of a topic's partitions. Blocks, for brokers that are still starting too, until
/// `shutdown`.
///
/// # Errors
/// The topic does not exist, no broker answers in a minute, or `shutdown`.
fn partitions(kafka: &Kafka, topic: &str, shutdown: &Shutdown) -> anyhow::Result<i32> {
    let client: BaseConsumer = admin_config(kafka)?.create()?;
    let started = Instant::now();
    let metadata = loop {
        match client.fetch_metadata(Some(topic), METADATA_TIMEOUT) {
            Ok(metadata) => break metadata,
            Err(error) if shutdown.is_triggered() || started.elapsed() >= START_TIMEOUT => {
                let brokers = &kafka.bootstrap_servers;
                return Err(error).context(format!("no broker of {brokers} described the topic {topic}"));
            }
            Err(error) => tracing::warn!(%error, topic, "no broker answers; trying again"),
        }
    };
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let count = found.map_or(0, |topic| topic.partitions().len());
    if count == 0 {
        bail!("the topic {topic} does not exist: `millrace init` must run first");
    }
    Ok(i32::try_from(count)?)
}
