//! A sink's process, from its start to its end.

mod read;
mod taken;

use std::time::Duration;

use millrace_catalog::{Service, dead_letter};
use millrace_kafka::client::consumer_config;
use millrace_kafka::topic_name;
use millrace_settings::{Settings, SinkLoop};
use millrace_sink::{Backoff, Consumer, Limits, Metrics, Reachability, Sink, Source, Spec};
use millrace_telemetry::{Health, Server, Shutdown};
use tokio::runtime::Handle;

pub use self::read::{readers, value};
pub use self::taken::Taken;
use crate::Instance;

/// What a sink is run with.
#[derive(Debug, Clone, Copy)]
pub struct SinkHost<'a> {
    /// Which it is.
    pub service: Service,
    /// Everything that is configured.
    pub settings: &'a Settings,
    /// What its loop is set with.
    pub sink: SinkLoop<'a>,
    /// The store's name among the parts of readiness.
    pub store: &'static str,
}

/// What a sink reads, and its own bounds: what else a [`Spec`] has is set alike for all.
#[derive(Debug, Clone)]
pub struct Reads {
    /// The topics.
    pub sources: Vec<Source>,
    /// When a batch is complete.
    pub limits: Limits,
    /// Batches that are written at once.
    pub in_flight: usize,
    /// Bytes of records that may wait for their targets.
    pub set_aside_bytes: usize,
}

/// A process that serves its metrics and has its name; the store need not be there yet.
pub struct SinkProcess {
    health: Health,
    /// Held, not read: it serves until it is dropped.
    _server: Server,
    metrics: Metrics,
    instance: Instance,
    /// What is known of the store: the part of readiness that is its own.
    pub reachability: Reachability,
}

impl SinkHost<'_> {
    /// Starts to serve metrics and health, and takes the process's name.
    ///
    /// # Errors
    /// A property that librdkafka refuses, a port in use, or a name that another process has.
    pub fn start<S: Sink>(&self, shutdown: &Shutdown) -> anyhow::Result<SinkProcess> {
        // A wrong property is wrong however long the servers are waited for.
        consumer_config(&self.settings.kafka, "check", self.sink.consumer_properties)?;
        let name = self.service.name();
        let health = Health::new(name);
        let host = &self.settings.telemetry.bind_host;
        let port = self.settings.metrics_port(self.service);
        let server = millrace_telemetry::serve(host, port, health.clone(), shutdown.clone())?;
        // Once in a process.
        let instance_key = String::leak(format!("{}.instance", self.service.section()));
        let instance = Instance::claim(
            &self.settings.kafka,
            name,
            instance_key,
            self.sink.instance,
            server.address().port(),
        )?;
        Ok(SinkProcess {
            metrics: Metrics::register(S::NAMES)?,
            reachability: Reachability::new(health.component(self.store)),
            health,
            instance,
            _server: server,
        })
    }

    /// Pauses between attempts.
    #[must_use]
    pub const fn backoff(&self) -> Backoff {
        Backoff {
            initial: Duration::from_millis(self.sink.retry_initial_ms),
            max: Duration::from_millis(self.sink.retry_max_ms),
        }
    }

    /// What the process reads, and within which bounds.
    #[must_use]
    pub fn spec(&self, process: &SinkProcess, reads: Reads) -> Spec {
        let kafka = &self.settings.kafka;
        Spec {
            kafka: kafka.clone(),
            group: topic_name(kafka, &self.service.group()),
            instance: process.instance.name().to_owned(),
            instance_key: process.instance.key(),
            sources: reads.sources,
            limits: reads.limits,
            in_flight: reads.in_flight,
            set_aside_bytes: reads.set_aside_bytes,
            backoff: self.backoff(),
            drain_timeout: Duration::from_millis(self.sink.drain_timeout_ms),
            consumer_properties: self.sink.consumer_properties.clone(),
        }
    }
}

impl SinkProcess {
    /// Reads until `shutdown`, then drains the sink.
    ///
    /// # Errors
    /// What a new start of the process may mend.
    pub async fn run<S: Sink>(self, sink: S, spec: Spec, shutdown: Shutdown) -> anyhow::Result<()> {
        let group = spec.group.clone();
        let topics: Vec<String> = spec.topics().into_iter().map(str::to_owned).collect();
        let consumer = Consumer::new(
            sink,
            spec,
            self.metrics,
            self.reachability,
            &Handle::current(),
            &self.health,
        )?;
        tracing::info!(group, ?topics, "reading");
        consumer.run(shutdown).await
    }
}

/// A topic that is read, by its full name, with its label in metrics.
#[must_use]
pub fn source(topic: String, label: &'static str) -> Source {
    Source {
        dead_letters: dead_letter(&topic),
        topic,
        label,
    }
}
