//! Clicks beside the transactions, where the clickstream is enabled: generated, sent with a ledger
//! of their own, and counted.

mod source;

use std::time::Instant;

use anyhow::Context as _;
use millrace_catalog::clickstream::topic;
use millrace_catalog::value_subject;
use millrace_clickstream::{Click, World};
use millrace_contract::Contract as _;
use millrace_kafka::client::idempotent_producer_config;
use millrace_kafka::clock::now_ms;
use millrace_kafka::topic_name;
use millrace_publisher::ledger::{Heading, Ledger};
use millrace_publisher::{Lanes, Metrics, Names, Pacer, RunId, Spec, Supervisor, Topic, Topics};
use millrace_registry::Registry;
use millrace_settings::{Format, Settings};
use millrace_telemetry::{Health, Shutdown};

use crate::options::Options;
use source::{ClickEntry, ClickSource};

const NAMES: Names = Names {
    sent: "millrace_clicks_sent_total",
    bytes: "millrace_clicks_bytes_total",
    acknowledged: "millrace_clicks_acknowledged_total",
    failed: "millrace_clicks_failed_total",
    queue_full: "millrace_clicks_queue_full_total",
    queue: "millrace_clicks_queue_records",
    durations: "millrace_clicks_delivery_duration_seconds",
    asides: "asides",
};

/// What sends clicks, ready to be started.
pub(crate) struct Clicks {
    lanes: Lanes<ClickEntry>,
    supervisor: Supervisor<ClickEntry>,
}

impl Clicks {
    /// Clicks at the rate of the settings; `None` where none are asked for: the clickstream is not
    /// enabled, or what is sent is a file, a number of transactions, or of simulated time.
    ///
    /// # Errors
    /// A part that is needed to start is missing: a broker, the topic, the registry, the ledger's
    /// folder.
    pub(crate) async fn prepare(
        settings: &Settings,
        options: &Options,
        health: &Health,
        deadline: Option<Instant>,
    ) -> anyhow::Result<Option<Self>> {
        let rate_per_s = settings.producer.clicks_per_s;
        let is_live = match options {
            Options::Generate(options) => options.count.is_none() && options.start_time_ms.is_none(),
            Options::Replay(_) => false,
        };
        if !settings.clickstream.enabled || rate_per_s == 0 || !is_live {
            return Ok(None);
        }
        let kafka_health = health.component("clicks");
        let metrics = Metrics::register(NAMES)?;
        let name = topic_name(&settings.kafka, topic::CLICKS);
        let schema_id = match settings.producer.format {
            Format::Json => None,
            Format::Avro => {
                let registry = Registry::new(millrace_service::registry::config(&settings.schema_registry))?;
                Some(registry.register(&value_subject(&name), Click::SCHEMA).await?)
            }
        };
        let started_ms = now_ms();
        let run = RunId::new(started_ms);
        let producer = &settings.producer;
        let world = World::new(producer.seed, producer.users, run.tag().to_bytes());
        let source = ClickSource::new(world, producer, schema_id, Pacer::new(rate_per_s));
        let mut properties = producer.properties.clone();
        properties
            .entry("linger.ms".to_owned())
            .or_insert_with(|| producer.linger_ms.to_string());
        let spec = Spec {
            client: idempotent_producer_config(&settings.kafka, &properties)?,
            topics: Topics {
                records: vec![Topic {
                    name: name.clone(),
                    item: "click",
                }],
                asides: None,
            },
            durations: metrics.durations(),
            window_ms: settings.clickstream.window_ms,
        };
        let lanes = tokio::task::spawn_blocking(move || Lanes::prepare(&spec, vec![source]));
        let heading = Heading {
            run_id: run.to_string(),
            started_ms,
            run_in_ids: Some(run.tag()),
            topic: name,
            window_ms: settings.clickstream.window_ms,
        };
        Ok(Some(Self {
            lanes: lanes.await.context("a start was cut off")??,
            supervisor: Supervisor::new(
                Ledger::create(&settings.producer.clicks_ledger_dir(), &heading)?,
                metrics,
                kafka_health,
                deadline,
            ),
        }))
    }

    /// Sends until the deadline or `shutdown`, and then waits for every click's outcome.
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
            "clicks"
        );
        ended
            .failure
            .map_or(Ok(()), |error| Err(error.context("clicks cannot be sent on")))
    }
}
