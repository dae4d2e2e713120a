//! Faults of the services' own processes.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};

use crate::chaos::bench::{Bench, LIMIT, READERS};
use crate::chaos::fleet::Worker;
use crate::chaos::monitor::Group;
use crate::up::Service;
use crate::wait::wait_until;

/// The two services of the exactly-once jobs, and the groups that each carries.
const JOBS: [(Service, &[Group]); 2] = [
    (Service::Detector, &[Group::Detect]),
    (Service::Aggregator, &[Group::Partial, Group::Merge]),
];
/// Beyond the session's timeout, for the brokers to notice.
const SESSION_MARGIN: Duration = Duration::from_secs(2);

/// Each job's only worker dies and is started again at once, as a restart policy does.
pub(super) async fn kill(bench: &mut Bench) -> Result<()> {
    for (service, groups) in JOBS {
        let worker = Worker(service, 1);
        let before = bench.mark();
        bench.fleet.kill(worker)?;
        bench.fleet.start(worker, &[])?;
        let what = format!("SIGKILL of the {}", service.name());
        bench.recovered(what, before, groups, Some(service)).await?;
        bench.fleet.ready(worker).await?;
    }
    Ok(())
}

/// Every worker and the sink die at once.
pub(super) async fn kill_all(bench: &mut Bench) -> Result<()> {
    let before = bench.mark();
    for worker in READERS {
        bench.fleet.kill(worker)?;
    }
    for worker in READERS {
        bench.fleet.start(worker, &[])?;
    }
    bench
        .recovered("SIGKILL of all", before, &Group::ALL, Some(Service::Detector))
        .await?;
    for worker in READERS {
        bench.fleet.ready(worker).await?;
    }
    Ok(())
}

/// Starts worker `number` of each job beside those that run, and waits until it has its share.
async fn join(bench: &mut Bench, number: u8) -> Result<()> {
    let before = bench.mark();
    for (service, _) in JOBS {
        bench.fleet.start(Worker(service, number), &[])?;
    }
    for (service, _) in JOBS {
        bench.fleet.ready(Worker(service, number)).await?;
        has_partitions(bench, Worker(service, number)).await?;
    }
    let what = format!("worker {number} of each job joining");
    bench.recovered(what, before, &Group::JOBS, None).await?;
    Ok(())
}

/// Stops worker `number` of each job in good order.
async fn leave(bench: &mut Bench, number: u8) -> Result<()> {
    let before = bench.mark();
    for (service, _) in JOBS {
        bench.fleet.stop(Worker(service, number)).await?;
    }
    let what = format!("worker {number} of each job leaving");
    bench.recovered(what, before, &Group::JOBS, None).await?;
    Ok(())
}

async fn has_partitions(bench: &Bench, worker: Worker) -> Result<()> {
    wait_until(&format!("partitions of {worker}"), LIMIT, || async {
        let assigned = bench.fleet.metric(worker, "millrace_assigned_partitions").await;
        Ok(assigned.filter(|count| *count > 0.0).map(drop))
    })
    .await
}

/// From one worker of each job to three, and back to one that was not there at first.
pub(super) async fn join_and_leave(bench: &mut Bench) -> Result<()> {
    join(bench, 2).await?;
    join(bench, 3).await?;
    leave(bench, 1).await?;
    leave(bench, 3).await?;
    // As the others find it.
    join(bench, 1).await?;
    leave(bench, 2).await
}

/// One of two workers of each job dies for good: the other one takes its partitions over when the session has ended.
pub(super) async fn lose(bench: &mut Bench) -> Result<()> {
    join(bench, 2).await?;
    let before = bench.mark();
    for (service, _) in JOBS {
        bench.fleet.kill(Worker(service, 2))?;
    }
    let what = "SIGKILL of one of two workers, taken over by the other";
    bench
        .recovered(what, before, &Group::JOBS, Some(Service::Detector))
        .await?;
    join(bench, 2).await?;
    leave(bench, 2).await
}

/// One of two workers of each job hangs for longer than its session, and then wakes: it must neither commit nor stay
/// outside.
pub(super) async fn pause(bench: &mut Bench) -> Result<()> {
    join(bench, 2).await?;
    let zombies = JOBS.map(|(service, _)| Worker(service, 2));
    let before = bench.mark();
    let paused = SystemTime::now();
    for zombie in zombies {
        bench.fleet.pause(zombie)?;
    }
    let what = "SIGSTOP of one of two workers, taken over by the other";
    bench
        .recovered(what, before, &Group::JOBS, Some(Service::Detector))
        .await?;
    let session = Duration::from_millis(
        bench
            .settings
            .detector
            .worker
            .session_timeout_ms
            .max(bench.settings.aggregator.worker.session_timeout_ms),
    );
    wait_until("the end of the session of those that hang", LIMIT, || async {
        Ok((paused.elapsed()? > session + SESSION_MARGIN).then_some(()))
    })
    .await?;
    let before = bench.mark();
    for zombie in zombies {
        bench.fleet.resume(zombie)?;
    }
    for zombie in zombies {
        let what = format!("{zombie} to notice that it was away");
        let sign = wait_until(&what, LIMIT, || async {
            let log = bench.fleet.log(zombie);
            Ok(FENCED.iter().find(|sign| log.contains(**sign)))
        });
        let sign = sign.await?;
        tracing::info!(%zombie, sign, "a worker that hung was fenced");
        // One whose transactional id has been fenced ends, and is started again as any process that ends.
        if let Some(ended) = bench.fleet.ended(zombie)? {
            tracing::info!(%zombie, %ended, "it has ended, and is started again");
            bench.fleet.start(zombie, &[])?;
        }
    }
    for zombie in zombies {
        rejoined(bench, zombie).await?;
    }
    bench.recovered("SIGCONT", before, &Group::JOBS, None).await?;
    let before = bench.mark();
    for zombie in zombies {
        stop_fenced(bench, zombie).await?;
    }
    bench
        .recovered("the workers that hung leaving", before, &Group::JOBS, None)
        .await?;
    Ok(())
}

/// Stops a worker that hung. It may end by itself even now: one of its jobs may have rejoined before the other goes on
/// with a transaction that was fenced meanwhile.
async fn stop_fenced(bench: &mut Bench, zombie: Worker) -> Result<()> {
    let stopped = match bench.fleet.ended(zombie)? {
        Some(ended) => Err(ended.into()),
        None => bench.fleet.stop(zombie).await,
    };
    match stopped {
        Err(_) if bench.fleet.log(zombie).contains(FENCED[0]) => Ok(()),
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

/// Waits until a worker that was fenced has partitions again; if it ends meanwhile, it is started once more.
async fn rejoined(bench: &mut Bench, worker: Worker) -> Result<()> {
    for _ in 0..3 {
        match has_partitions_or_ends(bench, worker).await? {
            None => return Ok(()),
            Some(ended) => {
                let log = bench.fleet.log(worker);
                ensure!(
                    FENCED.iter().any(|sign| log.contains(sign)),
                    "{worker} ended otherwise than by being fenced: {ended}"
                );
                bench.fleet.start(worker, &[])?;
            }
        }
    }
    has_partitions(bench, worker).await
}

async fn has_partitions_or_ends(bench: &mut Bench, worker: Worker) -> Result<Option<String>> {
    let fleet = tokio::sync::Mutex::new(&mut bench.fleet);
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
