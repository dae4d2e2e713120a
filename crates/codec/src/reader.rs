//! Decoding of what comes from a topic, whatever schema it was written with.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use millrace_domain::{MerchantAggregate, Partial, Transaction, schema};
use thiserror::Error;

use crate::fetch::SchemaFetcher;
use crate::resolve::{Relation, Resolver, relate};
use crate::{
    DecodeError, DecodedAnomaly, DecodedLabel, RegistryError, aggregate, anomaly, framing, json, label,
    partial, transaction,
};

/// Reads transactions.
pub type TransactionReader = Reader<Transaction>;
/// Reads merchant aggregates.
pub type AggregateReader = Reader<MerchantAggregate>;
/// Reads partial aggregates.
pub type PartialReader = Reader<Partial>;
/// Reads anomalies.
pub type AnomalyReader = Reader<DecodedAnomaly>;
/// Reads fraud labels.
pub type LabelReader = Reader<DecodedLabel>;

/// A record type of the contracts.
pub trait Contract: Sized {
    /// Our schema.
    const SCHEMA: &'static str;
    /// Its full name.
    const NAME: &'static str;

    /// Reads an Avro body that was written with our schema.
    ///
    /// # Errors
    /// Anything but one whole, valid record.
    fn decode(body: &[u8]) -> Result<Self, DecodeError>;

    /// Reads a JSON object, where the contract has that form.
    ///
    /// # Errors
    /// Anything but one whole, valid record.
    fn decode_json(value: &[u8]) -> Result<Self, DecodeError> {
        Err(value
            .first()
            .map_or(DecodeError::Empty, |&byte| DecodeError::WrongMagic(byte)))
    }
}

impl Contract for Transaction {
    const SCHEMA: &'static str = schema::TRANSACTION;
    const NAME: &'static str = "millrace.Transaction";

    #[inline]
    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        transaction::decode(body)
    }

    fn decode_json(value: &[u8]) -> Result<Self, DecodeError> {
        json::decode(value)
    }
}

impl Contract for MerchantAggregate {
    const SCHEMA: &'static str = schema::MERCHANT_AGGREGATE;
    const NAME: &'static str = "millrace.MerchantAggregate";

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        aggregate::decode(body)
    }
}

impl Contract for Partial {
    const SCHEMA: &'static str = schema::AGGREGATE_PARTIAL;
    const NAME: &'static str = "millrace.AggregatePartial";

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        partial::decode(body)
    }
}

impl Contract for DecodedAnomaly {
    const SCHEMA: &'static str = schema::ANOMALY;
    const NAME: &'static str = "millrace.Anomaly";

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        anomaly::decode(body)
    }
}

impl Contract for DecodedLabel {
    const SCHEMA: &'static str = schema::FRAUD_LABEL;
    const NAME: &'static str = "millrace.FraudLabel";

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        label::decode(body)
    }
}

/// Why a value could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The value is bad: it belongs on the dead-letter topic.
    #[error(transparent)]
    Invalid(#[from] DecodeError),
    /// The registry cannot be asked: nothing is known of the value, so whoever reads stops and tries again later.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// How many schema ids a reader remembers.
const MAX_IDS: usize = 4096;

/// How long a refused id stays refused without asking again.
const REFUSED_FOR: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
enum Known {
    Ours,
    Other(Arc<Resolver>),
    Refused { error: DecodeError, until: Instant },
}

/// Decodes values of one topic: Avro in the Confluent framing, written with our schema or one that resolves to it, or
/// JSON where the contract has that form. A schema id is asked for once; a clone shares what is known.
///
/// A value with a new id blocks the thread while the registry answers; every other value costs no more than its
/// decoding.
#[derive(Debug)]
pub struct Reader<T> {
    shared: Arc<Shared>,
    _type: std::marker::PhantomData<fn() -> T>,
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            _type: std::marker::PhantomData,
        }
    }
}

#[derive(Debug)]
struct Shared {
    fetcher: SchemaFetcher,
    /// The last id that proved to be ours, or [`NO_ID`]: nearly every value has it.
    ours: AtomicU64,
    known: RwLock<HashMap<u32, Known>>,
}

/// Above every id of 32 bits.
const NO_ID: u64 = u64::MAX;

impl<T: Contract> Reader<T> {
    /// A reader that asks `fetcher` for schemas it does not know.
    #[must_use]
    pub fn new(fetcher: SchemaFetcher) -> Self {
        Self {
            shared: Arc::new(Shared {
                fetcher,
                ours: AtomicU64::new(NO_ID),
                known: RwLock::new(HashMap::new()),
            }),
            _type: std::marker::PhantomData,
        }
    }

    /// Tells the reader that `schema_id` is the id of our schema, as whoever registered it knows.
    #[must_use]
    pub fn with_own_schema_id(self, schema_id: u32) -> Self {
        self.remember(schema_id, Known::Ours);
        self
    }

    /// Tells the reader a schema before a value has it, so that none has to wait for the registry. One that does not fit is left
    /// to the values that have it.
    #[must_use]
    pub fn with_schema(self, schema_id: u32, text: &str) -> Self {
        match relate(text, T::SCHEMA) {
            Ok(Relation::Same) => self.remember(schema_id, Known::Ours),
            Ok(Relation::Resolvable(resolver)) => self.remember(schema_id, Known::Other(Arc::from(resolver))),
            Err(_) => {}
        }
        self
    }

    /// Decodes a value.
    ///
    /// # Errors
    /// The value is bad, or its schema is not known and the registry cannot be asked.
    #[inline]
    pub fn read(&self, value: &[u8]) -> Result<T, ReadError> {
        if value.first() == Some(&b'{') {
            return Ok(T::decode_json(value)?);
        }
        let (id, body) = framing::split(value)?;
        if self.shared.ours.load(Ordering::Relaxed) == u64::from(id) {
            return Ok(T::decode(body)?);
        }
        self.read_other(id, body)
    }

    #[cold]
    fn read_other(&self, id: u32, body: &[u8]) -> Result<T, ReadError> {
        match self.known(id)? {
            Known::Ours => {
                self.shared.ours.store(u64::from(id), Ordering::Relaxed);
                Ok(T::decode(body)?)
            }
            Known::Other(resolver) => {
                let ours = resolver
                    .rewrite(body)
                    .map_err(|message| DecodeError::Unresolvable { id, message })?;
                Ok(T::decode(&ours)?)
            }
            Known::Refused { error, .. } => Err(error.into()),
        }
    }

    fn known(&self, id: u32) -> Result<Known, RegistryError> {
        let found = self
            .shared
            .known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned();
        match found {
            Some(Known::Refused { until, .. }) if until <= Instant::now() => {}
            Some(known) => return Ok(known),
            None => {}
        }
        let until = Instant::now() + REFUSED_FOR;
        let mut fetched = self.shared.fetcher.fetch(id)?;
        if fetched.is_none() && self.has_whole_store(id)? {
            // It may have read this one meanwhile.
            fetched = self.shared.fetcher.fetch(id)?;
        }
        let known = match fetched {
            None => Known::Refused {
                error: DecodeError::UnknownSchema { id },
                until,
            },
            Some(text) => match relate(&text, T::SCHEMA) {
                Ok(Relation::Same) => Known::Ours,
                Ok(Relation::Resolvable(resolver)) => Known::Other(Arc::from(resolver)),
                Err(message) => Known::Refused {
                    error: DecodeError::IncompatibleSchema {
                        id,
                        wanted: T::NAME,
                        message,
                    },
                    until,
                },
            },
        };
        self.remember(id, known.clone());
        Ok(known)
    }

    /// Whether the registry still knows an id that it has given before. One that is just starting answers that it knows none:
    /// a record would be among the dead letters for that. `false` if there is no id to ask for.
    fn has_whole_store(&self, id: u32) -> Result<bool, RegistryError> {
        let given = |(id, known): (&u32, &Known)| {
            let is_given = matches!(known, Known::Ours | Known::Other(_));
            is_given.then_some(*id)
        };
        let known = self.shared.known.read().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = known.iter().find_map(given) else {
            return Ok(false);
        };
        drop(known);
        match self.shared.fetcher.fetch(before)? {
            Some(_) => Ok(true),
            None => Err(self.shared.fetcher.unavailable(
                id,
                &format!("it does not know schema {before} either, which it has given before: it is still reading its store"),
            )),
        }
    }

    fn remember(&self, id: u32, known: Known) {
        let mut ids = self.shared.known.write().unwrap_or_else(PoisonError::into_inner);
        // Only garbage brings thousands of ids; what is good is soon asked for again.
        if ids.len() >= MAX_IDS {
            ids.retain(|_, known| !matches!(known, Known::Refused { .. }));
        }
        if ids.len() >= MAX_IDS {
            ids.clear();
        }
        if matches!(known, Known::Ours) {
            self.shared.ours.store(u64::from(id), Ordering::Relaxed);
        }
        ids.insert(id, known);
    }
}
