//! The transactional producer: retriable errors are retried in place, abortable ones abort, fatal ones stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use millrace_kafka_batch::flush;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, TopicPartitionList};

use crate::WorkerError;
use crate::client::{bridge_error, bridge_log};
use crate::metrics::JobMetrics;

/// How long one call of librdkafka may take before it is called again; its calls can be resumed.
const SLICE: Duration = Duration::from_secs(1);
/// How long acknowledgements are waited for before failures are looked at.
const WAIT: Duration = Duration::from_millis(5);
/// Pause between two tries of what failed with a retriable error.
const RETRY: Duration = Duration::from_millis(50);

/// What to do after a failure.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Abort the transaction, go back to the committed offsets, and process again.
    Abort(String),
    /// Give up.
    Stop(WorkerError),
}

impl From<WorkerError> for Failure {
    fn from(error: WorkerError) -> Self {
        Self::Stop(error)
    }
}

/// A record that was not acknowledged.
#[derive(Debug, Clone)]
struct Undelivered {
    topic: String,
    code: Option<RDKafkaErrorCode>,
    reason: String,
}

/// Keeps the first failed delivery of a transaction.
#[derive(Default)]
pub(crate) struct Deliveries {
    failed: Mutex<Option<Undelivered>>,
}

impl Deliveries {
    fn fail(&self, failure: Undelivered) {
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(failure);
    }

    fn take(&self) -> Option<Undelivered> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        bridge_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        bridge_error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            self.fail(Undelivered {
                topic: message.topic().to_owned(),
                code: error.rdkafka_error_code(),
                reason: error.to_string(),
            });
        }
    }
}

/// Whether the cluster would refuse the same record again, however long one waits.
fn is_permanent(code: Option<RDKafkaErrorCode>) -> bool {
    matches!(
        code,
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::InvalidTimestamp
                | RDKafkaErrorCode::InvalidTopic
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::UnsupportedCompressionType
        )
    )
}

/// A transactional producer and whether it has a transaction open.
pub(crate) struct TransactionalProducer {
    producer: BaseProducer<Deliveries>,
    open: bool,
    transaction_timeout: Duration,
    instance: String,
    since_poll: u32,
}

impl TransactionalProducer {
    pub(crate) fn new(
        config: &ClientConfig,
        transaction_timeout: Duration,
        instance: &str,
    ) -> Result<Self, WorkerError> {
        let producer = config
            .create_with_context(Deliveries::default())
            .map_err(|reason| WorkerError::Client {
                client: "transactional producer",
                reason,
            })?;
        Ok(Self {
            producer,
            open: false,
            transaction_timeout,
            instance: instance.to_owned(),
            since_poll: 0,
        })
    }

    /// Fences whoever had the transactional id and ends the transaction it left open. Waits for the cluster until
    /// `stop` is set.
    pub(crate) fn init(&self, stop: &AtomicBool) -> Result<(), WorkerError> {
        let started = Instant::now();
        loop {
            let error = match self.producer.init_transactions(SLICE * 5) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            self.producer.poll(RETRY);
            if !is_retriable(&error) {
                return Err(self.fatal("init_transactions", &error));
            }
            if stop.load(Ordering::Relaxed) {
                return Err(unanswered("init_transactions", started, &error));
            }
            tracing::warn!(%error, "the transactional producer waits for the cluster");
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Begins a transaction if none is open.
    pub(crate) fn begin(&mut self) -> Result<(), Failure> {
        if !self.open {
            self.producer
                .begin_transaction()
                .map_err(|error| self.failure("begin_transaction", &error))?;
            self.open = true;
        }
        Ok(())
    }

    /// Adds a record to the transaction, waiting for room in the queue. The bytes are copied once, into the queue.
    pub(crate) fn send(
        &mut self,
        record: BaseRecord<'_, [u8], [u8], ()>,
        metrics: &JobMetrics,
    ) -> Result<(), Failure> {
        self.since_poll += 1;
        if self.since_poll >= 1_024 {
            self.since_poll = 0;
            self.producer.poll(Duration::ZERO);
        }
        let mut record = record;
        let mut counted = false;
        loop {
            let (error, back) = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            let code = error.rdkafka_error_code();
            if code != Some(RDKafkaErrorCode::QueueFull) {
                return Err(if is_permanent(code) {
                    Failure::Stop(WorkerError::Output {
                        topic: back.topic.to_owned(),
                        reason: error.to_string(),
                    })
                } else {
                    self.failure("produce", &error)
                });
            }
            if !counted {
                metrics.queue_full.inc();
                counted = true;
            }
            // Room comes with acknowledgements or, at the latest, when the message timeout gives records up.
            flush(self.producer.client(), WAIT);
            self.producer.poll(Duration::ZERO);
            self.check_deliveries()?;
            record = back;
        }
    }

    fn check_deliveries(&self) -> Result<(), Failure> {
        let Some(failed) = self.producer.client().context().take() else {
            return Ok(());
        };
        if is_permanent(failed.code) {
            return Err(Failure::Stop(WorkerError::Output {
                topic: failed.topic,
                reason: failed.reason,
            }));
        }
        Err(Failure::Abort(format!(
            "a record for {} was not acknowledged: {}",
            failed.topic, failed.reason
        )))
    }

    /// Sends what is queued, adds the offsets, and commits, all within `limit`.
    pub(crate) fn commit(
        &mut self,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
        limit: Duration,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + limit.min(self.transaction_timeout);
        while !flush(self.producer.client(), WAIT) {
            self.producer.poll(Duration::ZERO);
            self.check_deliveries()?;
            if Instant::now() > deadline {
                return Err(Failure::Abort(
                    "the records were not acknowledged in time".to_owned(),
                ));
            }
        }
        self.check_deliveries()?;
        self.retry("send_offsets_to_transaction", deadline, |producer| {
            producer.send_offsets_to_transaction(offsets, group, SLICE)
        })?;
        // The outcome of a commit that is not answered is unknown, so that it must not be taken for aborted: new clients
        // find out, or the next start.
        match self.retry("commit_transaction", deadline, |producer| {
            producer.commit_transaction(SLICE)
        }) {
            Ok(()) => {
                self.open = false;
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Aborts the open transaction, if there is one, within `limit`: what it sent is never seen.
    pub(crate) fn abort(&mut self, limit: Duration) -> Result<(), WorkerError> {
        if !self.open {
            return Ok(());
        }
        let started = Instant::now();
        loop {
            let error = match self.producer.abort_transaction(Duration::from_millis(200)) {
                Ok(()) => {
                    self.open = false;
                    self.producer.poll(Duration::ZERO);
                    self.producer.client().context().take();
                    return Ok(());
                }
                Err(error) => error,
            };
            // The purged records' events must be served before the abort can go on.
            self.producer.poll(RETRY);
            if !is_retriable(&error) {
                return Err(self.fatal("abort_transaction", &error));
            }
            if started.elapsed() > limit.min(self.transaction_timeout) {
                return Err(unanswered("abort_transaction", started, &error));
            }
        }
    }

    fn retry(
        &self,
        action: &'static str,
        deadline: Instant,
        call: impl Fn(&BaseProducer<Deliveries>) -> Result<(), KafkaError>,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            let error = match call(&self.producer) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if !is_retriable(&error) {
                return Err(self.failure(action, &error));
            }
            if Instant::now() > deadline {
                return Err(match action {
                    "commit_transaction" => Failure::Stop(unanswered(action, started, &error)),
                    _ => Failure::Abort(format!("{action} had no answer in time: {error}")),
                });
            }
            self.producer.poll(RETRY);
        }
    }

    fn failure(&self, action: &'static str, error: &KafkaError) -> Failure {
        match error {
            KafkaError::Transaction(reason) if reason.txn_requires_abort() && !reason.is_fatal() => {
                Failure::Abort(format!("{action}: {reason}"))
            }
            // Producing fails with "the state is wrong" once something else has made the transaction abortable.
            KafkaError::MessageProduction(_) if self.producer.client().fatal_error().is_none() => {
                Failure::Abort(format!("{action}: {error}"))
            }
            _ => Failure::Stop(self.fatal(action, error)),
        }
    }

    fn fatal(&self, action: &'static str, error: &KafkaError) -> WorkerError {
        let (code, reason) = match self.producer.client().fatal_error() {
            Some((code, text)) => (Some(code), format!("{code:?}: {text}")),
            None => (error.rdkafka_error_code(), error.to_string()),
        };
        let fenced = matches!(
            code,
            Some(
                RDKafkaErrorCode::Fenced
                    | RDKafkaErrorCode::ProducerFenced
                    | RDKafkaErrorCode::InvalidProducerEpoch
            )
        );
        if fenced {
            let instance = self.instance.clone();
            WorkerError::Fenced {
                action,
                instance,
                reason,
            }
        } else {
            WorkerError::Fatal { action, reason }
        }
    }
}

fn is_retriable(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(reason) => {
            !reason.is_fatal() && !reason.txn_requires_abort() && reason.is_retriable()
        }
        KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut) => true,
        _ => false,
    }
}

fn unanswered(action: &'static str, started: Instant, error: &KafkaError) -> WorkerError {
    WorkerError::Unanswered {
        action,
        waited_ms: started.elapsed().as_millis(),
        reason: error.to_string(),
    }
}

/// The headers of a record, made only where there are any.
pub(crate) fn headers(pairs: &[(&str, &[u8])]) -> Option<OwnedHeaders> {
    if pairs.is_empty() {
        return None;
    }
    let mut headers = OwnedHeaders::new_with_capacity(pairs.len());
    for (key, value) in pairs {
        headers = headers.insert(rdkafka::message::Header {
            key,
            value: Some(*value),
        });
    }
    Some(headers)
}
