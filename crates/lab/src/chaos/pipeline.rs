//! A pipeline under load, to do faults to and to judge at the end.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use millrace_catalog::Service;
use millrace_settings::Settings;
use millrace_verify::repeat::{self, anomalies};
use millrace_verify::{self as verify, progress};

use super::cluster::Cluster;
use super::outcome::{Judgement, Recovery};
use super::transactions;
use crate::harness::apart::prepare;
use crate::harness::fleet::Fleet;
use crate::harness::group::{Group, streams_beside};
use crate::harness::monitor::{Mark, Monitor};
use crate::harness::processor::Busy;
use crate::harness::program::Program;
use crate::harness::worker::{PRODUCER, REKEY, Worker, readers};
use crate::wait::wait_until;

/// Longest wait for one condition.
pub const LIMIT: Duration = Duration::from_secs(300);
/// Time between two looks for services that have ended.
const SUPERVISION: Duration = Duration::from_secs(3);
/// Longest wait for the last transaction to end: more than a transaction may take.
const TRANSACTIONS_LIMIT: Duration = Duration::from_secs(60);

/// A pipeline under load.
pub struct Pipeline {
    /// The settings of every service.
    pub settings: Settings,
    /// The services.
    pub fleet: Fleet,
    /// The servers.
    pub cluster: Arc<dyn Cluster>,
    /// What the groups have read.
    pub monitor: Monitor,
    /// The time to recover from each thing that was done so far.
    pub recoveries: Vec<Recovery>,
}

impl Pipeline {
    /// Runs `init`, starts every service with one process each, and waits until the stream flows.
    /// Topics, groups and indices must be new: give the settings a prefix of their own. The monitor
    /// looks at each `interval`, as exactly as times to recover are wanted.
    ///
    /// # Errors
    /// A part does not start.
    pub async fn start(
        settings: &Settings,
        cluster: Arc<dyn Cluster>,
        program: Program,
        folder: &Path,
        interval: Duration,
    ) -> Result<Self> {
        let mut fleet = prepare(settings, program, folder).await?;
        let mut readers = readers(settings);
        readers.extend(settings.rekeys().then_some(REKEY));
        for worker in &readers {
            fleet.start(*worker, &[])?;
        }
        for worker in readers {
            fleet.ready(worker).await?;
        }
        fleet.start(PRODUCER, &[])?;
        let pipeline = Self {
            settings: settings.clone(),
            fleet,
            cluster,
            monitor: Monitor::start(settings, interval)?,
            recoveries: Vec::new(),
        };
        let flowing = i64::try_from(settings.producer.rate_per_s)?.max(1) * 5;
        pipeline.monitor.flows(flowing, LIMIT).await?;
        Ok(pipeline)
    }

    /// Lets the stream flow for this time.
    ///
    /// # Errors
    /// The detector falls far behind: the rate is more than the machine can do.
    pub async fn warm_up(&self, time: Duration) -> Result<()> {
        let records = self.settings.producer.rate_per_s.max(1) * time.as_secs().max(1);
        let (records, limit) = (i64::try_from(records)?, time + LIMIT);
        self.monitor.advanced(Group::Detect, records, limit).await
    }

    /// The groups that are at the head where nothing is wrong.
    #[must_use]
    pub fn groups(&self) -> Vec<Group> {
        Group::all(&self.settings)
    }

    /// The state just before a fault, and what the machine has worked so far.
    #[must_use]
    pub fn mark(&self) -> (Mark, Option<Busy>) {
        (self.monitor.mark(), Busy::now())
    }

    /// Waits until `groups` are back at the head, and notes how long that took since the mark, and
    /// since partitions were assigned to a worker of `service`.
    ///
    /// # Errors
    /// They are not within the limit.
    pub async fn recovered(
        &mut self,
        what: impl Into<String>,
        (mark, busy): (Mark, Option<Busy>),
        groups: &[Group],
        service: Option<Service>,
    ) -> Result<SystemTime> {
        let what = what.into();
        let (deadline, mut restarts) = (Instant::now() + LIMIT, 0);
        let at = loop {
            match self.monitor.recovered(&mark, groups, SUPERVISION).await {
                Ok(at) => break at,
                Err(error) if Instant::now() > deadline => {
                    return Err(error).with_context(|| format!("after {what}"));
                }
                Err(_) => restarts += self.fleet.restart_ended()?,
            }
        };
        let assigned = service.and_then(|service| self.fleet.last_assigned(service, mark.at, at));
        let since = |from: SystemTime| at.duration_since(from).unwrap_or_default().as_secs_f64();
        let worker_cpu_s = match service {
            Some(service) => {
                let name = "process_cpu_seconds_total";
                self.fleet.metric(Worker(service, 1), name).await
            }
            None => None,
        };
        self.recoveries.push(Recovery {
            what,
            from_fault_s: since(mark.at),
            from_assigned_s: assigned.map(since),
            worker_cpu_s,
            restarts,
            machine_busy_share: busy.and_then(|before| before.share_until(Busy::now()?)),
        });
        Ok(at)
    }

    /// Waits until the detector has read all that was sent; and where transactions are rekeyed or
    /// others flow beside them, every job.
    async fn worked_off(&self) -> Result<()> {
        let is_plain = !self.settings.rekeys() && streams_beside(&self.settings).next().is_none();
        let first = match self.settings.rekeys() {
            true => Group::Rekey,
            false => Group::Detect,
        };
        self.monitor.drained(first, LIMIT).await?;
        if is_plain {
            return Ok(());
        }
        // A log that a job has written ends with markers of transactions, which are never committed
        // as read: only its records tell whether a group is at its end.
        wait_until("every job to have read all there is", LIMIT, || async {
            let settings = self.settings.clone();
            let behind = tokio::task::spawn_blocking(move || progress::jobs_behind(&settings)).await??;
            Ok(behind.is_empty().then_some(()))
        })
        .await
    }

    /// Stops the stream, waits until everything is worked off, and judges it; then stops the
    /// services.
    ///
    /// # Errors
    /// Something could not be read or does not stop in good order. A wrong figure is no error: see
    /// [`Judgement::passed`].
    pub async fn finish(mut self) -> Result<(Judgement, Vec<Recovery>)> {
        self.fleet.stop(PRODUCER).await?;
        self.worked_off().await?;
        let options = verify::Options {
            timeout: LIMIT,
            ..verify::Options::default()
        };
        let report = verify::run(&self.settings, &options).await?;
        let judgement = Judgement {
            anomalies: anomalies::compare(&self.settings).await?,
            outputs: repeat::compare(&self.settings).await?,
            lingering_transactions: transactions::lingering(&self.settings, TRANSACTIONS_LIMIT).await?,
            verification: report,
        };
        self.fleet.stop_all().await?;
        Ok((judgement, self.recoveries))
    }
}
