//! What is indexed, a line for each: the documents of the catalog, and what makes one of a value.

use std::fmt::Debug;

use millrace_catalog::{DocumentSpec, clickstream, commerce, incidents, iot, payments};
use millrace_contract::{Contract, Reader};
use millrace_kafka::SourcePartitions;
use millrace_registry::{RegistryError, SchemaFetcher};
use millrace_service::registry::TopicSchemas;
use millrace_service::sink::value;
use millrace_settings::{MisplacedRecords, Settings};
use millrace_sink::{Decision, Work};

use crate::decode::{Events, Record};
use crate::document::{self, Document, NoDocument};
use crate::origin::{Identify, identify};

/// Makes what tells an event in the log from another.
pub(crate) type OpenIdentity = fn(&SchemaFetcher) -> Box<dyn Identify>;

/// What is indexed of one stream.
pub(crate) struct Line {
    /// The documents, as the catalog has them.
    pub(crate) documents: &'static DocumentSpec,
    /// Whether of records with one id the first in the log stays.
    pub(crate) first_stays: bool,
    /// What knows an event in the log by its document's id, where the documents are a stream's
    /// events, of which one id may come twice; `None` of results.
    pub(crate) identity: Option<OpenIdentity>,
    /// How its values become documents; `None` of transactions, which are chosen and checked by
    /// [`crate::decode`] itself.
    pub(crate) decoding: Option<&'static dyn Decoding>,
}

/// Every line, in the order of the catalog.
pub(crate) const TABLE: &[Line] = &[
    Line {
        documents: &payments::TRANSACTION_DOCUMENTS,
        first_stays: true,
        identity: Some(|fetcher| identify(fetcher, document::transaction)),
        decoding: None,
    },
    line(
        &payments::AGGREGATE_DOCUMENTS,
        &Of(|it, _| document::aggregate(it)),
    ),
    Line {
        first_stays: true,
        ..line(&payments::ANOMALY_DOCUMENTS, &Of(document::anomaly))
    },
    line(
        &clickstream::PAGE_VIEW_DOCUMENTS,
        &Of(|it, _| document::page_views(it)),
    ),
    line(
        &clickstream::SESSION_DOCUMENTS,
        &Of(|it, _| document::session(it)),
    ),
    line(&iot::MINUTE_DOCUMENTS, &Of(|it, _| document::device_minute(it))),
    line(&iot::ALERT_DOCUMENTS, &Of(|it, _| document::device_alert(it))),
    line(&iot::STATE_DOCUMENTS, &Of(document::device_state)),
    Line {
        first_stays: true,
        identity: Some(|fetcher| identify(fetcher, document::shop_event)),
        ..line(
            &commerce::EVENT_DOCUMENTS,
            &Events {
                jobs: |settings| settings.commerce.jobs(),
                document: document::shop_event,
            },
        )
    },
    line(&commerce::REVENUE_DOCUMENTS, &Of(|it, _| document::revenue(it))),
    line(
        &commerce::PRODUCT_SALES_DOCUMENTS,
        &Of(|it, _| document::product_sales(it)),
    ),
    line(&commerce::FUNNEL_DOCUMENTS, &Of(|it, _| document::funnel(it))),
    line(
        &incidents::INCIDENT_DOCUMENTS,
        &Of(|it, _| document::incident(it)),
    ),
];

/// Of records that are final, or whose versions rise.
const fn line(documents: &'static DocumentSpec, decoding: &'static dyn Decoding) -> Line {
    Line {
        documents,
        first_stays: false,
        identity: None,
        decoding: Some(decoding),
    }
}

/// How a stream's values become documents.
pub(crate) trait Decoding: Sync {
    /// What becomes of the stream's records that lie elsewhere than those of their key: where they
    /// are dead letters, its partitions are to be known.
    fn misplaced_records(&self, _settings: &Settings) -> MisplacedRecords {
        MisplacedRecords::Count
    }

    /// What decides on each of them.
    fn open(&self, opening: Opening<'_>) -> Box<dyn Decide>;
}

/// What is known when a stream begins to be read.
pub(crate) struct Opening<'a> {
    pub(crate) settings: &'a Settings,
    /// Those of its values.
    pub(crate) schemas: &'a TopicSchemas,
    /// Its partitions, where misplaced records are dead letters.
    pub(crate) partitions: Option<SourcePartitions>,
}

/// Decides what to do with a value.
pub(crate) trait Decide: Send + Sync + Debug {
    /// The decision on a record.
    ///
    /// # Errors
    /// Nothing is known of the record, as the registry cannot be asked for its schema.
    fn decide(&self, record: Record<'_>) -> Result<Decision<Document>, RegistryError>;
}

/// The document of a value that was read at an offset.
pub(crate) type ToDocument<T> = fn(&T, i64) -> Result<Document, NoDocument>;

/// Of results: each becomes a document, or a dead letter.
struct Of<T>(ToDocument<T>);

impl<T: Contract + Debug + 'static> Decoding for Of<T> {
    fn open(&self, opening: Opening<'_>) -> Box<dyn Decide> {
        Box::new(Read::<T> {
            reader: opening.schemas.reader(),
            document: self.0,
        })
    }
}

#[derive(Debug)]
struct Read<T> {
    reader: Reader<T>,
    document: ToDocument<T>,
}

impl<T: Contract + Debug> Decide for Read<T> {
    fn decide(&self, record: Record<'_>) -> Result<Decision<Document>, RegistryError> {
        let (code, error) = match value(&self.reader, record.value())? {
            Err(error) => (error.code(), error.to_string()),
            Ok(value) => match (self.document)(&value, record.offset) {
                Ok(document) => return Ok(Decision::Work(Work::Write(document))),
                Err(error) => (error.code(), error.to_string()),
            },
        };
        Ok(Decision::Work(Work::DeadLetter { code, error }))
    }
}
