//! What the cluster says of topics and groups.

use std::collections::BTreeSet;
use std::time::Duration;

use millrace_settings::Kafka;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::Metadata;

use super::answered::answered;
use super::propagation::Broker;
use super::{AdminError, bounds};
use crate::client::{LastError, reader_config};
use crate::reader::Reader;

/// How long one call may take, unless less is asked for.
const CALL: Duration = Duration::from_secs(15);
/// How long brokers that are busy are asked again, unless less is asked for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most events that are looked at for the reason of a failure, and how long each is waited for.
const MAX_EVENTS: usize = 100;
const EVENT: Duration = Duration::from_millis(50);

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionState {
    /// Its number.
    pub number: i32,
    /// The broker that leads it.
    pub leader: Option<i32>,
    /// How many replicas it has.
    pub replicas: usize,
    /// How many of them are in sync.
    pub in_sync: usize,
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    /// Its full name.
    pub name: String,
    /// Its partitions by number.
    pub partitions: Vec<PartitionState>,
}

/// A connection for look-ups. Topics and groups are given by their full names.
pub struct Lookup {
    kafka: Kafka,
    consumer: BaseConsumer<LastError>,
    limit: Duration,
    patience: Duration,
}

impl Lookup {
    /// Makes the client; the cluster is asked only by the other calls.
    ///
    /// # Errors
    /// The configuration is impossible.
    pub fn connect(kafka: &Kafka) -> Result<Self, AdminError> {
        let config = reader_config(kafka, &format!("{}millrace-lookup", kafka.topic_prefix))?;
        let consumer = config
            .create_with_context(LastError::default())
            .map_err(AdminError::Client)?;
        Ok(Self {
            kafka: kafka.clone(),
            consumer,
            limit: CALL,
            patience: PATIENCE,
        })
    }

    /// Lets a call take no longer than `limit`, where that is less than usual, and makes it once.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = CALL.min(limit);
        self.patience = Duration::ZERO;
        self
    }

    /// Every topic's full name.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub fn topic_names(&self) -> Result<BTreeSet<String>, AdminError> {
        let metadata = self.metadata(None).map_err(self.failed("listing the topics"))?;
        Ok(metadata
            .topics()
            .iter()
            .map(|topic| topic.name().to_owned())
            .collect())
    }

    /// The ids of the brokers that are up.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub fn brokers(&self) -> Result<Vec<i32>, AdminError> {
        let metadata = self.metadata(None).map_err(self.failed("listing the brokers"))?;
        Ok(metadata
            .brokers()
            .iter()
            .map(rdkafka::metadata::MetadataBroker::id)
            .collect())
    }

    /// The brokers that are up, with their addresses for this client.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub(super) fn addresses(&self) -> Result<Vec<Broker>, AdminError> {
        let metadata = self.metadata(None).map_err(self.failed("listing the brokers"))?;
        let of = |broker: &rdkafka::metadata::MetadataBroker| Broker {
            id: broker.id(),
            // An address of IPv6 has colons of its own.
            address: match broker.host() {
                host if host.contains(':') => format!("[{host}]:{}", broker.port()),
                host => format!("{host}:{}", broker.port()),
            },
        };
        Ok(metadata.brokers().iter().map(of).collect())
    }

    /// Every topic's full name, as the broker `id` knows them; `None` where another has answered.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn topic_names_of(&self, id: i32) -> Result<Option<BTreeSet<String>>, AdminError> {
        let metadata = self
            .metadata(None)
            .map_err(self.failed(&format!("listing the topics that broker {id} knows")))?;
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        // A broker that is only known by its address so far has the number -1.
        let is_asked = [id, -1].contains(&metadata.orig_broker_id());
        Ok(is_asked.then(|| names.collect()))
    }

    /// A topic's partitions.
    ///
    /// # Errors
    /// The cluster does not answer, or has no such topic.
    pub fn topic(&self, name: &str) -> Result<TopicState, AdminError> {
        let metadata = self.metadata(Some(name));
        let metadata = metadata.map_err(self.failed(&format!("looking up the topic {name}")))?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        let Some(topic) = topic.filter(|topic| !topic.partitions().is_empty()) else {
            return Err(AdminError::UnknownTopic(name.to_owned()));
        };
        let state = |partition: &rdkafka::metadata::MetadataPartition| PartitionState {
            number: partition.id(),
            leader: (partition.leader() >= 0).then(|| partition.leader()),
            replicas: partition.replicas().len(),
            in_sync: partition.isr().len(),
        };
        let mut partitions: Vec<_> = topic.partitions().iter().map(state).collect();
        partitions.sort_by_key(|partition| partition.number);
        Ok(TopicState {
            name: name.to_owned(),
            partitions,
        })
    }

    /// The end of each partition of a topic: the offset after the last record that a
    /// `read_committed` reader can see.
    ///
    /// # Errors
    /// The cluster does not answer, or has no such topic.
    pub fn end_offsets(&self, topic: &str) -> Result<Vec<i64>, AdminError> {
        let partitions = self.topic(topic)?.partitions;
        let end = |partition: &PartitionState| {
            let ask = || bounds(&self.consumer, topic, partition.number, self.limit);
            answered(self.patience, ask)
                .map(|(_, end)| end)
                .map_err(self.failed(&format!("looking up the ends of {topic}")))
        };
        partitions.iter().map(end).collect()
    }

    /// What `group` has committed for each partition of a topic; `None` where nothing.
    ///
    /// # Errors
    /// The cluster does not answer, or has no such topic; or a transaction that is about to change
    /// one does not end.
    pub fn committed_offsets(&self, group: &str, topic: &str) -> Result<Vec<Option<i64>>, AdminError> {
        let action = format!("looking up what {group} has committed");
        let reader = Reader::new(&reader_config(&self.kafka, group)?).map_err(self.failed(&action))?;
        let partitions = self.topic(topic)?.partitions;
        let committed = |partition: &PartitionState| {
            answered(self.patience, || reader.committed(topic, partition.number))
                .map_err(self.failed(&action))
        };
        partitions.iter().map(committed).collect()
    }

    fn metadata(&self, topic: Option<&str>) -> KafkaResult<Metadata> {
        answered(self.patience, || self.consumer.fetch_metadata(topic, self.limit))
    }

    /// An error with what the client said meanwhile, which is served by polling it.
    fn failed(&self, action: &str) -> impl FnOnce(KafkaError) -> AdminError {
        let action = action.to_owned();
        move |reason| {
            for _ in 0..MAX_EVENTS {
                if self.consumer.poll(EVENT).is_none() {
                    break;
                }
            }
            match self.consumer.context().take() {
                Some(said) => AdminError::Connection {
                    action,
                    said,
                    reason: Box::new(reason),
                },
                None => AdminError::Kafka { action, reason },
            }
        }
    }
}
