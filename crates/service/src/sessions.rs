//! The job of sessions, as the catalog and the settings have it.

use std::sync::Arc;

use anyhow::Context as _;
use millrace_catalog::JobSpec;
use millrace_engine::keyed::{Fold as _, SessionPolicy};
use millrace_kafka::{SourcePartitions, topic_name};
use millrace_registry::{Registry, SchemaFetcher};
use millrace_runtime::sessions::{OfSessions, SessionJob, SessionParts, SessionTopics};
use millrace_runtime::windowed::WindowMetrics;
use millrace_runtime::{JobMetrics, hash_seed};
use millrace_settings::{EventTime, MisplacedRecords, Settings};
use millrace_telemetry::Shutdown;

use crate::{refusal, registry, topics};

/// What sessions are of: their job, and what is set of it.
#[derive(Debug, Clone, Copy)]
pub struct SessionsOf<'a> {
    /// The job, which writes sessions first.
    pub job: &'a JobSpec,
    /// Without an event for so long, a session is over.
    pub gap_ms: i64,
    /// How long behind the watermark an event may still come.
    pub allowed_lateness_ms: i64,
    /// Which event times are possible, and their disorder.
    pub event_time: &'a EventTime,
    /// What becomes of a record that lies elsewhere than those of its key.
    pub misplaced_records: MisplacedRecords,
}

/// Asks the registry and the brokers what the job needs, and makes it.
///
/// # Errors
/// Wrong settings, a schema or a topic that is missing, brokers that do not answer, or `shutdown`.
pub async fn prepare<S: OfSessions>(
    settings: &Settings,
    of: &SessionsOf<'_>,
    shutdown: &Shutdown,
) -> anyhow::Result<SessionJob<S>> {
    let name = |topic| topic_name(&settings.kafka, topic);
    let written = of.job.writes.first().context("the job writes nothing")?;
    let (input, sessions) = (name(of.job.input), name(written));
    let config = registry::config(&settings.schema_registry);
    let (client, fetcher) = (Registry::new(config.clone())?, SchemaFetcher::new(config));
    let partitions = topics::partition_count(&settings.kafka, &input, shutdown).await?;
    let event_time = of.event_time;
    Ok(SessionJob::new(SessionParts {
        policy: SessionPolicy::new(of.gap_ms, of.allowed_lateness_ms, event_time.max_disorder_ms)?,
        max_future_ms: event_time.max_future_ms,
        earliest_ms: event_time.earliest_time.ms(),
        seed: hash_seed(),
        source: Arc::new(SourcePartitions::new(&settings.kafka, &input, partitions)),
        refusal: refusal(settings, of.job)?,
        misplaced_records: of.misplaced_records,
        schema_id: registry::schema_id(&client, &sessions, topics::schema(written)?).await?,
        reader: registry::reader(&client, &fetcher, &input).await?,
        metrics: JobMetrics::of(S::Fold::NAME)?,
        windows: WindowMetrics::of(S::Fold::NAME)?,
        topics: SessionTopics {
            control: name(of.job.control),
            input,
            sessions,
        },
    }))
}
