//! What is indexed, a line for each: the documents of the catalog, and what makes one of a value.

use std::fmt::Debug;

use millrace_catalog::{DocumentSpec, clickstream, incidents, iot, payments};
use millrace_contract::{Contract, ReadError, Reader};
use millrace_registry::{RegistryError, SchemaFetcher, WriterSchema};
use millrace_sink::{Decision, Work};

use crate::document::{self, Document, NoDocument};

/// What is indexed of one stream.
pub(crate) struct Line {
    /// The documents, as the catalog has them.
    pub(crate) documents: &'static DocumentSpec,
    /// Whether of records with one id the first in the log stays.
    pub(crate) first_stays: bool,
    /// How its values become documents; `None` of transactions, which are chosen and checked by
    /// [`crate::decode`] itself.
    pub(crate) decoding: Option<&'static dyn Decoding>,
}

/// Every line, in the order of the catalog.
pub(crate) const TABLE: &[Line] = &[
    Line {
        documents: &payments::TRANSACTION_DOCUMENTS,
        first_stays: true,
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
        decoding: Some(decoding),
    }
}

/// How a stream's values become documents.
pub(crate) trait Decoding: Sync {
    /// What decides on each of them, knowing the newest schema of its writers.
    fn open(&self, fetcher: &SchemaFetcher, newest: Option<&(u32, WriterSchema)>) -> Box<dyn Decide>;
}

/// Decides what to do with a value.
pub(crate) trait Decide: Send + Sync + Debug {
    /// The decision on a value that was read at `offset`.
    ///
    /// # Errors
    /// Nothing is known of the value, as the registry cannot be asked for its schema.
    fn decide(&self, value: &[u8], offset: i64) -> Result<Decision<Document>, RegistryError>;
}

type ToDocument<T> = fn(&T, i64) -> Result<Document, NoDocument>;

/// The document of a value, with the offset that it was read at.
struct Of<T>(ToDocument<T>);

impl<T: Contract + Debug + 'static> Decoding for Of<T> {
    fn open(&self, fetcher: &SchemaFetcher, newest: Option<&(u32, WriterSchema)>) -> Box<dyn Decide> {
        let reader = Reader::<T>::new(fetcher.clone());
        let reader = match newest {
            Some((id, schema)) => reader.with_schema(*id, schema),
            None => reader,
        };
        Box::new(Read {
            reader,
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
    fn decide(&self, value: &[u8], offset: i64) -> Result<Decision<Document>, RegistryError> {
        let (code, error) = match self.reader.read(value) {
            Err(ReadError::Registry(error)) => return Err(error),
            Err(ReadError::Invalid(error)) => (error.code(), error.to_string()),
            Ok(value) => match (self.document)(&value, offset) {
                Ok(document) => return Ok(Decision::Work(Work::Write(document))),
                Err(error) => (error.code(), error.to_string()),
            },
        };
        Ok(Decision::Work(Work::DeadLetter { code, error }))
    }
}
