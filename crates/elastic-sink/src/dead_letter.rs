//! Records that cannot become documents, on their topic's dead-letter topic.

use std::time::Duration;

use millrace_domain::topic;
use millrace_kafka::client::idempotent_producer_config;
use millrace_settings::Kafka;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::bulk::{Entry, Origin};
use crate::metrics::{Metrics, OPERATOR};
use crate::retry::Backoff;
use crate::stream::Stream;

/// How long one attempt waits for room in the producer's queue.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends dead letters and waits for their acknowledgement by every in-sync replica.
#[derive(Clone)]
pub struct DeadLetters {
    producer: FutureProducer,
    topic_prefix: String,
    backoff: Backoff,
    metrics: Metrics,
}

impl DeadLetters {
    /// A sender for the cluster of `kafka`.
    ///
    /// # Errors
    /// The settings contradict what is needed, or the client refuses them.
    pub fn new(kafka: &Kafka, backoff: Backoff, metrics: Metrics) -> anyhow::Result<Self> {
        Ok(Self {
            producer: idempotent_producer_config(kafka, &std::collections::BTreeMap::new())?.create()?,
            topic_prefix: kafka.topic_prefix.clone(),
            backoff,
            metrics,
        })
    }

    /// Sends a record as it was, with headers that say why; tries again until it is acknowledged.
    ///
    /// # Errors
    /// The producer can never send again.
    pub async fn send(&self, entry: &Entry, code: &str, error: &str) -> anyhow::Result<()> {
        let source = self.source_topic(entry.origin.partition.stream);
        let target = topic::dead_letter(&source);
        let mut attempt = 0;
        loop {
            let mut record =
                FutureRecord::<[u8], [u8]>::to(&target).headers(headers(&source, entry.origin, code, error));
            record.key = entry.key.as_deref();
            record.payload = entry.payload.as_deref();
            let failure = match self.producer.send(record, QUEUE_TIMEOUT).await {
                Ok(_) => break,
                Err((failure, _)) => failure,
            };
            if let Some((fatal, reason)) = self.fatal_error() {
                anyhow::bail!("the producer of dead letters has failed for good: {fatal}: {reason}");
            }
            tracing::warn!(topic = target, %failure, attempt, "a dead letter will be sent again");
            self.backoff.wait(attempt).await;
            attempt = attempt.saturating_add(1);
        }
        self.metrics.dead_lettered(code);
        // Ids of users are no matter for the log: the record's place says which it is.
        tracing::warn!(
            topic = source,
            partition = entry.origin.partition.partition,
            offset = entry.origin.offset,
            code,
            "dead-lettered"
        );
        Ok(())
    }

    /// The full name of a stream's topic.
    #[must_use]
    pub fn source_topic(&self, stream: Stream) -> String {
        format!("{}{}", self.topic_prefix, stream.topic())
    }

    fn fatal_error(&self) -> Option<(rdkafka::types::RDKafkaErrorCode, String)> {
        use rdkafka::producer::Producer as _;
        self.producer.client().fatal_error()
    }
}

/// The headers that every dead letter of the suite has.
fn headers(source: &str, origin: Origin, code: &str, error: &str) -> OwnedHeaders {
    let (partition, offset) = (origin.partition.partition.to_string(), origin.offset.to_string());
    [
        ("error", error),
        ("error.code", code),
        ("source.topic", source),
        ("source.partition", &partition),
        ("source.offset", &offset),
        ("service", OPERATOR),
    ]
    .into_iter()
    .fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(Header {
            key,
            value: Some(value),
        })
    })
}
