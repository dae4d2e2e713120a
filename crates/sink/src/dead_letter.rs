//! Records that the store will never take, on their topic's dead-letter topic.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millrace_kafka::client::idempotent_producer_config;
use millrace_kafka::copies::{self, KeptRecord, RecordCopy, SourceRecord, TopicLimits, header};
use millrace_telemetry::Health;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::batch::Origin;
use crate::delivery::Letters;
use crate::metrics::Metrics;
use crate::retry::Backoff;
use crate::spec::{Source, Spec, source};

/// How long one attempt waits for room in the producer's queue.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// From so many attempts on, the service is not ready: a new leader costs one or two.
const PATIENCE_ATTEMPTS: u32 = 3;

/// The name of the dead letters among the parts of the service; there once one could not be sent.
const COMPONENT: &str = "dead-letters";

/// Sends dead letters and waits for their acknowledgement by every in-sync replica.
pub(crate) struct DeadLetters {
    producer: FutureProducer,
    limits: Arc<Mutex<TopicLimits>>,
    sources: Vec<Source>,
    service: &'static str,
    backoff: Backoff,
    metrics: Metrics,
    health: Health,
    /// Whether the service is not ready for their sake.
    is_told: AtomicBool,
}

impl DeadLetters {
    /// A sender for the cluster of `spec`, in the name of `service`.
    ///
    /// # Errors
    /// The settings contradict what is needed, or the client refuses them.
    pub(crate) fn new(
        spec: &Spec,
        service: &'static str,
        metrics: Metrics,
        health: &Health,
    ) -> anyhow::Result<Self> {
        let config = idempotent_producer_config(&spec.kafka, &BTreeMap::new())?;
        Ok(Self {
            producer: config.create()?,
            limits: Arc::new(Mutex::new(TopicLimits::new(&spec.kafka, &config))),
            sources: spec.sources.clone(),
            service,
            backoff: spec.backoff,
            metrics,
            health: health.clone(),
            is_told: AtomicBool::new(false),
        })
    }

    /// Says that a dead letter cannot be sent: its batch waits for it, and with it what is read.
    fn tell(&self, target: &str, failure: &KafkaError, attempts: u32) {
        if attempts < PATIENCE_ATTEMPTS {
            return;
        }
        self.is_told.store(true, Ordering::Relaxed);
        self.health.component(COMPONENT).not_ready(format!(
            "a dead letter could not be sent to {target} in {attempts} attempts, and is tried again: {failure}"
        ));
    }

    async fn send_once(&self, target: &str, copy: RecordCopy<'_>) -> Result<(), KafkaError> {
        let mut record = FutureRecord::<[u8], [u8]>::to(target).headers(copy.headers);
        record.key = copy.key;
        record.payload = copy.payload;
        let sent = self.producer.send(record, QUEUE_TIMEOUT).await;
        sent.map(|_| ()).map_err(|(failure, _)| failure)
    }

    /// Uses the limits on a thread that may wait for the cluster.
    async fn limits<T: Send + 'static>(
        &self,
        target: &str,
        on: impl FnOnce(&mut TopicLimits, &str) -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let (limits, target) = (Arc::clone(&self.limits), target.to_owned());
        let used = move || {
            let mut limits = limits.lock().unwrap_or_else(PoisonError::into_inner);
            on(&mut limits, &target)
        };
        Ok(tokio::task::spawn_blocking(used).await?)
    }

    fn fatal_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        use rdkafka::producer::Producer as _;
        self.producer.client().fatal_error()
    }
}

impl Letters for DeadLetters {
    /// Sends a copy of a record, with headers that say why; tries again until it is acknowledged.
    /// One that is too large for its topic is cut.
    ///
    /// # Errors
    /// The producer can never send again.
    async fn send(&self, origin: Origin, kept: &KeptRecord, code: &str, error: &str) -> anyhow::Result<()> {
        let from = source(&self.sources, origin.partition);
        let (topic, target) = (from.topic.as_str(), from.dead_letters.as_str());
        let headers = kept.headers();
        let record = SourceRecord {
            topic,
            partition: origin.partition.partition,
            offset: origin.offset,
            timestamp_ms: kept.timestamp_ms,
            key: kept.key.as_deref(),
            payload: kept.payload.as_deref(),
            headers: &headers,
        };
        let said: [(&str, &[u8]); 3] = [
            (header::ERROR, error.as_bytes()),
            (header::ERROR_CODE, code.as_bytes()),
            (header::SERVICE, self.service.as_bytes()),
        ];
        let mut attempt = 0;
        let is_cut = loop {
            let wanted = record.size_bytes();
            let limit = self
                .limits(target, move |limits, target| limits.of(target, wanted))
                .await?;
            let copy = copies::copy(&record, &said, limit);
            let is_cut = copy.is_cut;
            let Err(failure) = self.send_once(target, copy).await else {
                break is_cut;
            };
            if let Some((fatal, reason)) = self.fatal_error() {
                anyhow::bail!("the producer of dead letters has failed for good: {fatal}: {reason}");
            }
            tracing::warn!(topic = target, %failure, attempt, "a dead letter will be sent again");
            let is_too_large = failure.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge);
            if is_too_large && self.limits(target, TopicLimits::refused).await? {
                continue;
            }
            self.backoff.wait(attempt).await;
            attempt = attempt.saturating_add(1);
            self.tell(target, &failure, attempt);
        };
        if self.is_told.swap(false, Ordering::Relaxed) {
            self.health.component(COMPONENT).ready();
        }
        self.metrics.dead_lettered(code);
        if is_cut {
            self.metrics.truncated_copies.inc();
        }
        // Ids of users are no matter for the log: the record's place says which it is.
        tracing::warn!(
            topic,
            partition = record.partition,
            offset = record.offset,
            code,
            is_cut,
            "dead-lettered"
        );
        Ok(())
    }
}
