//! Records into the open transaction: gathered, and handed to the client by the partition.

use std::time::Duration;

use millrace_kafka_batch::{Outcome, TopicIndex, flush};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseRecord, Producer};

use super::deliveries::is_permanent;
use super::{Failure, TransactionMetrics, TransactionalProducer, WAIT};
use crate::OutputRecord;

/// Records of a topic that are gathered at most.
const MAX_GATHERED: usize = 1_024;

/// Where a topic's records are gathered.
pub(super) struct Gathered {
    topic: String,
    index: TopicIndex,
}

impl TransactionalProducer {
    /// Adds a record to the transaction, waiting for room in the client's queue. It is handed over
    /// with others of its topic, by [`TransactionalProducer::hand_over`] at the latest; what the
    /// client refuses then fails as if it had been refused here.
    ///
    /// # Errors
    /// As of [`Failure`].
    pub fn send(&mut self, record: &OutputRecord<'_>, metrics: &TransactionMetrics) -> Result<(), Failure> {
        let at = self.gathered(record.topic)?;
        if !record.headers.is_empty() {
            // What came before it must not come after it.
            self.hand_over_topic(at, metrics)?;
            return self.send_alone(record, metrics);
        }
        let topic = self.gathered[at].index;
        let partition = record
            .partition
            .and_then(|partition| u32::try_from(partition).ok());
        self.producer
            .push_to(topic, partition, record.key, record.payload, ());
        if self.producer.waiting(topic) < MAX_GATHERED {
            return Ok(());
        }
        self.hand_over_topic(at, metrics)
    }

    /// Hands everything gathered to the client, which sends it as its linger says.
    ///
    /// # Errors
    /// As of [`Failure`].
    pub fn hand_over(&mut self, metrics: &TransactionMetrics) -> Result<(), Failure> {
        for at in 0..self.gathered.len() {
            self.hand_over_topic(at, metrics)?;
        }
        Ok(())
    }

    /// Where among `gathered` a topic is.
    fn gathered(&mut self, topic: &str) -> Result<usize, Failure> {
        if let Some(at) = self.gathered.iter().position(|known| known.topic == topic) {
            return Ok(at);
        }
        // Partitions come as they are named.
        let index = self
            .producer
            .add_topic(topic, 0)
            .map_err(|error| Failure::output(topic, &error))?;
        self.gathered.push(Gathered {
            topic: topic.to_owned(),
            index,
        });
        Ok(self.gathered.len() - 1)
    }

    fn hand_over_topic(&mut self, at: usize, metrics: &TransactionMetrics) -> Result<(), Failure> {
        let topic = self.gathered[at].index;
        if self.producer.waiting(topic) == 0 {
            return Ok(());
        }
        let mut counted = false;
        loop {
            let mut refused = None;
            let outcome = self.producer.hand_over(topic, |(), error| {
                refused.get_or_insert(error);
            });
            if let Some(error) = refused {
                let topic = self.gathered[at].topic.clone();
                return Err(self.produce_failure(&topic, &error));
            }
            if outcome == Outcome::Done {
                self.base().poll(Duration::ZERO);
                return Ok(());
            }
            self.wait_for_room(&mut counted, metrics)?;
        }
    }

    /// A record with headers.
    fn send_alone(&mut self, record: &OutputRecord<'_>, metrics: &TransactionMetrics) -> Result<(), Failure> {
        let message = BaseRecord {
            topic: record.topic,
            partition: record.partition,
            payload: Some(record.payload),
            key: record.key,
            timestamp: None,
            headers: headers(record.headers),
            delivery_opaque: (),
        };
        self.send_by_itself(message, metrics)
    }

    /// A record that is not gathered with others.
    pub(super) fn send_by_itself(
        &mut self,
        mut message: BaseRecord<'_, [u8], [u8]>,
        metrics: &TransactionMetrics,
    ) -> Result<(), Failure> {
        let mut counted = false;
        loop {
            let (error, back) = match self.base().send(message) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(self.produce_failure(back.topic, &error));
            }
            self.wait_for_room(&mut counted, metrics)?;
            message = back;
        }
    }

    fn produce_failure(&mut self, topic: &str, error: &KafkaError) -> Failure {
        if is_permanent(error.rdkafka_error_code()) {
            return Failure::output(topic, error);
        }
        // Where a record before has broken the transaction, it is that one's failure that says what
        // to do.
        self.base().poll(Duration::ZERO);
        self.check()
            .err()
            .unwrap_or_else(|| match self.failure("produce", error) {
                Failure::Abort(reason) => Failure::Abort(format!("{reason}, for {topic}")),
                stop @ Failure::Stop(_) => stop,
            })
    }

    /// Room comes with acknowledgements or, at the latest, when the message timeout gives records
    /// up.
    fn wait_for_room(&mut self, counted: &mut bool, metrics: &TransactionMetrics) -> Result<(), Failure> {
        if !std::mem::replace(counted, true) {
            metrics.queue_full.inc();
        }
        flush(self.base().client(), WAIT);
        self.base().poll(Duration::ZERO);
        self.check()
    }
}

/// The headers of a record, made only where there are any.
fn headers(pairs: &[(&str, &[u8])]) -> Option<OwnedHeaders> {
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
