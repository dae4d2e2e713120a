//! The transactional producer: retriable errors are retried in place, abortable ones abort, fatal
//! ones stop.

mod copies;
mod deliveries;
mod send;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millrace_kafka_batch::BatchProducer;
use prometheus::IntCounter;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{ClientConfig, TopicPartitionList};

use crate::ClientError;
use crate::copies::TopicLimits;
use deliveries::{Deliveries, is_permanent};
use send::Gathered;

/// How long one call of librdkafka may take before it is called again; its calls can be resumed.
const SLICE: Duration = Duration::from_secs(1);
/// How long acknowledgements are waited for before failures are looked at.
const WAIT: Duration = Duration::from_millis(5);
/// Pause between two tries of what failed with a retriable error.
const RETRY: Duration = Duration::from_millis(50);

/// librdkafka's default for `batch.size`.
const BATCH_BYTES: usize = 1_000_000;

/// What to do after a failure.
#[derive(Debug)]
pub enum Failure {
    /// Abort the transaction, go back to the committed offsets, and process again.
    Abort(String),
    /// Give up.
    Stop(ClientError),
}

impl Failure {
    /// A record that `topic` will never take.
    fn output(topic: &str, reason: &impl ToString) -> Self {
        Self::Stop(ClientError::Output {
            topic: topic.to_owned(),
            reason: reason.to_string(),
        })
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Stop(error)
    }
}

/// What a transactional producer counts, by metrics of whoever has it.
#[derive(Debug, Clone)]
pub struct TransactionMetrics {
    /// Times that an output waited for room in the producer's queue.
    pub queue_full: IntCounter,
    /// Copies that were cut to what their topic takes.
    pub truncated_copies: IntCounter,
}

/// A transactional producer and whether it has a transaction open.
pub struct TransactionalProducer {
    producer: BatchProducer<Deliveries>,
    /// A handful: the topics that the job writes to.
    gathered: Vec<Gathered>,
    limits: TopicLimits,
    /// Bytes that the client puts into a batch at most, but for one record that is larger.
    batch_bytes: usize,
    /// Bytes of copies for topics that take less than that, since the client's queue was last
    /// empty.
    unsent_copy_bytes: usize,
    /// Whether a copy of the open transaction was too large, and its topic's limit is known by
    /// that.
    has_learned: bool,
    open: bool,
    transaction_timeout: Duration,
    instance: String,
}

impl TransactionalProducer {
    /// A producer with this configuration, as [`crate::client::transactional_producer_config`]
    /// makes it, that names its process `instance` where it is fenced.
    ///
    /// # Errors
    /// librdkafka refuses the configuration.
    pub fn new(
        config: &ClientConfig,
        limits: TopicLimits,
        transaction_timeout: Duration,
        instance: &str,
    ) -> Result<Self, ClientError> {
        let producer = config
            .create_with_context(Deliveries::default())
            .and_then(BatchProducer::new)
            .map_err(|reason| ClientError::Create {
                client: "transactional producer",
                reason,
            })?;
        Ok(Self {
            producer,
            gathered: Vec::new(),
            limits,
            batch_bytes: config
                .get("batch.size")
                .and_then(|bytes| bytes.parse().ok())
                .unwrap_or(BATCH_BYTES),
            unsent_copy_bytes: 0,
            has_learned: false,
            open: false,
            transaction_timeout,
            instance: instance.to_owned(),
        })
    }

    /// Fences whoever had the transactional id and ends the transaction it left open. Waits for the
    /// cluster until `stop` is set.
    ///
    /// # Errors
    /// The producer is fenced or broken, or `stop` was set before the cluster answered.
    pub fn init(&self, stop: &AtomicBool) -> Result<(), ClientError> {
        let started = Instant::now();
        loop {
            let error = match self.base().init_transactions(SLICE * 5) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            self.base().poll(RETRY);
            if !is_retriable(&error) {
                return Err(self.fatal("init_transactions", &error));
            }
            if stop.load(Ordering::Relaxed) {
                return Err(unanswered("init_transactions", started, &error));
            }
            tracing::warn!(%error, "the transactional producer waits for the cluster");
        }
    }

    /// Whether a transaction is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Begins a transaction if none is open.
    ///
    /// # Errors
    /// As of [`Failure`].
    pub fn begin(&mut self) -> Result<(), Failure> {
        if !self.open {
            self.base()
                .begin_transaction()
                .map_err(|error| self.failure("begin_transaction", &error))?;
            self.open = true;
        }
        Ok(())
    }

    /// The client, for everything but gathered records.
    fn base(&self) -> &BaseProducer<Deliveries> {
        self.producer.producer()
    }

    fn deliveries(&self) -> &Deliveries {
        self.base().client().context()
    }

    /// What the first record that was not acknowledged means, if there is one. A copy that was too
    /// large is sent again, with its transaction, as a smaller one.
    fn check(&mut self) -> Result<(), Failure> {
        let Some(failed) = self.deliveries().take() else {
            return Ok(());
        };
        let too_large = failed.code == Some(RDKafkaErrorCode::MessageSizeTooLarge);
        self.has_learned |= too_large;
        if is_permanent(failed.code) && !(too_large && self.limits.refused(&failed.topic)) {
            return Err(Failure::output(&failed.topic, &failed.reason));
        }
        Err(Failure::Abort(format!(
            "a record for {} was not acknowledged: {}",
            failed.topic, failed.reason
        )))
    }

    /// Sends what is gathered and queued, adds the offsets, and commits, all within `limit`.
    ///
    /// # Errors
    /// As of [`Failure`]. A commit that is not answered in time has an unknown outcome, and stops.
    pub fn commit(
        &mut self,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
        limit: Duration,
        metrics: &TransactionMetrics,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + limit.min(self.transaction_timeout);
        self.hand_over(metrics)?;
        self.wait_until_sent(deadline)?;
        self.retry("send_offsets_to_transaction", deadline, |producer| {
            producer.send_offsets_to_transaction(offsets, group, SLICE)
        })?;
        // The outcome of a commit that is not answered is unknown, so that it must not be taken for
        // aborted: new clients find out, or the next start.
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
    ///
    /// # Errors
    /// The producer is fenced or broken, or the cluster does not answer in time.
    pub fn abort(&mut self, limit: Duration) -> Result<(), ClientError> {
        self.producer.clear(|()| ());
        self.unsent_copy_bytes = 0;
        if !self.open {
            return Ok(());
        }
        let started = Instant::now();
        loop {
            let error = match self.base().abort_transaction(Duration::from_millis(200)) {
                Ok(()) => {
                    self.open = false;
                    self.base().poll(Duration::ZERO);
                    self.learn_limit();
                    return Ok(());
                }
                Err(error) => error,
            };
            // The purged records' events must be served before the abort can go on.
            self.base().poll(RETRY);
            if !is_retriable(&error) {
                return Err(self.fatal("abort_transaction", &error));
            }
            if started.elapsed() > limit.min(self.transaction_timeout) {
                return Err(unanswered("abort_transaction", started, &error));
            }
        }
    }

    /// Forgets what was not acknowledged, but for a limit that it tells of: a copy that was too
    /// large would break each transaction that it comes in, if something else of it failed first.
    fn learn_limit(&mut self) {
        let failed = self.deliveries().take();
        if let Some(failed) = failed
            && failed.code == Some(RDKafkaErrorCode::MessageSizeTooLarge)
            && !self.has_learned
        {
            self.limits.refused(&failed.topic);
        }
        self.has_learned = false;
    }

    fn retry(
        &self,
        action: &'static str,
        deadline: Instant,
        call: impl Fn(&BaseProducer<Deliveries>) -> Result<(), KafkaError>,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            let error = match call(self.base()) {
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
            self.base().poll(RETRY);
        }
    }

    fn failure(&self, action: &'static str, error: &KafkaError) -> Failure {
        match error {
            KafkaError::Transaction(reason) if reason.txn_requires_abort() && !reason.is_fatal() => {
                Failure::Abort(format!("{action}: {reason}"))
            }
            // Producing fails with "the state is wrong" once something else has made the
            // transaction abortable.
            KafkaError::MessageProduction(_) if self.base().client().fatal_error().is_none() => {
                Failure::Abort(format!("{action}: {error}"))
            }
            _ => Failure::Stop(self.fatal(action, error)),
        }
    }

    fn fatal(&self, action: &'static str, error: &KafkaError) -> ClientError {
        let (code, reason) = match self.base().client().fatal_error() {
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
            ClientError::Fenced {
                action,
                instance,
                reason,
            }
        } else {
            ClientError::Fatal { action, reason }
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

fn unanswered(action: &'static str, started: Instant, error: &KafkaError) -> ClientError {
    ClientError::Unanswered {
        action,
        waited_ms: started.elapsed().as_millis(),
        reason: error.to_string(),
    }
}
