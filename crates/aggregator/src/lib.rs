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

use millrace_catalog::payments::{AGGREGATE_MERGE, AGGREGATE_PARTIAL, topic};
use millrace_catalog::{Service, stream};
use millrace_service::handover;
use millrace_service::host::{Host, Prepared};
use millrace_service::process::Running;
use millrace_service::windowed::{self, Windowed};
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

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
    let aggregator = &settings.aggregator;
    let host = Host {
        service: Service::Aggregator,
        worker: &aggregator.worker,
        event_time: &aggregator.event_time,
        stream: stream(topic::TRANSACTIONS, settings.rekeys()),
    };
    host.run(&settings, &shutdown, async || {
        let (partial, merge) = prepare(&settings, &shutdown).await?;
        handover::check(&settings, partial::NAME, &shutdown).await?;
        let source = Arc::clone(partial.partitions());
        Ok(Prepared::over(&source).with(partial).with(merge))
    })
    .await
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
        window_ms: aggregator.window_ms,
        allowed_lateness_ms: aggregator.allowed_lateness_ms,
        event_time: &aggregator.event_time,
        early_every_ms: aggregator.emit.every_ms(),
        misplaced_records: aggregator.misplaced_records,
    };
    windowed::prepare(settings, &of, shutdown).await
}
