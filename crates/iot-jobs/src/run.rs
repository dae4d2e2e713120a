//! The service.

use std::sync::Arc;

use millrace_catalog::Service;
use millrace_catalog::iot::{DEVICE_ALERTS, MINUTES_MERGE, MINUTES_PARTIAL, topic};
use millrace_engine::keyed::OrderedPolicy;
use millrace_runtime::keyed::KeyedJob;
use millrace_runtime::windowed::{MergeJob, PartialJob};
use millrace_service::host::{Host, Prepared};
use millrace_service::keyed::{self, KeyedOf};
use millrace_service::process::Running;
use millrace_service::windowed::{self, Windowed};
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

use crate::{AlertMetrics, Alerts, Minutes};

/// Runs device minutes and alerts until `shutdown`, then lets them commit what they have.
///
/// # Errors
/// Wrong settings, a port in use, missing topics or schemas, or what ended a worker: a new start
/// goes on from the last commit.
pub fn run(settings: Settings, shutdown: Shutdown) -> Running<'static, ()> {
    Box::pin(jobs(settings, shutdown))
}

async fn jobs(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    let jobs = settings.iot.jobs();
    let host = Host::of_stream(&settings, Service::Iot, jobs, topic::READINGS)?;
    host.run(&settings, &shutdown, async || {
        let (partial, merge, alerts) = prepare(&settings, &shutdown).await?;
        let source = Arc::clone(partial.partitions());
        Ok(Prepared::over(&source).with(partial).with(merge).with(alerts))
    })
    .await
}

/// The jobs: both stages of device minutes, and alerts.
pub type IotJobs = (PartialJob<Minutes>, MergeJob<Minutes>, KeyedJob<Alerts>);

/// Asks the registry and the brokers what the jobs need, and makes them: to run them, or to repeat
/// their logs without Kafka's groups and transactions, which gives what an undisturbed run gives.
///
/// # Errors
/// Wrong settings, a schema or a topic that is missing, brokers that do not answer, or `shutdown`.
pub async fn prepare(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<IotJobs> {
    let iot = &settings.iot;
    let minutes = Windowed::of_stream(&MINUTES_PARTIAL, &MINUTES_MERGE, iot.jobs());
    let limits = iot.alerts.limits()?;
    limits.check()?;
    let alerts = KeyedOf {
        of: Alerts {
            metrics: AlertMetrics::register()?,
        },
        job: &DEVICE_ALERTS,
        policy: OrderedPolicy::new(iot.allowed_lateness_ms, iot.event_time.max_disorder_ms, limits)?,
        event_time: &iot.event_time,
        misplaced_records: iot.misplaced_records,
    };
    let (partial, merge) = windowed::prepare::<Minutes>(settings, &minutes, shutdown).await?;
    let alerts = keyed::prepare(settings, alerts, shutdown).await?;
    Ok((partial, merge, alerts))
}
