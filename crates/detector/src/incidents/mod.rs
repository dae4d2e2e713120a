//! Incidents: alerts in, one growing incident of each user and kind of fraud out, exactly once.
//!
//! A service of its own: what it costs (a group, transactions, a document for each alert) is no
//! part of the payments pipeline, and an installation without it has none of that.

mod feedback_topic;
mod job;
mod live;
mod metrics;
mod record;

use std::fs;
use std::sync::Arc;

use anyhow::Context as _;
use millrace_catalog::Service;
use millrace_catalog::incidents::{INCIDENTS, topic};
use millrace_catalog::payments::topic::ANOMALIES;
use millrace_domain::schema;
use millrace_incidents::{IncidentPolicy, IncidentSettings};
use millrace_kafka::{SourcePartitions, topic_name};
use millrace_registry::{Registry, SchemaFetcher};
use millrace_runtime::JobMetrics;
use millrace_service::host::{Host, Prepared, check_enabled};
use millrace_service::process::Running;
use millrace_service::{refusal, registry, topics};
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

pub use self::feedback_topic::FeedbackTopic;
use self::feedback_topic::Followed;
pub use self::job::{IncidentJob, IncidentParts};
pub use self::live::LivePolicy;
pub use self::metrics::IncidentMetrics;
pub use self::record::record;

/// Runs the service until `shutdown`, then lets it commit what it has.
///
/// # Errors
/// Wrong settings, a port in use, missing topics or schemas, or what ended a worker: a new start
/// goes on from the last commit.
pub fn run(settings: Settings, shutdown: Shutdown) -> Running<'static, ()> {
    Box::pin(incidents(settings, shutdown))
}

async fn incidents(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    check_enabled(&settings, Service::Incidents)?;
    let host = Host {
        service: Service::Incidents,
        worker: &settings.incidents.worker,
        event_time: &settings.detector.event_time,
        stream: ANOMALIES,
    };
    let kafka = &settings.kafka;
    let anomalies = topic_name(kafka, ANOMALIES);
    host.run(&settings, &shutdown, async || {
        let partitions = topics::partition_count(kafka, &anomalies, &shutdown).await?;
        let source = Arc::new(SourcePartitions::new(kafka, &anomalies, partitions));
        let job = prepare(&settings).await?;
        let verdicts = Followed::open(&settings).await?;
        job.live().set_verdicts(verdicts.newest().verdicts());
        // It ends when the job has ended.
        let follower = verdicts.start(Arc::clone(job.live()), job.metrics().clone());
        Ok(Prepared::over(&source).with(job).beside(follower))
    })
    .await
}

/// Asks the registry what the job needs, and makes it: to run it, or to repeat its log without
/// Kafka's groups and transactions, which gives what an undisturbed run gives.
///
/// # Errors
/// A wrong file of typologies, or a schema that is missing.
pub async fn prepare(settings: &Settings) -> anyhow::Result<IncidentJob> {
    let name = |topic| topic_name(&settings.kafka, topic);
    let config = registry::config(&settings.schema_registry);
    let (client, fetcher) = (Registry::new(config.clone())?, SchemaFetcher::new(config));
    let (input, incidents) = (name(ANOMALIES), name(topic::INCIDENTS));
    Ok(IncidentJob::new(IncidentParts {
        policy: Arc::new(LivePolicy::new(policy(settings)?)),
        control: name(INCIDENTS.control),
        refusal: refusal(settings, &INCIDENTS)?,
        schema_id: registry::schema_id(&client, &incidents, schema::INCIDENT).await?,
        incidents,
        reader: registry::reader(&client, &fetcher, &input).await?,
        input,
        job: JobMetrics::of(INCIDENTS.name)?,
        metrics: IncidentMetrics::new()?,
    }))
}

/// The typologies of the settings' file, or those that are shipped.
fn policy(settings: &Settings) -> anyhow::Result<IncidentPolicy> {
    let max_disorder_ms = settings.detector.event_time.max_disorder_ms;
    let shipped = IncidentSettings::shipped(max_disorder_ms);
    let of = match &settings.incidents.typologies {
        None => shipped,
        Some(path) => IncidentSettings {
            typologies: fs::read_to_string(path).with_context(|| format!("incidents.typologies: {path}"))?,
            ..shipped
        },
    };
    IncidentPolicy::new(of).context("incidents.typologies")
}
