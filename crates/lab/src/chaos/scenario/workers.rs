//! Faults of the services' own processes.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::Service;
use millrace_settings::Settings;

use crate::chaos::pipeline::{LIMIT, Pipeline};
use crate::harness::group::Group;
use crate::harness::worker::{Worker, readers, services_beside};
use crate::wait::wait_until;

/// A service of exactly-once jobs, and the groups that are at the head again when it has recovered.
pub(super) type Job = (Service, Vec<Group>);

/// The services of jobs but that of rekeying, and the groups that each carries.
pub(super) fn jobs(settings: &Settings) -> Vec<Job> {
    let of_transactions = [Service::Detector, Service::Aggregator].into_iter();
    let services = of_transactions.chain(services_beside(settings));
    services
        .map(|service| (service, Group::of(service, settings)))
        .collect()
}

/// Beyond the session's timeout, for the brokers to notice.
const SESSION_MARGIN: Duration = Duration::from_secs(2);

/// Each job's only worker dies and is started again at once, as a restart policy does.
pub(super) async fn kill(pipeline: &mut Pipeline, jobs: &[Job]) -> Result<()> {
    for (service, groups) in jobs {
        let (service, worker) = (*service, Worker(*service, 1));
        let before = pipeline.mark();
        pipeline.fleet.kill(worker)?;
        pipeline.fleet.start(worker, &[])?;
        let what = format!("SIGKILL of the {}", service.name());
        pipeline.recovered(what, before, groups, Some(service)).await?;
        pipeline.fleet.ready(worker).await?;
    }
    Ok(())
}

/// Every worker and the sink die at once.
pub(super) async fn kill_all(pipeline: &mut Pipeline) -> Result<()> {
    let before = pipeline.mark();
    let readers = readers(&pipeline.settings);
    for worker in &readers {
        pipeline.fleet.kill(*worker)?;
    }
    for worker in &readers {
        pipeline.fleet.start(*worker, &[])?;
    }
    let groups = pipeline.groups();
    pipeline
        .recovered("SIGKILL of all", before, &groups, Some(Service::Detector))
        .await?;
    for worker in readers {
        pipeline.fleet.ready(worker).await?;
    }
    Ok(())
}

/// Those of all these jobs.
fn groups(jobs: &[Job]) -> Vec<Group> {
    jobs.iter().flat_map(|(_, groups)| groups).copied().collect()
}

/// Starts worker `number` of each job beside those that run, and waits until it has its share.
async fn join(pipeline: &mut Pipeline, jobs: &[Job], number: u8) -> Result<()> {
    let before = pipeline.mark();
    for (service, _) in jobs {
        pipeline.fleet.start(Worker(*service, number), &[])?;
    }
    for (service, _) in jobs {
        pipeline.fleet.ready(Worker(*service, number)).await?;
        has_partitions(pipeline, Worker(*service, number)).await?;
    }
    let what = format!("worker {number} of each job joining");
    pipeline.recovered(what, before, &groups(jobs), None).await?;
    Ok(())
}

/// Stops worker `number` of each job in good order.
async fn leave(pipeline: &mut Pipeline, jobs: &[Job], number: u8) -> Result<()> {
    let before = pipeline.mark();
    for (service, _) in jobs {
        pipeline.fleet.stop(Worker(*service, number)).await?;
    }
    let what = format!("worker {number} of each job leaving");
    pipeline.recovered(what, before, &groups(jobs), None).await?;
    Ok(())
}

async fn has_partitions(pipeline: &Pipeline, worker: Worker) -> Result<()> {
    wait_until(&format!("partitions of {worker}"), LIMIT, || async {
        let assigned = assigned(pipeline, worker).await;
        Ok(assigned.filter(|count| *count > 0.0).map(drop))
    })
    .await
}

/// How many partitions workers 1 and 2 of each job have together.
async fn shares(pipeline: &Pipeline, jobs: &[Job]) -> Vec<(Service, f64)> {
    let mut shares = Vec::new();
    for (service, _) in jobs {
        let mut share = 0.0;
        for number in [1, 2] {
            share += assigned(pipeline, Worker(*service, number)).await.unwrap_or(0.0);
        }
        shares.push((*service, share));
    }
    shares
}

/// Waits until `worker` has so many partitions.
async fn has_share(pipeline: &Pipeline, worker: Worker, share: f64) -> Result<()> {
    wait_until(&format!("{share} partitions of {worker}"), LIMIT, || async {
        let assigned = assigned(pipeline, worker).await;
        Ok(assigned.filter(|count| *count >= share).map(drop))
    })
    .await
}

async fn assigned(pipeline: &Pipeline, worker: Worker) -> Option<f64> {
    pipeline
        .fleet
        .metric(worker, "millrace_assigned_partitions")
        .await
}

/// From one worker of each job to three, and back to one that was not there at first.
pub(super) async fn join_and_leave(pipeline: &mut Pipeline) -> Result<()> {
    let jobs = jobs(&pipeline.settings);
    join(pipeline, &jobs, 2).await?;
    join(pipeline, &jobs, 3).await?;
    leave(pipeline, &jobs, 1).await?;
    leave(pipeline, &jobs, 3).await?;
    // As the others find it.
    join(pipeline, &jobs, 1).await?;
    leave(pipeline, &jobs, 2).await
}

/// One of two workers of each job dies for good: the other one takes its partitions over when the
/// session has ended.
pub(super) async fn lose(pipeline: &mut Pipeline) -> Result<()> {
    let jobs = jobs(&pipeline.settings);
    join(pipeline, &jobs, 2).await?;
    let before = pipeline.mark();
    for (service, _) in &jobs {
        pipeline.fleet.kill(Worker(*service, 2))?;
    }
    let what = "SIGKILL of one of two workers, taken over by the other";
    pipeline
        .recovered(what, before, &groups(&jobs), Some(Service::Detector))
        .await?;
    join(pipeline, &jobs, 2).await?;
    leave(pipeline, &jobs, 2).await
}

/// One of two workers of each job hangs for longer than its session, and then wakes: it must
/// neither commit nor stay outside.
pub(super) async fn pause(pipeline: &mut Pipeline, jobs: &[Job]) -> Result<()> {
    join(pipeline, jobs, 2).await?;
    let groups = groups(jobs);
    let zombies: Vec<_> = jobs.iter().map(|(service, _)| Worker(*service, 2)).collect();
    let shares = shares(pipeline, jobs).await;
    let before = pipeline.mark();
    let paused = SystemTime::now();
    for &zombie in &zombies {
        pipeline.fleet.pause(zombie)?;
    }
    let what = "SIGSTOP of one of two workers, taken over by the other";
    pipeline
        .recovered(what, before, &groups, jobs.first().map(|(service, _)| *service))
        .await?;
    let settings = &pipeline.settings;
    let workers = [
        &settings.detector.worker,
        &settings.aggregator.worker,
        &settings.rekey.worker,
        &settings.clickstream.worker,
        &settings.iot.worker,
        &settings.commerce.worker,
        &settings.incidents.worker,
    ];
    let longest_ms = workers.map(|worker| worker.session_timeout_ms).into_iter().max();
    let session = Duration::from_millis(longest_ms.unwrap_or_default());
    wait_until("the end of the session of those that hang", LIMIT, || async {
        Ok((paused.elapsed()? > session + SESSION_MARGIN).then_some(()))
    })
    .await?;
    // A coordinator that is short of time ends a session late.
    for &(service, share) in &shares {
        has_share(pipeline, Worker(service, 1), share).await?;
    }
    let before = pipeline.mark();
    for &zombie in &zombies {
        pipeline.fleet.resume(zombie)?;
    }
    for &zombie in &zombies {
        let what = format!("{zombie} to notice that it was away");
        let sign = wait_until(&what, LIMIT, || async {
            let log = pipeline.fleet.log(zombie);
            Ok(FENCED.iter().find(|sign| log.contains(**sign)))
        });
        let sign = sign.await?;
        tracing::info!(%zombie, sign, "a worker that hung was fenced");
        // One whose transactional id has been fenced ends, and is started again as any process that
        // ends.
        if let Some(ended) = pipeline.fleet.ended(zombie)? {
            tracing::info!(%zombie, %ended, "it has ended, and is started again");
            pipeline.fleet.start(zombie, &[])?;
        }
    }
    for &zombie in &zombies {
        rejoined(pipeline, zombie).await?;
    }
    pipeline.recovered("SIGCONT", before, &groups, None).await?;
    let before = pipeline.mark();
    for &zombie in &zombies {
        stop_fenced(pipeline, zombie).await?;
    }
    pipeline
        .recovered("the workers that hung leaving", before, &groups, None)
        .await?;
    Ok(())
}

/// Stops a worker that hung. It may end by itself even now: one of its jobs may have rejoined
/// before the other goes on with a transaction that was fenced meanwhile.
async fn stop_fenced(pipeline: &mut Pipeline, zombie: Worker) -> Result<()> {
    let stopped = match pipeline.fleet.ended(zombie)? {
        Some(ended) => Err(ended.into()),
        None => pipeline.fleet.stop(zombie).await,
    };
    match stopped {
        Err(_) if pipeline.fleet.log(zombie).contains(FENCED[0]) => Ok(()),
        other => other,
    }
}

/// How a worker says that it was thrown out while it hung, whatever it learned it by first.
const FENCED: [&str; 4] = [
    "this worker is fenced",
    "partitions were lost",
    "\"lost\":true",
    "the assignment was lost",
];

/// Waits until a worker that was fenced has partitions again; if it ends meanwhile, it is started
/// once more.
async fn rejoined(pipeline: &mut Pipeline, worker: Worker) -> Result<()> {
    for _ in 0..3 {
        match has_partitions_or_ends(pipeline, worker).await? {
            None => return Ok(()),
            Some(ended) => {
                let log = pipeline.fleet.log(worker);
                ensure!(
                    FENCED.iter().any(|sign| log.contains(sign)),
                    "{worker} ended otherwise than by being fenced: {ended}"
                );
                pipeline.fleet.start(worker, &[])?;
            }
        }
    }
    has_partitions(pipeline, worker).await
}

async fn has_partitions_or_ends(pipeline: &mut Pipeline, worker: Worker) -> Result<Option<String>> {
    let fleet = tokio::sync::Mutex::new(&mut pipeline.fleet);
    wait_until(&format!("{worker} back in its group"), LIMIT, || async {
        let mut fleet = fleet.lock().await;
        if let Some(ended) = fleet.ended(worker)? {
            return Ok(Some(Some(ended.to_string())));
        }
        let assigned = fleet.metric(worker, "millrace_assigned_partitions").await;
        Ok(assigned.filter(|count| *count > 0.0).map(|_| None))
    })
    .await
    .with_context(|| format!("after {worker} was resumed"))
}
