//! Fraud and anomaly detection, exactly once.
//!
//! One job, [`job::NAME`], reads the transactions and writes anomalies: [`job`] is the edge around the pure operator of
//! [`millrace_fraud`], on the worker loop of [`millrace_kafka`].

#![forbid(unsafe_code)]

pub mod job;
pub mod metrics;
pub mod rules;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use millrace_codec::{Registry, RegistryConfig, SchemaFetcher, TransactionReader};
use millrace_domain::{schema, topic};
use millrace_engine::HashSeed;
use millrace_fraud::DetectOperator;
use millrace_kafka::{JobConfig, JobMetrics, JobStatus, run_job, topic_name};
use millrace_settings::{SchemaRegistry, Settings};
use millrace_telemetry::{Health, Shutdown};
use tokio::task::JoinSet;

use crate::job::{DetectJob, DetectParts};
use crate::metrics::DetectMetrics;

/// How often readiness is looked at.
const STATUS_INTERVAL: Duration = Duration::from_millis(250);

/// Runs the detector until `shutdown`, then lets it commit what it has.
///
/// # Errors
/// Wrong settings, a port in use, missing topics or schemas, or what ended a worker: a new start goes on from the last
/// commit.
pub async fn run(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    let health = Health::new("detector");
    let component = health.component(job::NAME);
    let (host, port) = (&settings.telemetry.bind_host, settings.detector.metrics_port);
    let _server = millrace_telemetry::serve(host, port, health.clone(), shutdown.clone())?;
    let job = tokio::select! {
        job = prepare(&settings) => job?,
        () = shutdown.wait() => return Ok(()),
    };
    let config = job_config(&settings);
    let (status, stop) = (JobStatus::new(), Arc::new(AtomicBool::new(false)));
    // Aborted when it is dropped, at the end of this function.
    let mut watching = JoinSet::new();
    let (watched, signal) = (status.clone(), Arc::clone(&stop));
    watching.spawn(async move {
        let mut interval = tokio::time::interval(STATUS_INTERVAL);
        loop {
            interval.tick().await;
            if watched.is_ready() {
                component.ready();
            } else {
                component.not_ready("waiting for partitions or restoring them");
            }
        }
    });
    watching.spawn(async move {
        shutdown.wait().await;
        signal.store(true, Ordering::Relaxed);
    });
    let ended = tokio::task::spawn_blocking(move || run_job(job, config, &status, &stop)).await;
    ended
        .context("the job has panicked")?
        .with_context(|| format!("the job {} has stopped", job::NAME))
}

/// Asks the registry what the job needs, and makes it.
async fn prepare(settings: &Settings) -> anyhow::Result<DetectJob> {
    let detect = rules::settings(&settings.detector)?;
    let anomalies = topic_name(&settings.kafka, topic::ANOMALIES);
    let registry_config = registry_config(&settings.schema_registry);
    let registry = Registry::new(registry_config.clone())?;
    // Whoever knows the seed could make ids that collide; no output depends on it.
    let seed = HashSeed::new(RandomState::new().build_hasher().finish());
    Ok(DetectJob::new(DetectParts {
        operator: DetectOperator::new(&detect, seed)?,
        fingerprint: detect.fingerprint(),
        max_future_ms: settings.detector.event_time.max_future_ms,
        input: topic_name(&settings.kafka, topic::TRANSACTIONS),
        schema_id: anomaly_schema_id(&registry, &anomalies).await?,
        anomalies,
        reader: TransactionReader::new(SchemaFetcher::new(registry_config)),
        job: JobMetrics::of(job::NAME)?,
        metrics: DetectMetrics::new(job::NAME)?,
    }))
}

/// The id of the anomaly's schema. The newest version of the subject need not be ours: registering gives the id that our
/// version has, and changes nothing where it is there.
async fn anomaly_schema_id(registry: &Registry, anomalies: &str) -> anyhow::Result<u32> {
    let subject = format!("{anomalies}-value");
    if registry.latest(&subject).await?.is_none() {
        bail!(
            "the schema registry at {} has no subject {subject}: `millrace init` must run first",
            registry.url()
        );
    }
    Ok(registry.register(&subject, schema::ANOMALY).await?)
}

fn registry_config(settings: &SchemaRegistry) -> RegistryConfig {
    RegistryConfig {
        url: settings.url.clone(),
        username: settings.username.clone(),
        password: settings.password.clone(),
        timeout_ms: settings.timeout_ms,
    }
}

fn job_config(settings: &Settings) -> JobConfig {
    JobConfig {
        kafka: settings.kafka.clone(),
        worker: settings.detector.worker.clone(),
        snapshots: settings.snapshots.clone(),
        instance: format!("{}-{}", host_name(), settings.detector.metrics_port),
        max_disorder_ms: settings.detector.event_time.max_disorder_ms,
    }
}

/// The machine's or container's name: two detectors on one machine differ in their port.
fn host_name() -> String {
    let of_system = || std::fs::read_to_string("/etc/hostname").ok();
    let name = std::env::var("HOSTNAME").ok().or_else(of_system);
    name.map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
