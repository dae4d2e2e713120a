//! The jobs of state by key, as the catalog and the settings have them.

use std::sync::Arc;

use anyhow::Context as _;
use millrace_catalog::JobSpec;
use millrace_engine::keyed::KeyedOperator as _;
use millrace_kafka::{SourcePartitions, topic_name};
use millrace_registry::{Registry, SchemaFetcher};
use millrace_runtime::keyed::{Keyed, KeyedJob, KeyedParts, KeyedTopics, PolicyOf};
use millrace_runtime::windowed::WindowMetrics;
use millrace_runtime::{JobMetrics, hash_seed};
use millrace_settings::{EventTime, MisplacedRecords, Settings};
use millrace_telemetry::Shutdown;

use crate::{refusal, registry, topics};

/// What is kept by key: its job, and what is set of it.
#[derive(Debug, Clone, Copy)]
pub struct KeyedOf<'a, K: Keyed> {
    /// What is kept.
    pub of: K,
    /// The job.
    pub job: &'a JobSpec,
    /// Lateness, disorder, and what else is set of the operator.
    pub policy: PolicyOf<K>,
    /// Which event times are possible.
    pub event_time: &'a EventTime,
    /// What becomes of a record that lies elsewhere than those of its key.
    pub misplaced_records: MisplacedRecords,
}

/// Asks the registry and the brokers what the job needs, and makes it.
///
/// # Errors
/// A schema or a topic that is missing, brokers that do not answer, or `shutdown`.
pub async fn prepare<K: Keyed>(
    settings: &Settings,
    wanted: KeyedOf<'_, K>,
    shutdown: &Shutdown,
) -> anyhow::Result<KeyedJob<K>> {
    let name = |topic| topic_name(&settings.kafka, topic);
    let (job, event_time) = (wanted.job, wanted.event_time);
    let input = name(job.input);
    let config = registry::config(&settings.schema_registry);
    let (client, fetcher) = (Registry::new(config.clone())?, SchemaFetcher::new(config));
    let partitions = topics::partition_count(&settings.kafka, &input, shutdown).await?;
    let mut outputs = Vec::new();
    for written in job.writes {
        let topic = name(written);
        let id = registry::schema_id(&client, &topic, topics::schema(written)?).await?;
        outputs.push((topic, id));
    }
    outputs.first().context("the job writes nothing")?;
    Ok(KeyedJob::new(KeyedParts {
        of: wanted.of,
        policy: wanted.policy,
        max_future_ms: event_time.max_future_ms,
        earliest_ms: event_time.earliest_time.ms(),
        seed: hash_seed(),
        source: Arc::new(SourcePartitions::new(&settings.kafka, &input, partitions)),
        refusal: refusal(settings, job)?,
        misplaced_records: wanted.misplaced_records,
        reader: registry::reader(&client, &fetcher, &input).await?,
        metrics: JobMetrics::of(K::Operator::NAME)?,
        windows: WindowMetrics::of(K::Operator::NAME)?,
        topics: KeyedTopics {
            control: name(job.control),
            input,
            outputs,
        },
    }))
}
