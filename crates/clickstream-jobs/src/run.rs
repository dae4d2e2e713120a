//! The service.

use std::sync::Arc;

use millrace_catalog::Service;
use millrace_catalog::clickstream::{PAGE_VIEWS_MERGE, PAGE_VIEWS_PARTIAL, SESSIONS, topic};
use millrace_engine::keyed::SessionPolicy;
use millrace_runtime::keyed::KeyedJob;
use millrace_runtime::windowed::{MergeJob, PartialJob};
use millrace_service::host::{Host, Prepared};
use millrace_service::keyed::{self, KeyedOf};
use millrace_service::process::Running;
use millrace_service::windowed::{self, Windowed};
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

use crate::{Pages, UserVisits};

/// Runs page views and sessions until `shutdown`, then lets them commit what they have.
///
/// # Errors
/// Wrong settings, a port in use, missing topics or schemas, or what ended a worker: a new start
/// goes on from the last commit.
pub fn run(settings: Settings, shutdown: Shutdown) -> Running<'static, ()> {
    Box::pin(jobs(settings, shutdown))
}

async fn jobs(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    let jobs = settings.clickstream.jobs();
    let host = Host::of_stream(&settings, Service::Clickstream, jobs, topic::CLICKS)?;
    host.run(&settings, &shutdown, async || {
        prepare_to_run(&settings, &shutdown).await
    })
    .await
}

async fn prepare_to_run(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<Prepared> {
    let (partial, merge, sessions) = prepare(settings, shutdown).await?;
    let source = Arc::clone(partial.partitions());
    Ok(Prepared::over(&source).with(partial).with(merge).with(sessions))
}

/// The jobs: both stages of page views, and sessions.
pub type ClickstreamJobs = (PartialJob<Pages>, MergeJob<Pages>, KeyedJob<UserVisits>);

/// Asks the registry and the brokers what the jobs need, and makes them: to run them, or to repeat
/// their logs without Kafka's groups and transactions, which gives what an undisturbed run gives.
///
/// # Errors
/// Wrong settings, a schema or a topic that is missing, brokers that do not answer, or `shutdown`.
pub async fn prepare(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<ClickstreamJobs> {
    let clickstream = &settings.clickstream;
    let pages = Windowed::of_stream(&PAGE_VIEWS_PARTIAL, &PAGE_VIEWS_MERGE, clickstream.jobs());
    let visits = KeyedOf {
        of: UserVisits,
        job: &SESSIONS,
        policy: SessionPolicy::new(
            clickstream.session_gap_ms,
            clickstream.allowed_lateness_ms,
            clickstream.event_time.max_disorder_ms,
        )?,
        event_time: &clickstream.event_time,
        misplaced_records: clickstream.misplaced_records,
    };
    let (partial, merge) = windowed::prepare::<Pages>(settings, &pages, shutdown).await?;
    let sessions = keyed::prepare(settings, visits, shutdown).await?;
    Ok((partial, merge, sessions))
}
