//! Other streams beside the transactions, where they are enabled: generated, sent with a ledger of
//! their own, and counted.

mod source;
mod world;

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use millrace_catalog::value_subject;
use millrace_contract::Contract as _;
use millrace_kafka::client::idempotent_producer_config;
use millrace_kafka::clock::now_ms;
use millrace_kafka::topic_name;
use millrace_publisher::ledger::{Heading, Ledger};
use millrace_publisher::{Lanes, Metrics, Pacer, RunId, Spec, Supervisor, Topic, Topics};
use millrace_registry::Registry;
use millrace_settings::{Format, Settings};
use millrace_telemetry::{Health, Shutdown};

use crate::options::Options;
use source::{WorldEntry, WorldSource};
pub(crate) use world::{About, Draws, World};

/// What sends a stream, ready to be started.
pub(crate) struct Beside<W: World> {
    lanes: Lanes<WorldEntry<W>>,
    supervisor: Supervisor<WorldEntry<W>>,
}

/// What is asked for of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Whether its pipeline is enabled.
    pub(crate) is_enabled: bool,
    /// Records a second.
    pub(crate) rate_per_s: u64,
    /// The windows of its ledger, and the folder that this is in.
    pub(crate) window_ms: i64,
    pub(crate) ledger_dir: &'a Path,
}

impl<W: World> Beside<W> {
    /// Records at the rate that is wanted; `None` where none are asked for: the pipeline is not
    /// enabled, or what is sent is a file, a number of transactions, or of simulated time. `world`
    /// makes them, given what their ids begin with.
    ///
    /// # Errors
    /// A part that is needed to start is missing: a broker, the topic, the registry, the ledger's
    /// folder.
    pub(crate) async fn prepare(
        settings: &Settings,
        options: &Options,
        health: &Health,
        deadline: Option<Instant>,
        wanted: Wanted<'_>,
        world: impl FnOnce([u8; 4]) -> W,
    ) -> anyhow::Result<Option<Self>> {
        let is_live = match options {
            Options::Generate(options) => options.count.is_none() && options.start_time_ms.is_none(),
            Options::Replay(_) => false,
        };
        if !wanted.is_enabled || wanted.rate_per_s == 0 || !is_live {
            return Ok(None);
        }
        let kafka_health = health.component(W::ABOUT.items);
        let metrics = Metrics::register(W::ABOUT.names)?;
        let name = topic_name(&settings.kafka, W::ABOUT.topic);
        let schema_id = match settings.producer.format {
            Format::Json => None,
            Format::Avro => {
                let registry = Registry::new(millrace_service::registry::config(&settings.schema_registry))?;
                Some(registry.register(&value_subject(&name), W::Event::SCHEMA).await?)
            }
        };
        let started_ms = now_ms();
        let run = RunId::new(started_ms);
        let producer = &settings.producer;
        let world = world(run.tag().to_bytes());
        let source = WorldSource::new(world, producer, schema_id, Pacer::new(wanted.rate_per_s));
        let mut properties = producer.properties.clone();
        properties
            .entry("linger.ms".to_owned())
            .or_insert_with(|| producer.linger_ms.to_string());
        let spec = Spec {
            client: idempotent_producer_config(&settings.kafka, &properties)?,
            topics: Topics {
                records: vec![Topic {
                    name: name.clone(),
                    item: W::ABOUT.item,
                }],
                asides: None,
            },
            durations: metrics.durations(),
            window_ms: wanted.window_ms,
        };
        let lanes = tokio::task::spawn_blocking(move || Lanes::prepare(&spec, vec![source]));
        let heading = Heading {
            run_id: run.to_string(),
            started_ms,
            run_in_ids: Some(run.tag()),
            topic: name,
            window_ms: wanted.window_ms,
        };
        Ok(Some(Self {
            lanes: lanes.await.context("a start was cut off")??,
            supervisor: Supervisor::new(
                Ledger::create(wanted.ledger_dir, &heading)?,
                metrics,
                kafka_health,
                deadline,
            ),
        }))
    }

    /// Sends until the deadline or `shutdown`, and then waits for every record's outcome.
    ///
    /// # Errors
    /// Sending cannot go on.
    pub(crate) async fn run(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        self.lanes.start()?;
        let ended = self.supervisor.watch(self.lanes, shutdown, |_| {}).await?;
        let totals = ended.ledger.totals();
        tracing::info!(
            acknowledged = totals.acknowledged,
            failed = totals.failed,
            duplicates = totals.duplicates,
            ledger = %ended.ledger.path().display(),
            "{}",
            W::ABOUT.items
        );
        ended.failure.map_or(Ok(()), |error| {
            Err(error.context(format!("{} cannot be sent on", W::ABOUT.items)))
        })
    }
}
