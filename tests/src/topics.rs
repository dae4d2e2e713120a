//! Reading whole topics, as a naive consumer would.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use millrace_contract::{Contract, Reader};
use millrace_settings::Settings;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use crate::pipeline::{LIMIT, schemas};
use crate::{TestContext, wait_until};

/// How long reading one topic may take.
const READ_LIMIT: Duration = Duration::from_secs(120);
/// How long one question to a broker may take.
const CALL: Duration = Duration::from_secs(60);
/// How long one look for a topic may take, of several.
const LOOK: Duration = Duration::from_secs(10);

/// One record, owned.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Partition it was read from.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its time in the log, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Whether that is the broker's.
    pub is_append_time: bool,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; empty where there is none.
    pub payload: Vec<u8>,
    /// Headers in order.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// The header `name` as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let value = self
            .headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }
}

impl From<&BorrowedMessage<'_>> for Record {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        Self {
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
            is_append_time: matches!(message.timestamp(), rdkafka::Timestamp::LogAppendTime(_)),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().unwrap_or_default().to_vec(),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
                .collect(),
        }
    }
}

/// Reads the committed records of `topic` (before the prefix) from its start to its present end, in
/// order within a partition.
///
/// # Errors
/// The topic is missing, or reading takes longer than two minutes.
pub async fn read(settings: &Settings, topic: &str) -> Result<Vec<Record>> {
    let name = format!("{}{topic}", settings.kafka.topic_prefix);
    let bootstrap_servers = settings.kafka.bootstrap_servers.clone();
    tokio::task::spawn_blocking(move || read_blocking(&bootstrap_servers, &name)).await?
}

/// As [`read`], with what the record's value is.
///
/// # Errors
/// As of [`read`], or a value is no `T`.
pub async fn read_as<T>(context: &TestContext, topic: &str) -> Result<Vec<(Record, T)>>
where
    T: Contract + Send + 'static,
{
    let records = read(&context.settings, topic).await?;
    let reader = Reader::<T>::new(schemas(context));
    let read = move |record: Record| -> Result<_> {
        let value = reader.read(&record.payload)?;
        Ok((record, value))
    };
    tokio::task::spawn_blocking(move || records.into_iter().map(read).collect()).await?
}

/// As [`read_as`], the values alone.
///
/// # Errors
/// As of [`read_as`].
pub async fn values<T>(context: &TestContext, topic: &str) -> Result<Vec<T>>
where
    T: Contract + Send + 'static,
{
    let records = read_as(context, topic).await?;
    Ok(records.into_iter().map(|(_, value)| value).collect())
}

/// Waits until `topic` has `count` committed records.
///
/// # Errors
/// It has fewer after [`LIMIT`], or cannot be read.
pub async fn wait_for_records(settings: &Settings, topic: &str, count: usize) -> Result<()> {
    wait_until(&format!("{count} records in {topic}"), LIMIT, || async {
        Ok((read(settings, topic).await?.len() >= count).then_some(()))
    })
    .await
}

/// Waits until every broker knows all that has been done to topics by now: made, changed, or
/// deleted. A client asks any of them, and one may hear of it later than the others.
///
/// Each follows one log of such changes, in its order. So one that knows a topic made just now
/// knows all that came before. Where clients log in, nobody is asked: those here do not.
///
/// # Errors
/// One does not hear of it within [`LIMIT`].
pub async fn known_to_all_brokers(settings: &Settings) -> Result<()> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    if !settings.kafka.properties.is_empty() {
        return Ok(());
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}known-to-all-{number}", settings.kafka.topic_prefix);
    let topic = NewTopic::new(&name, 1, TopicReplication::Fixed(1));
    let (admin, options) = (admin(settings)?, AdminOptions::new().request_timeout(Some(CALL)));
    wait_until(&format!("{name} to be made"), LIMIT, || async {
        let made = admin.create_topics([&topic], &options).await;
        // It is there already where an answer got lost.
        let is_made = made.is_ok_and(|made| {
            let mut made = made.iter();
            made.all(|made| matches!(made, Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))))
        });
        Ok(is_made.then_some(()))
    })
    .await?;
    for server in settings.kafka.bootstrap_servers.split(',') {
        wait_until(&format!("{server} to know {name}"), LIMIT, || async {
            let (server, name) = (server.to_owned(), name.clone());
            let is_known = tokio::task::spawn_blocking(move || knows(&server, &name));
            Ok(is_known.await??.then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Whether a broker knows a topic. The client is a new one, which has no other to ask.
fn knows(server: &str, topic: &str) -> Result<bool> {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", server)
        .set("log_level", "0")
        .create()?;
    let found = client.fetch_metadata(Some(topic), LOOK);
    Ok(found.is_ok_and(|found| found.topics().iter().any(|found| !found.partitions().is_empty())))
}

fn admin(settings: &Settings) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", &settings.kafka.bootstrap_servers)
        .create()?)
}

/// Deletes every topic of a test that has ended. Each partition that stays is looked at in every
/// fetch of the brokers from each other, moved when one of them dies, and kept in their heaps:
/// after eighty tests that was most of what they did.
///
/// # Errors
/// The brokers do not answer, or refuse.
pub async fn delete_all(settings: &Settings) -> Result<()> {
    let (admin, prefix) = (admin(settings)?, settings.kafka.topic_prefix.clone());
    let bootstrap_servers = settings.kafka.bootstrap_servers.clone();
    let names = tokio::task::spawn_blocking(move || -> Result<Vec<String>> {
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &bootstrap_servers)
            .create()?;
        let found = client.fetch_metadata(None, CALL)?;
        let names = found.topics().iter().map(|topic| topic.name().to_owned());
        Ok(names.filter(|name| name.starts_with(&prefix)).collect())
    });
    let names = names.await??;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let options = AdminOptions::new().request_timeout(Some(CALL));
    if !names.is_empty() {
        admin.delete_topics(&names, &options).await?;
    }
    Ok(())
}

/// Deletes the records before an offset of each of these partitions.
///
/// # Errors
/// The brokers refuse.
pub async fn delete_before(
    settings: &Settings,
    topic: &str,
    offsets: impl IntoIterator<Item = (i32, i64)>,
) -> Result<()> {
    let name = format!("{}{topic}", settings.kafka.topic_prefix);
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset(&name, partition, Offset::Offset(offset))?;
    }
    let (admin, options) = (admin(settings)?, AdminOptions::new().request_timeout(Some(CALL)));
    // A broker that is busy does not always answer in time. What is deleted may be deleted again.
    wait_until(&format!("the start of {topic} to be deleted"), LIMIT, || async {
        let outcome = match admin.delete_records(&list, &options).await {
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut) => {
                return Ok(None);
            }
            outcome => outcome?,
        };
        for element in outcome.elements() {
            match element.error() {
                Err(KafkaError::OffsetFetch(RDKafkaErrorCode::OperationTimedOut)) => return Ok(None),
                outcome => outcome?,
            }
        }
        Ok(Some(()))
    })
    .await
}

fn read_blocking(bootstrap_servers: &str, topic: &str) -> Result<Vec<Record>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap_servers)
        .set("group.id", "reader-that-commits-nothing")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .create()?;
    let partitions = assign_all(&consumer, topic)?;
    let start = Instant::now();
    let (mut records, mut at_end) = (Vec::new(), vec![false; partitions]);
    while at_end.contains(&false) {
        if start.elapsed() > READ_LIMIT {
            bail!("{topic} was not read to its end in {} s", READ_LIMIT.as_secs());
        }
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => records.push(Record::from(&message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => at_end[usize::try_from(partition)?] = true,
            // The client's to mend, and told of nevertheless.
            Some(Err(error)) if is_of_the_connection(&error) => {}
            Some(Err(error)) => return Err(error).with_context(|| format!("reading {topic}")),
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    Ok(records)
}

fn is_of_the_connection(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
        )
    )
}

fn assign_all(consumer: &BaseConsumer, topic: &str) -> Result<usize> {
    let metadata = consumer.fetch_metadata(Some(topic), CALL)?;
    let partitions = metadata
        .topics()
        .first()
        .map_or(0, |found| found.partitions().len());
    if partitions == 0 {
        bail!("there is no topic {topic}");
    }
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, i32::try_from(partition)?, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    Ok(partitions)
}
