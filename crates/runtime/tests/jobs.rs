//! The jobs of a process: one is of no use without the others.

use std::time::Duration;

use anyhow::Result;
use millrace_engine::{FrozenState, RestoreError};
use millrace_runtime::{InputRecord, Job, JobConfig, Jobs, Outbox, Task, TaskError};
use millrace_settings::Settings;
use millrace_telemetry::{Health, Shutdown};

/// A broker that nobody is.
const NOBODY: &str = "127.0.0.1:1";

struct Idle(&'static str);

impl Job for Idle {
    type Task = Nothing;

    fn name(&self) -> &str {
        self.0
    }

    fn input_topic(&self) -> &str {
        "nothing"
    }

    fn control_topic(&self) -> Option<&str> {
        None
    }

    fn layout(&self) -> String {
        String::new()
    }

    fn task(&self, _partition: i32) -> Nothing {
        Nothing
    }
}

struct Nothing;

impl Task for Nothing {
    fn process(&mut self, _record: &InputRecord<'_>, _outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        Ok(())
    }

    fn advance(&mut self, _watermark_ms: i64, _outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        Ok(())
    }

    fn watermark_ms(&self) -> Option<i64> {
        None
    }

    fn max_event_time_ms(&self) -> Option<i64> {
        None
    }

    fn open_until_ms(&self) -> Option<i64> {
        None
    }

    fn freeze(&mut self) -> FrozenState {
        FrozenState::new(|_| {})
    }

    fn restore(&mut self, _bytes: &[u8]) -> Result<(), RestoreError> {
        Ok(())
    }
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.kafka.bootstrap_servers = NOBODY.to_owned();
    settings.snapshots.enabled = false;
    settings
}

fn start(jobs: &mut Jobs, settings: &Settings, health: &Health, name: &'static str) -> Result<()> {
    let aggregator = &settings.aggregator;
    // The suite may run twice at once.
    let own = format!("{name}-{}", std::process::id());
    let config = JobConfig {
        kafka: settings.kafka.clone(),
        worker: aggregator.worker.clone(),
        snapshots: settings.snapshots.clone(),
        instance: own,
        instance_key: "worker.instance",
        max_disorder_ms: aggregator.event_time.max_disorder_ms,
        rekeyed_topic: "nothing.keyed".to_owned(),
    };
    jobs.start(Idle(name), config, health.component(name));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_stops_the_others_and_is_named() -> Result<()> {
    let health = Health::new("tester");
    let mut jobs = Jobs::new(Shutdown::new());
    start(&mut jobs, &settings(), &health, "waits")?;
    let mut wrong = settings();
    // No cluster is asked before timeouts are found to contradict each other.
    wrong.aggregator.worker.transaction_timeout_ms = 1;
    start(&mut jobs, &wrong, &health, "wrong")?;
    let ended = tokio::time::timeout(Duration::from_secs(180), jobs.finish()).await?;
    let text = format!("{:#}", ended.unwrap_err());
    assert!(text.contains("the job wrong has stopped"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ready_without_a_cluster_and_a_stop_is_obeyed() -> Result<()> {
    let (health, shutdown) = (Health::new("tester"), Shutdown::new());
    let mut jobs = Jobs::new(shutdown.clone());
    start(&mut jobs, &settings(), &health, "first")?;
    start(&mut jobs, &settings(), &health, "second")?;
    let report = health.report();
    assert!(report.live && !report.ready, "{report:?}");
    shutdown.trigger();
    tokio::time::timeout(Duration::from_secs(180), jobs.finish()).await??;
    assert!(!health.report().ready);
    Ok(())
}
