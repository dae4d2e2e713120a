//! Whether what is stored of a transaction is of the log that is read.
//!
//! A stored document says by its version which offset it was read at. In one log, a transaction
//! that comes again under an id of before has the first of them there. In a log that was made anew,
//! what is there is another: a corrected file with one row more in front has every row at an offset
//! above the one that the index was filled from. So the log is asked what it has at that offset.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use millrace_contract::ReadError;
use millrace_domain::codec::TransactionReader;
use millrace_domain::texts::InFlight;
use millrace_kafka::log::TopicLog;
use millrace_registry::SchemaFetcher;
use millrace_service::registry;
use millrace_settings::{Kafka, Settings};

use crate::stream::Stream;

/// Looks into the log of the transactions.
#[derive(Clone)]
pub struct Origin(Arc<Inner>);

struct Inner {
    kafka: Kafka,
    topic: String,
    reader: TransactionReader,
    /// Opened when it is first needed, which most sinks never do.
    log: Mutex<Option<TopicLog>>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin")
            .field("topic", &self.0.topic)
            .finish_non_exhaustive()
    }
}

impl Origin {
    /// That of the settings; nothing is connected yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let fetcher = SchemaFetcher::new(registry::config(&settings.schema_registry));
        Self(Arc::new(Inner {
            kafka: settings.kafka.clone(),
            topic: Stream::TRANSACTIONS.read_topic(settings),
            reader: TransactionReader::new(fetcher),
            log: Mutex::default(),
        }))
    }

    /// Whether the log has the transaction `id` at this offset of any partition; `None` where that
    /// cannot be known any more, or now.
    pub async fn has(&self, id: &str, offset: i64) -> Option<bool> {
        let (inner, id) = (Arc::clone(&self.0), id.to_owned());
        let looked = tokio::task::spawn_blocking(move || inner.has(&id, offset)).await;
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

    fn is_of(&self, value: &[u8], id: &str) -> Result<bool, ReadError> {
        let _round = InFlight::begin();
        match self.reader.read(value) {
            Ok(transaction) => Ok(transaction.transaction_id.to_string() == id),
            Err(ReadError::Invalid(_)) => Ok(false),
            Err(error @ ReadError::Registry(_)) => Err(error),
        }
    }
}
