//! Merchant aggregates over tumbling windows of event time, in two stages, exactly once.
//!
//! [`partial`] adds up each partition of transactions and sends one contribution for each window,
//! merchant and currency, then its watermark; [`merge`] adds the contributions up once every
//! partition has passed the window. Both are the jobs of [`millrace_runtime::windowed`];
//! [`Merchants`] says how their records are read and written.

#![forbid(unsafe_code)]

mod merchants;
pub mod merge;
pub mod partial;

use std::sync::Arc;

use millrace_catalog::Service;
use millrace_catalog::payments::{AGGREGATE_MERGE, AGGREGATE_PARTIAL, topic};
use millrace_runtime::{Jobs, check_settings};
use millrace_service::process::Running;
use millrace_service::windowed::{self, Windowed};
use millrace_service::{Instance, handover, job_config, source, topics};
use millrace_settings::Settings;
use millrace_telemetry::{Health, Shutdown};

pub use crate::merchants::Merchants;
use crate::merge::MergeJob;
use crate::partial::PartialJob;

/// Runs both stages until `shutdown`, then lets them commit what they have. Each stage is a part of
/// readiness.
///
/// # Errors
/// Wrong settings, a port in use, missing topics or schemas, or what ended a worker: a new start
/// goes on from the last commit.
pub fn run(settings: Settings, shutdown: Shutdown) -> Running<'static, ()> {
    Box::pin(both_stages(settings, shutdown))
}

async fn both_stages(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    let health = Health::new(Service::Aggregator.name());
    let (first, second) = (health.component(partial::NAME), health.component(merge::NAME));
    let aggregator = &settings.aggregator;
    check_settings(&settings, &aggregator.worker)?;
    let (host, port) = (&settings.telemetry.bind_host, aggregator.metrics_port);
    let server = millrace_telemetry::serve(host, port, health.clone(), shutdown.clone())?;
    let instance = Instance::claim(
        &settings.kafka,
        Service::Aggregator.name(),
        "aggregator.worker.instance",
        aggregator.worker.instance.as_deref(),
        server.address().port(),
    )?;
    source::warn_of_create_time(&settings.kafka, &source::transactions_topic(&settings));
    let config = job_config(&settings, &aggregator.worker, &aggregator.event_time, &instance);
    loop {
        let prepared = tokio::select! {
            prepared = prepare_to_run(&settings, &shutdown) => prepared,
            () = shutdown.wait() => return Ok(()),
        };
        if shutdown.is_triggered() {
            return Ok(());
        }
        let (partial, merge) = prepared?;
        let source = Arc::clone(partial.partitions());
        let mut jobs = Jobs::new(shutdown.clone());
        jobs.start(partial, config.clone(), first.clone());
        jobs.start(merge, config.clone(), second.clone());
        let ended = jobs.finish().await;
        if shutdown.is_triggered() || !topics::have_grown(source, &ended).await? {
            return ended;
        }
    }
}

/// Prepares the jobs for the partitions that there are, and the control topics too.
async fn prepare_to_run(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<(PartialJob, MergeJob)> {
    let jobs = prepare(settings, shutdown).await?;
    handover::check(settings, partial::NAME, shutdown).await?;
    topics::extend_controls(settings).await?;
    Ok(jobs)
}

/// Asks the registry and the brokers what the jobs need, and makes them: to run them, or to repeat
/// their logs without Kafka's groups and transactions, which gives what an undisturbed run gives.
///
/// # Errors
/// Wrong settings, a schema or a topic that is missing, brokers that do not answer, or `shutdown`.
pub async fn prepare(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<(PartialJob, MergeJob)> {
    let aggregator = &settings.aggregator;
    let of = Windowed {
        partial: &AGGREGATE_PARTIAL,
        merge: &AGGREGATE_MERGE,
        late: topic::LATE,
        window_ms: aggregator.window_ms,
        allowed_lateness_ms: aggregator.allowed_lateness_ms,
        event_time: &aggregator.event_time,
        early_every_ms: aggregator.emit.every_ms(),
        misplaced_records: aggregator.misplaced_records,
    };
    windowed::prepare(settings, &of, shutdown).await
}
