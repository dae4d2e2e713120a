//! Runs the jobs of a process until it is told to stop.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use millrace_engine::HashSeed;
use millrace_telemetry::{Component, Shutdown};
use tokio::task::JoinSet;

use crate::{Job, JobConfig, JobStatus, run_job};

/// How often readiness is looked at.
const STATUS_INTERVAL: Duration = Duration::from_millis(250);

/// The jobs of a process. One alone is of no use: when one ends, in whatever way, the others are
/// stopped.
pub struct Jobs {
    stop: Arc<AtomicBool>,
    running: JoinSet<anyhow::Result<()>>,
    /// Aborted when it is dropped.
    watching: JoinSet<()>,
}

impl Jobs {
    /// No job yet; those that are started stop at `shutdown`.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let signal = Arc::clone(&stop);
        let mut watching = JoinSet::new();
        watching.spawn(async move {
            shutdown.wait().await;
            signal.store(true, Ordering::Relaxed);
        });
        Self {
            stop,
            running: JoinSet::new(),
            watching,
        }
    }

    /// Starts a job on a thread of its own, and shows by `component` whether it is ready.
    pub fn start<J: Job>(&mut self, job: J, config: JobConfig, component: Component) {
        let (status, stop) = (JobStatus::new(), Arc::clone(&self.stop));
        let watched = status.clone();
        self.watching.spawn(async move {
            let mut interval = tokio::time::interval(STATUS_INTERVAL);
            loop {
                interval.tick().await;
                match watched.problem() {
                    Some(problem) => component.not_ready(problem),
                    None if watched.is_ready() => component.ready(),
                    None => component.not_ready("waiting for partitions or restoring them"),
                }
            }
        });
        self.running.spawn_blocking(move || {
            let name = job.name().to_owned();
            let ended = run_job(job, config, &status, &stop);
            ended.with_context(|| format!("the job {name} has stopped"))
        });
    }

    /// Waits for the end of all.
    ///
    /// # Errors
    /// What ended the first that failed: a new start goes on from the last commit.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        while let Some(ended) = self.running.join_next().await {
            self.stop.store(true, Ordering::Relaxed);
            outcome = outcome.and(ended.context("a job has panicked").and_then(|ended| ended));
        }
        outcome
    }
}

/// A seed of the operators' hash tables for this process. Whoever knows it could make ids that
/// collide; no output depends on it.
#[must_use]
pub fn hash_seed() -> HashSeed {
    HashSeed::new(RandomState::new().build_hasher().finish())
}
