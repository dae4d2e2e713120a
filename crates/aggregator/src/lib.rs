//! Merchant aggregates over tumbling windows of event time, in two stages, exactly once.
//!
//! [`partial`] adds up each partition of transactions and sends one contribution for each window, merchant and currency,
//! then its watermark; [`merge`] adds the contributions up once every partition has passed the window. Both are jobs on
//! the worker loop of [`millrace_kafka`], around the pure operators of [`millrace_engine::aggregate`].

#![forbid(unsafe_code)]

pub mod merge;
pub mod metrics;
pub mod partial;
pub mod startup;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use millrace_codec::{PartialReader, Registry, SchemaFetcher, TransactionReader};
use millrace_domain::{schema, topic};
use millrace_engine::HashSeed;
use millrace_engine::aggregate::AggregateConfig;
use millrace_kafka::{Job, JobConfig, JobMetrics, JobStatus, run_job, topic_name};
use millrace_settings::Settings;
use millrace_telemetry::{Component, Health, Shutdown};
use tokio::task::JoinSet;

use crate::merge::{MergeJob, MergeParts, MergeTopics};
use crate::metrics::WindowMetrics;
use crate::partial::{PartialJob, PartialTopics};

/// How often readiness is looked at.
const STATUS_INTERVAL: Duration = Duration::from_millis(250);

/// Runs both stages until `shutdown`, then lets them commit what they have. Each stage is a part of readiness.
///
/// # Errors
/// Wrong settings, a port in use, missing topics or schemas, or what ended a worker: a new start goes on from the last
/// commit.
pub async fn run(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    let health = Health::new("aggregator");
    let (first, second) = (health.component(partial::NAME), health.component(merge::NAME));
    let (host, port) = (&settings.telemetry.bind_host, settings.aggregator.metrics_port);
    let _server = millrace_telemetry::serve(host, port, health.clone(), shutdown.clone())?;
    let jobs = tokio::select! {
        jobs = prepare(&settings, &shutdown) => jobs,
        () = shutdown.wait() => return Ok(()),
    };
    if shutdown.is_triggered() {
        return Ok(());
    }
    let (partial, merge) = jobs?;
    let config = job_config(&settings);
    let stop = Arc::new(AtomicBool::new(false));
    let mut running = JoinSet::new();
    // Aborted when it is dropped, at the end of this function.
    let mut watching = JoinSet::new();
    start(partial, config.clone(), first, &stop, &mut running, &mut watching);
    start(merge, config, second, &stop, &mut running, &mut watching);
    let signal = Arc::clone(&stop);
    watching.spawn(async move {
        shutdown.wait().await;
        signal.store(true, Ordering::Relaxed);
    });
    let mut outcome = Ok(());
    while let Some(ended) = running.join_next().await {
        // One stage alone is of no use: whatever ended it, the other stops too.
        stop.store(true, Ordering::Relaxed);
        outcome = outcome.and(ended.context("a job has panicked").and_then(|ended| ended));
    }
    outcome
}

/// Starts a job on a thread of its own, and shows how it is.
fn start<J: Job>(
    job: J,
    config: JobConfig,
    component: Component,
    stop: &Arc<AtomicBool>,
    running: &mut JoinSet<anyhow::Result<()>>,
    watching: &mut JoinSet<()>,
) {
    let (status, stop) = (JobStatus::new(), Arc::clone(stop));
    let watched = status.clone();
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
    running.spawn_blocking(move || {
        let name = job.name().to_owned();
        let ended = run_job(job, config, &status, &stop);
        ended.with_context(|| format!("the job {name} has stopped"))
    });
}

/// Asks the registry and the brokers what the jobs need, and makes them.
async fn prepare(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<(PartialJob, MergeJob)> {
    let name = |topic| topic_name(&settings.kafka, topic);
    let (transactions, partials) = (name(topic::TRANSACTIONS), name(topic::PARTIALS));
    let aggregates = name(topic::AGGREGATES);
    let registry_config = startup::registry_config(&settings.schema_registry);
    let registry = Registry::new(registry_config.clone())?;
    let partial_id = startup::schema_id(&registry, &partials, schema::AGGREGATE_PARTIAL).await?;
    let aggregate_id = startup::schema_id(&registry, &aggregates, schema::MERCHANT_AGGREGATE).await?;
    let (kafka, topics) = (settings.kafka.clone(), (transactions.clone(), partials.clone()));
    let shutdown = shutdown.clone();
    let (source_partitions, partials_partitions) = tokio::task::spawn_blocking(move || {
        let partitions = |topic: &str| startup::partitions(&kafka, topic, &shutdown);
        anyhow::Ok((partitions(&topics.0)?, partitions(&topics.1)?))
    })
    .await??;

    let fetcher = SchemaFetcher::new(registry_config);
    let aggregator = &settings.aggregator;
    let (lateness_ms, event_time) = (aggregator.allowed_lateness_ms, &aggregator.event_time);
    // Whoever knows the seed could make transaction ids that collide; no output depends on it.
    let seed = HashSeed::new(RandomState::new().build_hasher().finish());
    let partial = PartialJob {
        config: AggregateConfig::new(aggregator.window_ms, lateness_ms, event_time.max_disorder_ms)?,
        max_future_ms: event_time.max_future_ms,
        seed,
        topics: PartialTopics {
            input: transactions,
            control: name(topic::AGGREGATES_CONTROL),
            partials: partials.clone(),
            late: name(topic::LATE),
        },
        partials_partitions,
        schema_id: partial_id,
        reader: TransactionReader::new(fetcher.clone()),
        metrics: JobMetrics::of(partial::NAME)?,
        windows: WindowMetrics::of(partial::NAME)?,
    };
    let merge = MergeJob::new(MergeParts {
        source_partitions: usize::try_from(source_partitions)?,
        allowed_lateness_ms: lateness_ms,
        seed,
        topics: MergeTopics {
            input: partials,
            aggregates,
        },
        schema_id: aggregate_id,
        reader: PartialReader::new(fetcher).with_own_schema_id(partial_id),
        windows: WindowMetrics::of(merge::NAME)?,
    })?;
    Ok((partial, merge))
}

/// What both jobs are run with.
fn job_config(settings: &Settings) -> JobConfig {
    JobConfig {
        kafka: settings.kafka.clone(),
        worker: settings.aggregator.worker.clone(),
        snapshots: settings.snapshots.clone(),
        instance: format!("{}-{}", host_name(), settings.aggregator.metrics_port),
        max_disorder_ms: settings.aggregator.event_time.max_disorder_ms,
    }
}

/// The machine's or container's name: two aggregators on one machine differ in their port.
fn host_name() -> String {
    let of_system = || std::fs::read_to_string("/etc/hostname").ok();
    let name = std::env::var("HOSTNAME").ok().or_else(of_system);
    name.map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
