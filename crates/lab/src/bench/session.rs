//! The stack that the lines run against, and what each line starts on it.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::topics;
use millrace_kafka::admin::delete_topics;
use millrace_settings::{MisplacedRecords, Settings};
use millrace_stack::{LocalStack, Node};

use super::command::Options;
use super::usage::Watch;
use crate::harness;
use crate::harness::apart::{connect, prepare, set_apart};
use crate::harness::fleet::Fleet;
use crate::harness::program::Program;
use crate::harness::worker::{PRODUCER, Worker};
use crate::wait::wait_until;
use millrace::state::State;

/// Huge pages for the services' memory, as docs/benchmarks.md recommends where they have a machine
/// to themselves.
const MALLOC_CONF: (&str, &str) = ("MALLOC_CONF", "thp:always,metadata_thp:auto");
/// The name under which the six Kafka nodes are added up.
pub(super) const CLUSTER: &str = "kafka (six nodes)";
/// Elasticsearch.
pub(super) const ELASTICSEARCH: &str = "elasticsearch";

/// A running stack.
pub(super) struct Session {
    stack: LocalStack,
    root: PathBuf,
    settings: Settings,
    options: Options,
}

impl Session {
    /// Starts the stack on free ports.
    pub(super) async fn start(settings: &Settings, options: &Options, state: &State) -> Result<Self> {
        Ok(Self {
            stack: harness::stack::start(state, options.cache_dir.as_deref()).await?,
            root: std::path::absolute(state.root())?,
            settings: settings.clone(),
            options: options.clone(),
        })
    }

    /// Stops the stack.
    pub(super) async fn stop(self) -> Result<()> {
        Ok(self.stack.stop().await?)
    }

    /// The settings of a pipeline of its own, whose names begin with `name`.
    pub(super) fn settings(&self, name: &str) -> Result<Settings> {
        let mut settings = self.settings.clone();
        set_apart(&mut settings, &format!("bench-{name}-"), &self.root.join(name))?;
        connect(&mut settings, &self.stack);
        // Its producer's records lie right: but for the line that measures it, nothing is rekeyed.
        settings.aggregator.misplaced_records = MisplacedRecords::Count;
        settings.detector.misplaced_records = MisplacedRecords::Count;
        settings.producer.users = self.options.users;
        settings.producer.merchants = self.options.merchants;
        settings.validate()?;
        Ok(settings)
    }

    /// Creates topics and schemas; no service runs yet.
    pub(super) async fn pipeline(&self, settings: &Settings, name: &str) -> Result<Fleet> {
        let mut program = Program::this()?;
        if std::env::var_os(MALLOC_CONF.0).is_none() {
            program
                .variables
                .push((MALLOC_CONF.0.to_owned(), MALLOC_CONF.1.to_owned()));
        }
        prepare(settings, program, &self.root.join(name)).await
    }

    /// Stops a pipeline and deletes its topics: brokers look at every partition that they follow
    /// whenever they fetch, and the next line needs the disk.
    pub(super) async fn clear(&self, settings: &Settings, fleet: &mut Fleet) -> Result<()> {
        fleet.stop_all().await?;
        let (kafka, topics) = (settings.kafka.clone(), topics(settings.installation()));
        tokio::task::spawn_blocking(move || delete_topics(&kafka, &topics)).await??;
        Ok(())
    }

    /// Watches the workers and the servers.
    pub(super) fn watch(&self, fleet: &Fleet, workers: &[Worker]) -> Result<Watch> {
        let mut processes = Vec::new();
        for worker in workers {
            processes.push((worker.0.name().to_owned(), fleet.pid(*worker)?));
        }
        for (node, pid) in self.stack.running() {
            processes.push(match node {
                Node::Broker(_) | Node::Controller(_) => (CLUSTER.to_owned(), pid),
                Node::Elasticsearch => (ELASTICSEARCH.to_owned(), pid),
                _ => continue,
            });
        }
        Watch::start(processes)
    }
}

/// Waits for a producer that ends by itself; returns when it began to send.
pub(super) async fn produced(fleet: &mut Fleet, limit: Duration) -> Result<SystemTime> {
    let fleet = tokio::sync::Mutex::new(fleet);
    let ended = wait_until("the end of the producer", limit, || async {
        fleet.lock().await.finished(PRODUCER)
    });
    let status = ended.await?;
    let fleet = fleet.into_inner();
    ensure!(
        ExitStatus::success(&status),
        "the producer ended with {status}; the end of its log:\n{}",
        fleet.log(PRODUCER)
    );
    fleet
        .logged_at(PRODUCER, "sending")
        .context("the producer's log does not say when it began to send")
}
