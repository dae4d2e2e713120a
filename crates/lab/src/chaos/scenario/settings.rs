//! Settings that change over existing state.

use std::sync::Arc;

use anyhow::Result;
use millrace_catalog::Service;
use millrace_runtime::Job;
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

use crate::chaos::pipeline::{LIMIT, Pipeline};
use crate::harness::group::Group;
use crate::harness::worker::Worker;
use crate::wait::wait_until;
use millrace_verify::repeat::offline;

/// How a worker ends before it is started with other settings.
#[derive(Debug, Clone, Copy)]
enum End {
    Killed,
    Stopped,
}

/// Each job's only worker is killed and started again with other settings; then it is stopped in
/// good order, and started with those of before.
pub(super) async fn change(pipeline: &mut Pipeline) -> Result<()> {
    let before = pipeline.settings.clone();
    restart(pipeline, End::Killed, &changed(&before)).await?;
    restart(pipeline, End::Stopped, &before).await
}

/// Another window, later records taken, less disorder waited for, and lower thresholds.
fn changed(before: &Settings) -> Settings {
    let mut settings = before.clone();
    let (aggregator, detector) = (&mut settings.aggregator, &mut settings.detector);
    aggregator.window_ms = 4_000;
    aggregator.allowed_lateness_ms += 2_000;
    aggregator.event_time.max_disorder_ms /= 5;
    detector.event_time.max_disorder_ms /= 5;
    detector.dedup_horizon_ms /= 2;
    detector.rules.velocity.max_count = (detector.rules.velocity.max_count / 2).max(1);
    detector.rules.amount_outlier.max_z_score /= 2.0;
    settings
}

async fn restart(pipeline: &mut Pipeline, end: End, settings: &Settings) -> Result<()> {
    settings.validate()?;
    pipeline.fleet.set(settings);
    for service in [Service::Detector, Service::Aggregator] {
        let groups = Group::of(service, settings);
        let worker = Worker(service, 1);
        let before = pipeline.mark();
        match end {
            End::Killed => pipeline.fleet.kill(worker)?,
            End::Stopped => pipeline.fleet.stop(worker).await?,
        }
        pipeline.fleet.start(worker, &[])?;
        let what = match end {
            End::Killed => format!("SIGKILL of the {} and other settings", service.name()),
            End::Stopped => format!("restart of the {} with its old settings", service.name()),
        };
        pipeline.recovered(what, before, &groups, Some(service)).await?;
        pipeline.fleet.ready(worker).await?;
    }
    let shutdown = Shutdown::new();
    let (partial, merge) = millrace_aggregator::prepare(settings, &shutdown).await?;
    let detect = millrace_detector::prepare(settings, &shutdown).await?;
    has_policy(settings, partial).await?;
    has_policy(settings, merge).await?;
    has_policy(settings, detect).await
}

/// Waits until every partition of a job has its policy, by the control topic: each was given one at
/// the first start.
async fn has_policy(settings: &Settings, job: impl Job) -> Result<()> {
    let job = Arc::new(job);
    let what = format!("the new policy of {} in every partition", job.name());
    wait_until(&what, LIMIT, || async {
        let (kafka, job) = (settings.kafka.clone(), Arc::clone(&job));
        let look = move || {
            let wanted = job.policy();
            let events = offline::events(&kafka, &*job)?;
            let has_it = events.policies().all(|policy| policy == Some(wanted.as_str()));
            anyhow::Ok(has_it.then_some(()))
        };
        tokio::task::spawn_blocking(look).await?
    })
    .await
}
