//! What the transactions' topic has seen: how far its partitions' watermarks are.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use millrace_codec::{SchemaFetcher, TransactionReader};
use millrace_domain::topic;
use millrace_kafka::client::{LogBridge, reader_config};
use millrace_kafka::topic_name;
use millrace_settings::Settings;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::replay::Stream;

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
    let transactions = topic_name(&settings.kafka, topic::TRANSACTIONS);
    let control = topic_name(&settings.kafka, topic::AGGREGATES_CONTROL);
    let partitions = count_partitions(&consumer, &transactions)?
        .ok_or_else(|| anyhow!("there is no topic {transactions}: `millrace init` creates it"))?;
    let mut ends = Ends::default();
    ends.add(&consumer, &transactions, partitions, LAST_TRANSACTIONS)?;
    if let Some(partitions) = count_partitions(&consumer, &control)? {
        ends.add(&consumer, &control, partitions, LAST_CONTROLS)?;
    }
    let schemas = SchemaFetcher::new(millrace_service::registry::config(&settings.schema_registry));
    let reader = TransactionReader::new(schemas);
    let max_disorder_ms = settings.aggregator.event_time.max_disorder_ms;
    let mut watermarks: Vec<Option<i64>> = vec![None; partitions as usize];
    ends.read(&consumer, |message| {
        let payload = message.payload().unwrap_or_default();
        let watermark_ms = if message.topic() == control {
            control_watermark(payload)
        } else {
            // What cannot be decoded has no event time for the aggregator either.
            let time_ms = reader
                .read(payload)
                .ok()
                .map(|transaction| transaction.transaction_time_ms);
            time_ms.map(|time_ms| time_ms - max_disorder_ms)
        };
        let partition = usize::try_from(message.partition()).unwrap_or_default();
        if let Some(highest) = watermarks.get_mut(partition) {
            *highest = (*highest).max(watermark_ms);
        }
    })?;
    Ok(Stream {
        topic: transactions,
        watermarks,
    })
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
    use super::*;

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
