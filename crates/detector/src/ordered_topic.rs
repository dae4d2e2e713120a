//! A topic of one partition, whose records have one order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;

use anyhow::Context as _;
use millrace_contract::ReadError;
use millrace_contract::reader::Contract;
use millrace_kafka::client::reader_config;
use millrace_kafka::reader::Reader;
use millrace_kafka::topic_name;
use millrace_registry::{Registry, SchemaFetcher};
use millrace_service::registry;
use millrace_settings::Settings;
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message as _};

use crate::follow::{PAUSE, patiently};

/// The one partition.
pub(crate) const PARTITION: i32 = 0;

/// The topic, to be read from its start and followed.
pub struct OrderedTopic<T> {
    pub(crate) kafka: Reader,
    pub(crate) name: String,
    pub(crate) values: millrace_contract::Reader<T>,
    schema_id: u32,
}

impl<T: Contract> OrderedTopic<T> {
    /// Opens a topic by its name before any prefix, with clients of this group; `None` where it was
    /// not made yet.
    ///
    /// # Errors
    /// The brokers or the registry do not answer, or `init` has not come to its end.
    pub(crate) async fn open(settings: &Settings, topic: &str, group: &str) -> anyhow::Result<Option<Self>> {
        let name = topic_name(&settings.kafka, topic);
        let group = format!("{}{group}", settings.kafka.topic_prefix);
        let kafka = Reader::new(&reader_config(&settings.kafka, &group)?)?;
        let asked = name.clone();
        let look = move || patiently(|| Ok(kafka.partitions(&asked)?)).map(|found| (kafka, found));
        let (kafka, partitions) = tokio::task::spawn_blocking(look)
            .await?
            .with_context(|| format!("Kafka at {} does not answer", settings.kafka.bootstrap_servers))?;
        if partitions == 0 {
            return Ok(None);
        }
        let config = registry::config(&settings.schema_registry);
        let client = Registry::new(config.clone())?;
        let schema_id = registry::schema_id(&client, &name, T::SCHEMA).await?;
        let values = millrace_contract::Reader::new(SchemaFetcher::new(config)).with_own_schema_id(schema_id);
        Ok(Some(Self {
            kafka,
            name,
            values,
            schema_id,
        }))
    }
}

impl<T> OrderedTopic<T> {
    /// Hands over the records from `next` on as they come, while they are wanted, and says by
    /// `None` that there is nothing more for the moment. A record whose schema the registry does
    /// not give is handed over again; `what` it is, the log tells meanwhile. One that is no value
    /// goes to `refuse`, with its offset.
    ///
    /// # Errors
    /// The client refuses the partition.
    pub(crate) fn follow(
        &self,
        (next, what): (i64, &str),
        is_wanted: &AtomicBool,
        mut take: impl FnMut(Option<&BorrowedMessage<'_>>) -> Result<(), ReadError>,
        refuse: impl Fn(i64, &ReadError),
    ) -> KafkaResult<()> {
        let is_wanted = || is_wanted.load(Ordering::Relaxed);
        self.kafka
            .follow(&self.name, PARTITION, next, is_wanted, |message| {
                loop {
                    match (take(message), message) {
                        (Err(ReadError::Registry(error)), Some(_)) if is_wanted() => {
                            tracing::warn!(%error, "{what} waits for the schema registry");
                            sleep(PAUSE);
                        }
                        (Err(error), Some(message)) => return refuse(message.offset(), &error),
                        _ => return,
                    }
                }
            })
    }

    /// Its full name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the schema that its values are written with.
    #[must_use]
    pub fn schema_id(&self) -> u32 {
        self.schema_id
    }
}
