//! Records that a test sends itself.

use std::time::Duration;

use anyhow::{Context, Result};
use millrace_catalog::payments::topic;
use millrace_domain::Transaction;
use millrace_settings::Kafka;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

/// How long the brokers may take to acknowledge.
pub const SEND: Duration = Duration::from_secs(180);

/// A producer with the properties that a client of the topics needs, and `properties`.
///
/// # Errors
/// A property that librdkafka refuses.
pub fn producer(kafka: &Kafka, properties: &[(&str, &str)]) -> Result<BaseProducer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        // Each record once and in order, also where an answer is late.
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random");
    for (name, value) in properties {
        config.set(*name, *value);
    }
    Ok(config.create()?)
}

/// Hands transactions to `producer`, as JSON, with the user as the key and, if one is given, this
/// time of creation; to the partition `partition` or else by the key.
///
/// # Errors
/// The producer's queue is full.
pub fn send(
    producer: &BaseProducer,
    kafka: &Kafka,
    transactions: impl IntoIterator<Item = Transaction>,
    partition: Option<i32>,
    created_ms: Option<i64>,
) -> Result<()> {
    let name = millrace_kafka::topic_name(kafka, topic::TRANSACTIONS);
    for transaction in transactions {
        let mut value = Vec::new();
        millrace_domain::codec::json::encode(&transaction, &mut value);
        let user_id = transaction.user_id.text();
        let mut record = BaseRecord::to(&name).key(user_id.as_bytes()).payload(&value);
        record.partition = partition;
        record.timestamp = created_ms;
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .context("sending a transaction")?;
    }
    Ok(())
}

/// Hands one record to `producer`, for the topic `topic` (before the prefix).
///
/// # Errors
/// The producer's queue is full.
pub fn put(producer: &BaseProducer, kafka: &Kafka, topic: &str, (key, value): (&str, &[u8])) -> Result<()> {
    let name = millrace_kafka::topic_name(kafka, topic);
    producer
        .send(BaseRecord::to(&name).key(key).payload(value))
        .map_err(|(error, _)| error)
        .with_context(|| format!("sending to {name}"))
}

/// Waits until everything is acknowledged.
///
/// # Errors
/// It is not, within [`SEND`].
pub fn flush(producer: &BaseProducer) -> Result<()> {
    Ok(producer.flush(SEND)?)
}
