//! The consumer's thread: reads, decides, hands batches to the writer, and commits what is done.
//!
//! The thread is the only one that touches the consumer. Batches are written by tasks of the async
//! runtime, at most so many at once; while all are busy and the next batch is full, nothing is
//! read. Short waits block the thread; in a longer one the partitions are paused and the thread
//! goes on polling, so that the group keeps its member.

mod commits;
mod context;
mod flow;
mod overtaken;
mod unavailable;
mod unreadable;

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use millrace_contract::RegistryError;
use millrace_kafka::client::{consumer_config, leave_group};
use millrace_kafka::copies::KeptRecord;
use millrace_kafka::wait_while_taken;
use millrace_telemetry::{Health, Shutdown};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Timestamp};
use tokio::runtime::Handle;

use crate::acknowledgement::PartitionKey;
use crate::batch::Origin;
use crate::dead_letter::DeadLetters;
use crate::delivery::Delivery;
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::reachability::Reachability;
use crate::sink::{Decision, Record, Sink};
use crate::spec::{Spec, find, source};

use context::SinkContext;
use flow::Flow;
pub(crate) use flow::Held;

/// The longest wait for a record, so that what is due by time is seen to.
const POLL_TIMEOUT: Duration = Duration::from_millis(50);

/// Records read before what is due by time is seen to.
const POLL_RECORDS: usize = 500;

/// The name of the registry among the parts of the service; there once it could not be asked.
const REGISTRY: &str = "schema-registry";

/// Time after which a topic that was not there is seen to be there again, and one of more
/// partitions to have them. The client's own is five minutes.
const REFRESH_INTERVAL_MS: &str = "10000";

/// Time between two reports of lag.
const STATISTICS_INTERVAL_MS: &str = "5000";

/// What the thread works with.
pub struct Consumer<S: Sink> {
    consumer: BaseConsumer<SinkContext<S>>,
    sink: Arc<S>,
    spec: Spec,
    flow: Flow,
    health: Health,
    /// Whether the service is not ready as a record waits for the registry.
    has_held: Cell<bool>,
    metrics: Metrics,
}

impl<S: Sink> Consumer<S> {
    /// Joins the group. `runtime` runs the writes; `reachability` is told of what they meet, and
    /// the parts `kafka` and, once there is reason to, `schema-registry` and `dead-letters` of
    /// `health` of the rest.
    ///
    /// # Errors
    /// The settings contradict what is needed, or the client refuses them.
    pub fn new(
        sink: S,
        spec: Spec,
        metrics: Metrics,
        reachability: Reachability,
        runtime: &Handle,
        health: &Health,
    ) -> anyhow::Result<Self> {
        let sink = Arc::new(sink);
        let delivery = Delivery {
            sink: Arc::clone(&sink),
            letters: DeadLetters::new(&spec, S::NAMES.service, metrics.clone(), health)?,
            backoff: spec.backoff,
            reachability,
        };
        let pipeline = Pipeline::new(delivery, &spec, metrics.clone(), runtime.clone());
        let mut config = consumer_config(&spec.kafka, &spec.group, &spec.consumer_properties)?;
        // A new group reads all there is: a store makes nothing of what it has already.
        for (name, value) in [
            ("auto.offset.reset", "earliest"),
            ("statistics.interval.ms", STATISTICS_INTERVAL_MS),
            ("topic.metadata.refresh.interval.ms", REFRESH_INTERVAL_MS),
        ] {
            if !spec.consumer_properties.contains_key(name) {
                config.set(name, value);
            }
        }
        // A static member: a sink that dies and is started again gets its partitions back at once,
        // in place of waiting for the end of its predecessor's session.
        config.set("group.instance.id", &spec.instance);
        let context = SinkContext::new(pipeline, &spec, metrics.clone(), health);
        let consumer: BaseConsumer<SinkContext<S>> = config
            .create_with_context(context)
            .context("the Kafka consumer")?;
        let topics = spec.topics();
        consumer
            .subscribe(&topics)
            .with_context(|| format!("subscribing to {}", topics.join(", ")))?;
        Ok(Self {
            consumer,
            sink,
            spec,
            flow: Flow::default(),
            health: health.clone(),
            has_held: Cell::new(false),
            metrics,
        })
    }

    /// Works on a thread of its own until `shutdown`; then writes and commits what was read, within
    /// the drain's timeout.
    ///
    /// # Errors
    /// What a new start of the process may mend.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let (sender, ended) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name(S::NAMES.service.to_owned())
            .spawn(move || sender.send(self.work(&shutdown)))
            .context("starting the consumer's thread")?;
        ended.await.context("the consumer's thread has panicked")?
    }

    fn work(mut self, shutdown: &Shutdown) -> anyhow::Result<()> {
        while !shutdown.is_triggered() {
            if let Err(error) = self.step() {
                if let Some((code, _)) = self.consumer.client().fatal_error() {
                    return self.stand_back(code, shutdown);
                }
                return Err(error);
            }
        }
        let mut pipeline = self.consumer.context().pipeline();
        self.consumer.context().drain(&self.consumer, &mut pipeline);
        let ended = pipeline.check();
        // Leaving the group gives the partitions up, which would drain once more.
        pipeline.abandon();
        drop(pipeline);
        leave_group(&self.consumer);
        ended
    }

    /// Ends when the other process of this one's name has gone: a restart before that would take
    /// the name back.
    fn stand_back(&self, code: RDKafkaErrorCode, shutdown: &Shutdown) -> anyhow::Result<()> {
        let (name, key) = (&self.spec.instance, self.spec.instance_key);
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
        wait_while_taken(&self.spec.kafka, &self.spec.group, members, || {
            shutdown.is_triggered()
        })?;
        anyhow::bail!(reason)
    }

    fn step(&mut self) -> anyhow::Result<()> {
        let (pause, wait) = {
            let mut pipeline = self.consumer.context().pipeline();
            pipeline.progress()?;
            self.consumer.context().commit(&self.consumer, &mut pipeline);
            let is_blocked = pipeline.is_blocked_after_waiting()?;
            (
                is_blocked || pipeline.held.is_some() || pipeline.is_full(),
                pipeline.due_in().unwrap_or(POLL_TIMEOUT),
            )
        };
        self.flow.update(&self.consumer, pause)?;
        unavailable::look(&self.consumer, &self.spec.sources)?;
        let mut timeout = wait.min(POLL_TIMEOUT);
        for _ in 0..POLL_RECORDS {
            match self.consumer.poll(timeout) {
                None => break,
                Some(Ok(message)) => {
                    if self.take(&message)?.is_break() {
                        break;
                    }
                }
                Some(Err(error)) => {
                    if !self.consumer.context().is_told(&error) {
                        failed(&error)?;
                    }
                    self.end_at_corrupt(&error)?;
                    break;
                }
            }
            timeout = Duration::ZERO;
        }
        self.ask_again();
        Ok(())
    }

    /// Ends where the checksum of a batch is wrong, when what was read is written and committed:
    /// librdkafka goes on behind such a batch, of which it does not say where it is, and what comes
    /// next would be committed over it.
    fn end_at_corrupt(&self, error: &KafkaError) -> anyhow::Result<()> {
        if *error != KafkaError::MessageConsumption(RDKafkaErrorCode::BadMessage) {
            return Ok(());
        }
        let mut pipeline = self.consumer.context().pipeline();
        self.consumer.context().drain(&self.consumer, &mut pipeline);
        anyhow::bail!(
            "a batch of one of {} is corrupt: its checksum is wrong. What was read before it is done. See \
             docs/operations.md, \"A partition that cannot be read\"",
            self.spec.topics().join(", ")
        )
    }

    /// Takes a record; breaks where nothing more should be read for now.
    fn take(&self, message: &BorrowedMessage<'_>) -> anyhow::Result<ControlFlow<()>> {
        let Some(source) = find(&self.spec.sources, message.topic()) else {
            return Ok(ControlFlow::Continue(()));
        };
        let origin = Origin {
            partition: PartitionKey {
                source,
                partition: message.partition(),
            },
            offset: message.offset(),
        };
        let expected = self.expected(message.topic(), origin);
        if expected.is_none() {
            self.sink.begin(origin)?;
        }
        self.look_for_deleted(message.topic(), origin, expected);
        let append_time_ms = match message.timestamp() {
            Timestamp::LogAppendTime(time_ms) => Some(time_ms),
            // What a producer says bounds nothing.
            Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
        };
        Ok(
            match self.sink.decide(&Record {
                origin,
                append_time_ms,
                key: message.key(),
                payload: message.payload(),
            }) {
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
            },
        )
    }

    /// The offset after the partition's last record; `None` where nothing was read of its log.
    ///
    /// Within an assignment offsets rise: one that does not is of another log.
    fn expected(&self, topic: &str, origin: Origin) -> Option<i64> {
        let mut pipeline = self.consumer.context().pipeline();
        let read = pipeline.tracker().next(origin.partition)?;
        if origin.offset >= read {
            return Some(read);
        }
        let label = source(&self.spec.sources, origin.partition).label;
        self.metrics.new_logs(label, 1);
        tracing::warn!(
            topic,
            partition = origin.partition.partition,
            read,
            next = origin.offset,
            "the topic was made anew: its new log is read from its start, and what the old one's end still had \
             is gone"
        );
        self.consumer.context().drain(&self.consumer, &mut pipeline);
        pipeline.forget(origin.partition);
        None
    }

    /// Counts and tells what retention deleted between the record before, at whose end this one was
    /// `expected`, and this one.
    fn look_for_deleted(&self, topic: &str, origin: Origin, expected: Option<i64>) {
        let partition = origin.partition.partition;
        let place = (topic, partition);
        if let Some((from, to)) = overtaken::deleted(&self.consumer, place, expected, origin.offset) {
            let (store, label) = (S::NAMES.store, source(&self.spec.sources, origin.partition).label);
            self.metrics.overtaken(label, to - from);
            tracing::error!(
                topic,
                partition,
                from,
                to,
                "retention has deleted what the sink had not read yet: the offsets from … to … are not in {store}. \
                 Replay their source, or keep the topic longer than the sink may be away (kafka.retention_ms)"
            );
        }
    }

    /// Adds a record of so many bytes that was decided on; breaks where the batch is full.
    fn settle(
        &self,
        origin: Origin,
        bytes: usize,
        decision: Decision<S::Item>,
        keep: impl FnOnce() -> KeptRecord,
    ) -> ControlFlow<()> {
        let is_full = self
            .consumer
            .context()
            .pipeline()
            .add(origin, bytes, decision, keep);
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
        held.until = Instant::now() + self.spec.backoff.pause(held.failures, rand::random());
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
        match self.sink.decide(&Record {
            origin: held.origin,
            append_time_ms: held.append_time_ms,
            key: kept.key.as_deref(),
            payload: kept.payload.as_deref(),
        }) {
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
