//! What the transactions' topic has seen: how far its partitions' watermarks are.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use millrace_catalog::payments::{AGGREGATE_PARTIAL, topic};
use millrace_catalog::stream;
use millrace_domain::Transaction;
use millrace_domain::codec::TransactionReader;
use millrace_kafka::client::{LogBridge, reader_config};
use millrace_kafka::{partition_for, topic_name};
use millrace_registry::SchemaFetcher;
use millrace_settings::{MisplacedRecords, Settings};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, Timestamp, TopicPartitionList};

use crate::replay::{Bounds, Stream};

/// How long the brokers have to answer at the start.
const METADATA_TIMEOUT: Duration = Duration::from_secs(15);
/// How long reading the ends of the topics may go without getting anything.
const STALLED: Duration = Duration::from_secs(10);
/// So many records at the end of a partition of transactions are looked at for its highest event
/// time. Those at the end are within the disorder allowed, which is seconds.
const LAST_TRANSACTIONS: i64 = 500;
/// And so many of the aggregator's control topic for its watermark: it writes one now and then,
/// with transactions' markers between.
const LAST_CONTROLS: i64 = 500;

/// Asks the topics: the aggregator's control topic says what it has seen, and the ends of the
/// partitions what it will see.
///
/// # Errors
/// The brokers do not answer, or the topic is not there.
pub(crate) fn look(settings: &Settings) -> anyhow::Result<Stream> {
    let config = reader_config(&settings.kafka, "millrace-replay")?;
    let consumer: BaseConsumer<LogBridge> = config.create_with_context(LogBridge)?;
    let written = topic_name(&settings.kafka, topic::TRANSACTIONS);
    let read = topic_name(&settings.kafka, stream(topic::TRANSACTIONS, settings.rekeys()));
    let control = topic_name(&settings.kafka, AGGREGATE_PARTIAL.control(settings.rekeys()));
    let count = |topic: &str| {
        count_partitions(&consumer, topic)?
            .ok_or_else(|| anyhow!("there is no topic {topic}: `millrace init` creates it"))
    };
    let (partitions, mut ends) = (count(&read)?, Ends::default());
    ends.add(&consumer, &read, partitions, LAST_TRANSACTIONS)?;
    if read != written {
        // What is not rekeyed yet.
        ends.add(&consumer, &written, count(&written)?, LAST_TRANSACTIONS)?;
    }
    if let Some(partitions) = count_partitions(&consumer, &control)? {
        ends.add(&consumer, &control, partitions, LAST_CONTROLS)?;
    }
    let schemas = SchemaFetcher::new(millrace_service::registry::config(&settings.schema_registry));
    let reader = TransactionReader::new(schemas);
    let aggregator = Aggregator {
        bounds: Bounds::from(settings),
        misplaced_records: settings.aggregator.misplaced_records,
        partitions,
    };
    let mut watermarks: Vec<Option<i64>> = vec![None; partitions as usize];
    ends.read(&consumer, |message| {
        let payload = message.payload().unwrap_or_default();
        let seen = if message.topic() == control {
            control_watermark(payload).map(|watermark_ms| (message.partition(), watermark_ms))
        } else {
            let append_ms = match message.timestamp() {
                Timestamp::LogAppendTime(append_ms) => Some(append_ms),
                Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
            };
            // What cannot be decoded has no event time for the aggregator either.
            let transaction = reader.read(payload).ok();
            transaction.and_then(|it| aggregator.watermark(&it, message.partition(), append_ms))
        };
        if let Some((partition, watermark_ms)) = seen
            && let Some(highest) = watermarks.get_mut(partition as usize)
        {
            *highest = (*highest).max(Some(watermark_ms));
        }
    })?;
    Ok(Stream {
        topic: read,
        watermarks,
    })
}

/// What the aggregator goes by.
struct Aggregator {
    bounds: Bounds,
    misplaced_records: MisplacedRecords,
    /// Of the topic that it reads.
    partitions: i32,
}

impl Aggregator {
    /// The partition whose watermark a record of `partition` moves, and where it is then at least;
    /// `None` of one that is a dead letter. `append_ms` is the broker's stamp.
    fn watermark(
        &self,
        transaction: &Transaction,
        partition: i32,
        append_ms: Option<i64>,
    ) -> Option<(i32, i64)> {
        self.bounds.check(transaction, append_ms).ok()?;
        let of_user = partition_for(transaction.user_id.text().as_bytes(), self.partitions);
        let partition = match self.misplaced_records {
            MisplacedRecords::Count => partition,
            MisplacedRecords::DeadLetter => (of_user == partition).then_some(partition)?,
            MisplacedRecords::Rekey => of_user,
        };
        let watermark_ms = transaction.transaction_time_ms - self.bounds.max_disorder_ms;
        Some((partition, watermark_ms))
    }
}

/// The watermark that a record of the control topic tells, whatever else it is.
fn control_watermark(payload: &[u8]) -> Option<i64> {
    let record: serde_json::Value = serde_json::from_slice(payload).ok()?;
    record.get("watermark_ms")?.as_i64()
}

/// The number of a topic's partitions; `None` if it is not there.
fn count_partitions(consumer: &BaseConsumer<LogBridge>, topic: &str) -> anyhow::Result<Option<i32>> {
    let metadata = consumer
        .fetch_metadata(Some(topic), METADATA_TIMEOUT)
        .context("no Kafka broker answers; is kafka.bootstrap_servers right, and the cluster up?")?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions = found
        .filter(|found| found.error().is_none())
        .map(|found| found.partitions().len());
    Ok(partitions
        .and_then(|partitions| i32::try_from(partitions).ok())
        .filter(|&partitions| partitions > 0))
}

/// The last records of partitions.
#[derive(Default)]
struct Ends {
    from: TopicPartitionList,
    left: usize,
}

impl Ends {
    fn add(
        &mut self,
        consumer: &BaseConsumer<LogBridge>,
        topic: &str,
        partitions: i32,
        last: i64,
    ) -> anyhow::Result<()> {
        for partition in 0..partitions {
            let (low, high) = millrace_kafka::admin::bounds(consumer, topic, partition, METADATA_TIMEOUT)
                .with_context(|| format!("the end of partition {partition} of {topic} is not known"))?;
            if low < high {
                let from = Offset::Offset((high - last).max(low));
                self.from.add_partition_offset(topic, partition, from)?;
                self.left += 1;
            }
        }
        Ok(())
    }

    fn read(
        mut self,
        consumer: &BaseConsumer<LogBridge>,
        mut visit: impl FnMut(&rdkafka::message::BorrowedMessage<'_>),
    ) -> anyhow::Result<()> {
        consumer.assign(&self.from)?;
        let mut heard = Instant::now();
        while self.left > 0 {
            match consumer.poll(Duration::from_millis(100)) {
                None if heard.elapsed() > STALLED => {
                    bail!("the ends of the topics cannot be read: the brokers give no records")
                }
                // librdkafka goes on by itself; if it cannot, the time runs out.
                None | Some(Err(KafkaError::MessageConsumption(_))) => continue,
                Some(Ok(message)) => visit(&message),
                Some(Err(KafkaError::PartitionEOF(_))) => self.left -= 1,
                Some(Err(error)) => return Err(error).context("the ends of the topics cannot be read"),
            }
            heard = Instant::now();
        }
        consumer.unassign()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use millrace_domain::{Amount, Currency, PaymentMethod, ShortId, TransactionId, TransactionType};

    use super::*;

    const TIME_MS: i64 = 1_700_000_000_000;

    fn transaction(transaction_time_ms: i64) -> Transaction {
        let id = |text| ShortId::new(text, "test").unwrap();
        Transaction {
            transaction_id: TransactionId::from_bytes([7; 16]),
            user_id: id("u-1"),
            amount: Amount::from_units(571_600).unwrap(),
            transaction_time_ms,
            merchant_id: id("m-7"),
            transaction_type: TransactionType::Purchase,
            location: id("Oslo"),
            payment_method: PaymentMethod::Paypal,
            is_international: false,
            currency: Currency::parse(b"NOK").unwrap(),
        }
    }

    #[test]
    fn what_the_aggregator_refuses_moves_no_watermark() {
        let aggregator = |misplaced_records| Aggregator {
            bounds: Bounds::from(&Settings::default()),
            misplaced_records,
            partitions: 5,
        };
        let count = aggregator(MisplacedRecords::Count);
        let good = transaction(TIME_MS);
        assert_eq!(
            count.watermark(&good, 3, Some(TIME_MS)),
            Some((3, TIME_MS - 5_000))
        );
        // A clock that is a day ahead.
        let ahead = transaction(TIME_MS + 86_400_000);
        assert_eq!(count.watermark(&ahead, 3, Some(TIME_MS)), None);
        assert!(
            count.watermark(&ahead, 3, None).is_some(),
            "a producer's stamp bounds nothing"
        );
        assert_eq!(count.watermark(&transaction(TIME_MS / 1_000), 3, None), None);

        let own = partition_for(b"u-1", 5);
        let other = (own + 1) % 5;
        let refuses = aggregator(MisplacedRecords::DeadLetter);
        assert_eq!(refuses.watermark(&good, other, None), None);
        assert!(refuses.watermark(&good, own, None).is_some());
        let rekeys = aggregator(MisplacedRecords::Rekey);
        assert_eq!(rekeys.watermark(&good, other, None), Some((own, TIME_MS - 5_000)));
    }

    #[test]
    fn a_control_record_of_any_kind_tells_its_watermark() {
        assert_eq!(
            control_watermark(br#"{"kind":"advance","offset":1,"watermark_ms":5}"#),
            Some(5)
        );
        assert_eq!(control_watermark(br#"{"kind":"configure","offset":1}"#), None);
        assert_eq!(control_watermark(b""), None);
    }
}
