//! Whether what is stored of an event is of the log that is read.
//!
//! A stored document says by its version which offset it was read at. In one log, a transaction
//! that comes again under an id of before has the first of them there, and so has a shop's event.
//! In a log that was made anew, what is there is another: a corrected file with one row more in
//! front has every row at an offset above the one that the index was filled from. So the log is
//! asked what it has at that offset.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use millrace_contract::{Contract, ReadError, Reader};
use millrace_domain::texts::InFlight;
use millrace_kafka::log::TopicLog;
use millrace_registry::{RegistryError, SchemaFetcher};
use millrace_service::registry;
use millrace_settings::{Kafka, Settings};

use crate::stream::Stream;
use crate::table::ToDocument;

/// Knows an event by its document's id.
pub(crate) trait Identify: Send + Sync {
    /// The id of the document of a value; `None` of what can be none.
    ///
    /// # Errors
    /// Nothing is known of the value, as the registry cannot be asked for its schema.
    fn id(&self, value: &[u8]) -> Result<Option<String>, RegistryError>;
}

/// Knows the events of which these are the documents.
pub(crate) fn identify<T: Contract + 'static>(
    fetcher: &SchemaFetcher,
    document: ToDocument<T>,
) -> Box<dyn Identify> {
    Box::new(Known {
        reader: Reader::new(fetcher.clone()),
        document,
    })
}

struct Known<T> {
    reader: Reader<T>,
    document: ToDocument<T>,
}

impl<T: Contract> Identify for Known<T> {
    fn id(&self, value: &[u8]) -> Result<Option<String>, RegistryError> {
        match self.reader.read(value) {
            // The offset is in a document's version alone.
            Ok(event) => Ok((self.document)(&event, 0).ok().map(|document| document.id)),
            Err(ReadError::Invalid(_)) => Ok(None),
            Err(ReadError::Registry(error)) => Err(error),
        }
    }
}

/// Looks into the logs of the streams whose events are documents.
#[derive(Clone)]
pub struct Origin(Arc<BTreeMap<Stream, Inner>>);

struct Inner {
    kafka: Kafka,
    topic: String,
    identity: Box<dyn Identify>,
    /// Opened when it is first needed, which most sinks never do.
    log: Mutex<Option<TopicLog>>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Origin")
            .field(&self.0.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl Origin {
    /// Those of the settings; nothing is connected yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let fetcher = SchemaFetcher::new(registry::config(&settings.schema_registry));
        let of = |stream: Stream| {
            let inner = Inner {
                kafka: settings.kafka.clone(),
                topic: stream.read_topic(settings),
                identity: stream.line().identity?(&fetcher),
                log: Mutex::default(),
            };
            Some((stream, inner))
        };
        Self(Arc::new(Stream::ALL.into_iter().filter_map(of).collect()))
    }

    /// Whether the stream's log has the event `id` at this offset of any partition; `None` where
    /// that cannot be known any more, or now.
    pub async fn has(&self, stream: Stream, id: &str, offset: i64) -> Option<bool> {
        let (logs, id) = (Arc::clone(&self.0), id.to_owned());
        let look = move || logs.get(&stream).map_or(Ok(None), |log| log.has(&id, offset));
        let looked = tokio::task::spawn_blocking(look).await;
        match looked {
            Ok(Ok(known)) => known,
            Ok(Err(error)) => {
                tracing::debug!(offset, "the log cannot be asked what it has there: {error:#}");
                None
            }
            Err(_ended) => None,
        }
    }
}

impl Inner {
    fn has(&self, id: &str, offset: i64) -> anyhow::Result<Option<bool>> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that was opened before may have more partitions by now.
        let mut known = log.take();
        loop {
            let is_new = known.is_none();
            let open = match known.take() {
                Some(open) => open,
                None => TopicLog::open(&self.kafka, self.topic.clone())?,
            };
            let found = open.at(offset)?;
            let is_there = found.values.iter().try_fold(false, |is_there, value| {
                anyhow::Ok(is_there || self.is_of(value, id)?)
            })?;
            if is_there || found.is_removed || is_new {
                *log = Some(open);
                return Ok((is_there || !found.is_removed).then_some(is_there));
            }
        }
    }

    fn is_of(&self, value: &[u8], id: &str) -> Result<bool, RegistryError> {
        let _round = InFlight::begin();
        Ok(self.identity.id(value)?.as_deref() == Some(id))
    }
}
