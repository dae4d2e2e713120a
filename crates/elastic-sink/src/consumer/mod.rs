//! The consumer's thread: reads, decides, hands batches to the writer, and commits what is done.
//!
//! The thread is the only one that touches the consumer. Batches are written by tasks of the async
//! runtime, at most so many at once; while all are busy and the next batch is full, nothing is
//! read. Short waits block the thread; in a longer one the partitions are paused and the thread
//! goes on polling, so that the group keeps its member.

mod aside;
mod context;
mod flow;
mod overtaken;
mod pipeline;
mod unreadable;

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use millrace_catalog::Service;
use millrace_codec::RegistryError;
use millrace_kafka::client::{consumer_config, leave_group};
use millrace_kafka::copies::KeptRecord;
use millrace_kafka::{topic_name, wait_while_taken};
use millrace_service::Instance;
use millrace_settings::{Kafka, Settings};
use millrace_telemetry::{Health, Shutdown};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Timestamp};
use tokio::runtime::Handle;

use crate::acknowledgement::PartitionKey;
use crate::bulk::{Entry, Limits, Origin};
use crate::dead_letter::DeadLetters;
use crate::decode::{Decision, Decoder, Readers, Record};
use crate::metrics::Metrics;
use crate::retry::Backoff;
use crate::sample::Sample;
use crate::stream::Stream;
use crate::writer::Writer;

use context::SinkContext;
use flow::{Flow, Held};
use pipeline::Pipeline;

/// The longest wait for a record, so that what is due by time is seen to.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);

/// Records read before what is due by time is seen to.
const POLL_RECORDS: usize = 500;

/// The name of the registry among the parts of the service; there once it could not be asked.
const REGISTRY: &str = "schema-registry";

/// Time between two reports of lag.
const STATISTICS_INTERVAL_MS: &str = "5000";

/// What the thread works with.
pub struct Consumer {
    consumer: BaseConsumer<SinkContext>,
    decoder: Decoder,
    names: Vec<(String, Stream)>,
    flow: Flow,
    health: Health,
    /// Whether the service is not ready as a record waits for the registry.
    has_held: Cell<bool>,
    backoff: Backoff,
    metrics: Metrics,
    drain_timeout: Duration,
    kafka: Kafka,
    group: String,
    instance: String,
    instance_key: &'static str,
}

impl Consumer {
    /// Joins the group. `runtime` runs the writes.
    ///
    /// # Errors
    /// The settings contradict what is needed, or the client refuses them.
    pub fn new(
        settings: &Settings,
        instance: &Instance,
        readers: Readers,
        writer: Writer,
        runtime: &Handle,
        health: &Health,
    ) -> anyhow::Result<Self> {
        let (sink, metrics, backoff) = (&settings.elastic_sink, writer.metrics.clone(), writer.backoff);
        let sample = Sample::of(sink.transaction_share);
        let names: Vec<(String, Stream)> = Stream::ALL
            .into_iter()
            .filter(|stream| *stream != Stream::Transactions || !sample.is_empty())
            .map(|stream| (stream.read_topic(settings), stream))
            .collect();
        let dead_letters = DeadLetters::new(settings, backoff, metrics.clone(), health)?;
        let limits = Limits {
            bytes: sink.bulk_bytes,
            actions: sink.bulk_actions,
            age: Duration::from_millis(sink.bulk_interval_ms),
        };
        let drain_timeout = Duration::from_millis(sink.drain_timeout_ms);
        let pipeline = Pipeline::new(
            Arc::new(writer),
            dead_letters,
            limits,
            sink.bulks_in_flight,
            sink.set_aside_bytes,
            runtime.clone(),
        );
        let group = topic_name(&settings.kafka, &Service::ElasticSink.group());
        let mut config = consumer_config(&settings.kafka, &group, &sink.consumer_properties)?;
        // A new group reads all there is: what is indexed already is answered 409.
        for (name, value) in [
            ("auto.offset.reset", "earliest"),
            ("statistics.interval.ms", STATISTICS_INTERVAL_MS),
        ] {
            if !sink.consumer_properties.contains_key(name) {
                config.set(name, value);
            }
        }
        // A static member: a sink that dies and is started again gets its partitions back at once,
        // in place of waiting for the end of its predecessor's session.
        config.set("group.instance.id", instance.name());
        let context = SinkContext::new(pipeline, names.clone(), metrics.clone(), health, drain_timeout);
        let consumer: BaseConsumer<SinkContext> = config
            .create_with_context(context)
            .context("the Kafka consumer")?;
        let topics: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        consumer
            .subscribe(&topics)
            .with_context(|| format!("subscribing to {}", topics.join(", ")))?;
        tracing::info!(group, ?topics, share = sink.transaction_share, "reading");
        Ok(Self {
            consumer,
            decoder: Decoder::new(readers, settings, sample),
            names,
            flow: Flow::default(),
            health: health.clone(),
            has_held: Cell::new(false),
            backoff,
            metrics,
            drain_timeout,
            kafka: settings.kafka.clone(),
            group,
            instance: instance.name().to_owned(),
            instance_key: instance.key(),
        })
    }

    /// Works until `shutdown`; then writes and commits what was read, within the drain's timeout.
    ///
    /// # Errors
    /// What a new start of the process may mend.
    pub fn run(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        while !shutdown.is_triggered() {
            if let Err(error) = self.step() {
                if let Some((code, _)) = self.consumer.client().fatal_error() {
                    return self.stand_back(code, shutdown);
                }
                return Err(error);
            }
        }
        let mut pipeline = self.consumer.context().pipeline();
        let left = pipeline.drain(&self.consumer, Instant::now() + self.drain_timeout)?;
        // Leaving the group gives the partitions up, which would drain once more.
        pipeline.abandon();
        drop(pipeline);
        leave_group(&self.consumer);
        if left > 0 {
            tracing::warn!(records = left, "not written in time: they will be read again");
        }
        Ok(())
    }

    /// Ends when the other process of this one's name has gone: a restart before that would take
    /// the name back.
    fn stand_back(&self, code: RDKafkaErrorCode, shutdown: &Shutdown) -> anyhow::Result<()> {
        let (name, key) = (&self.instance, self.instance_key);
        let reason = format!(
            "another process has the instance name {name:?}, and has taken this one's place in the group ({code}). Each \
             needs a name of its own: set {key}, which by default is host name and port of the metrics. This one stands \
             back until the other has gone"
        );
        tracing::error!(reason, "stands back");
        self.health.component("kafka").not_ready(reason.clone());
        // What is under way is the other's now.
        self.consumer.context().pipeline().abandon();
        let members = std::slice::from_ref(name);
        wait_while_taken(&self.kafka, &self.group, members, || shutdown.is_triggered())?;
        anyhow::bail!(reason)
    }

    fn step(&mut self) -> anyhow::Result<()> {
        let (pause, wait) = {
            let mut pipeline = self.consumer.context().pipeline();
            pipeline.progress()?;
            pipeline.commit(&self.consumer);
            let is_blocked = pipeline.is_blocked_after_waiting()?;
            (
                is_blocked || pipeline.held.is_some() || pipeline.is_full(),
                pipeline.due_in().unwrap_or(POLL_TIMEOUT),
            )
        };
        self.flow.update(&self.consumer, pause)?;
        let mut timeout = wait.min(POLL_TIMEOUT);
        for _ in 0..POLL_RECORDS {
            match self.consumer.poll(timeout) {
                None => break,
                Some(Ok(message)) => {
                    if self.take(&message).is_break() {
                        break;
                    }
                }
                Some(Err(error)) => {
                    if !self.consumer.context().is_told(&error) {
                        failed(&error)?;
                    }
                    break;
                }
            }
            timeout = Duration::ZERO;
        }
        self.ask_again();
        Ok(())
    }

    /// Takes a record; breaks where nothing more should be read for now.
    fn take(&self, message: &BorrowedMessage<'_>) -> ControlFlow<()> {
        let Some(&(_, stream)) = self.names.iter().find(|(name, _)| name == message.topic()) else {
            return ControlFlow::Continue(());
        };
        let origin = Origin {
            partition: PartitionKey {
                stream,
                partition: message.partition(),
            },
            offset: message.offset(),
        };
        self.look_for_deleted(message.topic(), origin);
        let append_time_ms = match message.timestamp() {
            Timestamp::LogAppendTime(time_ms) => Some(time_ms),
            // What a producer says bounds nothing.
            Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
        };
        let payload = message.payload();
        match self
            .decoder
            .decide(record(origin, append_time_ms, message.key(), payload))
        {
            Ok(decision) => {
                let bytes = message.key_len() + message.payload_len();
                self.settle(origin, bytes, decision, || KeptRecord::of(message))
            }
            Err(error) => {
                self.hold(
                    Held {
                        origin,
                        append_time_ms,
                        record: KeptRecord::of(message),
                        failures: 0,
                        until: Instant::now(),
                    },
                    &error,
                );
                ControlFlow::Break(())
            }
        }
    }

    /// Counts and tells what retention deleted between the record before and this one.
    fn look_for_deleted(&self, topic: &str, origin: Origin) {
        let PartitionKey { stream, partition } = origin.partition;
        let expected = self
            .consumer
            .context()
            .pipeline()
            .tracker()
            .next(origin.partition);
        let place = (topic, partition);
        if let Some((from, to)) = overtaken::deleted(&self.consumer, place, expected, origin.offset) {
            self.metrics.overtaken(stream, to - from);
            tracing::error!(
                topic,
                partition,
                from,
                to,
                "retention has deleted what the sink had not read yet: the offsets from … to … are not in Elasticsearch. \
                 Replay their source, or keep the topic longer than the sink may be away (kafka.retention_ms)"
            );
        }
    }

    /// Adds a record of so many bytes that was decided on; breaks where the batch is full.
    fn settle(
        &self,
        origin: Origin,
        bytes: usize,
        decision: Decision,
        keep: impl FnOnce() -> KeptRecord,
    ) -> ControlFlow<()> {
        self.metrics.consumed.inc();
        self.metrics.consumed_bytes.inc_by(bytes as u64);
        let work = match decision {
            Decision::Work(work) => Some(work),
            Decision::NotChosen => None,
            Decision::Skip { code } => {
                self.metrics.skipped(code);
                None
            }
        };
        let entry = work.map(|work| Entry {
            origin,
            record: keep(),
            work,
        });
        let is_full = self.consumer.context().pipeline().add(origin, entry);
        if is_full {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Keeps a record until the registry can be asked.
    fn hold(&self, mut held: Held, error: &RegistryError) {
        self.has_held.set(true);
        self.health.component(REGISTRY).not_ready(error.to_string());
        held.until = Instant::now() + self.backoff.pause(held.failures, rand::random());
        held.failures = held.failures.saturating_add(1);
        self.consumer.context().pipeline().held = Some(held);
    }

    /// Decides on the record that is held, if it is time to.
    fn ask_again(&self) {
        let mut pipeline = self.consumer.context().pipeline();
        let due = pipeline.held.take_if(|held| held.until <= Instant::now());
        let waits = pipeline.held.is_some();
        drop(pipeline);
        let Some(held) = due else {
            // The partition of the one that waited may be another's by now.
            if !waits && self.has_held.take() {
                self.health.component(REGISTRY).ready();
            }
            return;
        };
        let kept = &held.record;
        match self.decoder.decide(record(
            held.origin,
            held.append_time_ms,
            kept.key.as_deref(),
            kept.payload.as_deref(),
        )) {
            Ok(decision) => {
                self.has_held.set(false);
                self.health.component(REGISTRY).ready();
                let len = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
                let bytes = len(&kept.key) + len(&kept.payload);
                // Whether the batch is full by it, the next step sees.
                let _ = self.settle(held.origin, bytes, decision, || held.record);
            }
            Err(error) => self.hold(held, &error),
        }
    }
}

fn record<'a>(
    origin: Origin,
    append_time_ms: Option<i64>,
    key: Option<&'a [u8]>,
    payload: Option<&'a [u8]>,
) -> Record<'a> {
    Record {
        stream: origin.partition.stream,
        partition: origin.partition.partition,
        offset: origin.offset,
        append_time_ms,
        key,
        payload,
    }
}

/// What the client reports in place of a record: mostly something it mends by itself.
fn failed(error: &KafkaError) -> anyhow::Result<()> {
    match error {
        KafkaError::MessageConsumptionFatal(code) => {
            anyhow::bail!("the Kafka consumer has failed for good: {code}")
        }
        other => tracing::warn!(error = %other, "reading from Kafka"),
    }
    Ok(())
}
