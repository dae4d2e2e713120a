//! The stack that the lines run against, and what each line starts on it.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use millrace_settings::Settings;
use millrace_stack::{LocalStack, Node, Ports, StackOptions};

use super::command::{Options, show};
use super::usage::Watch;
use crate::chaos::set_apart;
use crate::init;
use crate::rig::fleet::{Fleet, Program, Worker};
use crate::state::State;
use crate::up::Service;
use crate::wait::wait_until;

/// The producer.
pub(super) const PRODUCER: Worker = Worker(Service::Producer, 1);
/// The aggregator.
pub(super) const AGGREGATOR: Worker = Worker(Service::Aggregator, 1);
/// The detector.
pub(super) const DETECTOR: Worker = Worker(Service::Detector, 1);
/// The sink.
pub(super) const SINK: Worker = Worker(Service::ElasticSink, 1);
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
        let mut stack_options = StackOptions {
            ports: Ports::free()?,
            ..StackOptions::new(state.stack())
        };
        if let Some(dir) = &options.cache_dir {
            stack_options.cache_dir.clone_from(dir);
        }
        Ok(Self {
            stack: LocalStack::start(stack_options, show).await?,
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
        settings.kafka.bootstrap_servers = self.stack.bootstrap_servers();
        settings.schema_registry.url = self.stack.registry_url();
        settings.elasticsearch.url = self.stack.elasticsearch_url();
        settings.producer.users = self.options.users;
        settings.producer.merchants = self.options.merchants;
        settings.validate()?;
        Ok(settings)
    }

    /// Creates topics and schemas; no service runs yet.
    pub(super) async fn pipeline(&self, settings: &Settings, name: &str) -> Result<Fleet> {
        let options = init::Options {
            kibana_timeout: Duration::ZERO,
            ..init::Options::default()
        };
        init::run(settings, &options).await.context("`init` failed")?;
        Fleet::new(settings, Program::this()?, &self.root.join(name))
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
