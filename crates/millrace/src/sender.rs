//! A transactional producer for a handful of transactions, one after the other.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use millrace_kafka::client::transactional_producer_config;
use millrace_kafka::copies::TopicLimits;
use millrace_settings::{Kafka, Worker};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};

/// How long the cluster may take for one call.
const CALL: Duration = Duration::from_secs(30);
/// A record that was whole in its topic is sent whole, whatever that topic takes.
const MAX_RECORD_BYTES: &str = "67108864";

/// A record that is to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) topic: String,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: OwnedHeaders,
}

/// Sends with a transactional id of its own, so that there is one at a time: whoever starts ends
/// what another has open.
pub(crate) struct Sender {
    producer: BaseProducer<Failures>,
    /// The command that sends, for messages.
    whose: &'static str,
    /// What the topics take.
    pub(crate) limits: TopicLimits,
}

impl Sender {
    /// Starts in the name of a command, and ends what a predecessor has left open.
    ///
    /// # Errors
    /// The cluster does not answer, or refuses.
    pub(crate) fn start(kafka: &Kafka, whose: &'static str) -> anyhow::Result<Self> {
        let id = format!("{}millrace-{whose}", kafka.topic_prefix);
        let mut config = transactional_producer_config(kafka, &Worker::default(), &id)?;
        config.set("message.max.bytes", MAX_RECORD_BYTES);
        let producer: BaseProducer<Failures> = config.create_with_context(Failures::default())?;
        producer
            .init_transactions(CALL)
            .with_context(|| format!("starting the transactional producer {id}"))?;
        Ok(Self {
            producer,
            whose,
            limits: TopicLimits::new(kafka, &config),
        })
    }

    /// Sends all in one transaction.
    ///
    /// # Errors
    /// Then either nothing is sent, or it is not known whether all is; which of the two the next
    /// start finds.
    pub(crate) fn send(&self, records: &[Outgoing]) -> anyhow::Result<()> {
        self.producer
            .begin_transaction()
            .map_err(|error| self.told(&error))?;
        let sent = self.try_send(records);
        if sent.is_err()
            && let Err(error) = self.producer.abort_transaction(CALL)
        {
            tracing::warn!(%error, "the transaction could not be aborted: the cluster does so after its timeout");
        }
        sent
    }

    fn try_send(&self, records: &[Outgoing]) -> anyhow::Result<()> {
        let deadline = Instant::now() + CALL;
        for outgoing in records {
            self.enqueue(outgoing, deadline)?;
        }
        self.producer.flush(CALL).map_err(|error| self.told(&error))?;
        if let Some(failure) = self.producer.context().take() {
            bail!(failure);
        }
        self.producer
            .commit_transaction(CALL)
            .map_err(|error| self.told(&error))
    }

    fn enqueue(&self, outgoing: &Outgoing, deadline: Instant) -> anyhow::Result<()> {
        let mut record = BaseRecord::<[u8], [u8]>::to(&outgoing.topic).headers(outgoing.headers.clone());
        record.partition = outgoing.partition;
        record.key = outgoing.key.as_deref();
        record.payload = outgoing.payload.as_deref();
        loop {
            let (error, back) = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
            if !is_full || Instant::now() > deadline {
                return Err(self
                    .told(&error)
                    .context(format!("sending to {}", outgoing.topic)));
            }
            self.producer.poll(Duration::from_millis(10));
            record = back;
        }
    }

    /// An error, in the words of the fatal one if that is behind it.
    fn told(&self, error: &KafkaError) -> anyhow::Error {
        match self.producer.client().fatal_error() {
            Some((RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced, reason)) => {
                anyhow::anyhow!("another {} has started, and has taken over: {reason}", self.whose)
            }
            Some((code, reason)) => anyhow::anyhow!("{code}: {reason}"),
            None => anyhow::anyhow!("{error}"),
        }
    }
}

/// The first record that was not acknowledged.
#[derive(Default)]
struct Failures(Mutex<Option<String>>);

impl Failures {
    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert_with(|| format!("a record for {} was refused: {error}", message.topic()));
        }
    }
}
