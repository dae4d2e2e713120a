//! Decoding of what comes from a topic, whatever schema it was written with.

use std::borrow::Cow;
use std::sync::Arc;

use thiserror::Error;

use crate::known::{Known, KnownSchemas, Ours};
use crate::money::Money;
use crate::source::{RegistryError, SchemaSource, WriterSchema};
use crate::{DecodeError, framing, json};

/// Reads one JSON object.
pub type FromJson<T> = fn(&[u8]) -> Result<T, DecodeError>;

/// A record type of the contracts.
pub trait Contract: Sized {
    /// Our schema.
    const SCHEMA: &'static str;
    /// Its full name.
    const NAME: &'static str;

    /// The fields that are money as a double: a writer's `float` or `decimal` is read as one too.
    /// Others may be there with nothing.
    const MONEY: &'static [(&'static str, Option<Money>)] = &[];
    /// Reads a JSON object, where the contract has that form.
    const FROM_JSON: Option<FromJson<Self>> = None;

    /// What records need beside them that outlive the moment in which they were read.
    type Kept: Default + Clone + std::fmt::Debug;
    /// Keeps that, as long as what it gives is there.
    fn keep(records: &[Self]) -> Self::Kept;

    /// Reads an Avro body that was written with our schema.
    ///
    /// # Errors
    /// Anything but one whole, valid record.
    fn decode(body: &[u8]) -> Result<Self, DecodeError>;
}

/// Why a value could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The value is bad: it belongs on the dead-letter topic.
    #[error(transparent)]
    Invalid(#[from] DecodeError),
    /// The registry cannot be asked: nothing is known of the value, so whoever reads stops and
    /// tries again later.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Decodes values of one topic: Avro in the Confluent framing, written with our schema or one that
/// resolves to it, or JSON where the contract has that form, plain or framed with the id of a JSON
/// schema. A schema id is asked for once; a clone shares what is known.
///
/// A value with a new id blocks the thread while the registry answers; every other value costs no
/// more than its decoding.
#[derive(Debug)]
pub struct Reader<T> {
    schemas: Arc<KnownSchemas>,
    _type: std::marker::PhantomData<fn() -> T>,
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self {
            schemas: Arc::clone(&self.schemas),
            _type: std::marker::PhantomData,
        }
    }
}

impl<T: Contract> Reader<T> {
    /// A reader that asks `source` for schemas it does not know.
    #[must_use]
    pub fn new(source: impl SchemaSource + 'static) -> Self {
        let ours = Ours {
            name: T::NAME,
            schema: T::SCHEMA,
            money: T::MONEY,
            reads_json: T::FROM_JSON.is_some(),
        };
        Self {
            schemas: Arc::new(KnownSchemas::new(ours, Box::new(source))),
            _type: std::marker::PhantomData,
        }
    }

    /// Tells the reader that `schema_id` is the id of our schema, as whoever registered it knows.
    #[must_use]
    pub fn with_own_schema_id(self, schema_id: u32) -> Self {
        self.schemas.remember(schema_id, Known::Ours);
        self
    }

    /// Tells the reader a schema before a value has it, so that none has to wait for the registry.
    /// One that does not fit is left to the values that have it.
    #[must_use]
    pub fn with_schema(self, schema_id: u32, schema: &WriterSchema) -> Self {
        if let Ok(known) = self.schemas.judge(schema_id, schema) {
            self.schemas.remember(schema_id, known);
        }
        self
    }

    /// Whether values of this schema can be read.
    ///
    /// # Errors
    /// Why every value that has it would be bad.
    pub fn check_schema(&self, schema_id: u32, schema: &WriterSchema) -> Result<(), DecodeError> {
        self.schemas.judge(schema_id, schema).map(drop)
    }

    /// Decodes a value.
    ///
    /// # Errors
    /// The value is bad, or its schema is not known and the registry cannot be asked.
    #[inline]
    pub fn read(&self, value: &[u8]) -> Result<T, ReadError> {
        if value.first() != Some(&framing::MAGIC) {
            return Ok(Self::read_json(value)?);
        }
        let (id, body) = framing::split(value)?;
        if self.schemas.is_last_ours(id) {
            return Ok(T::decode(body)?);
        }
        self.read_other(id, body)
    }

    /// The Avro body of a value by our schema, not looked into. Of Avro alone.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn body<'v>(&self, value: &'v [u8]) -> Result<Cow<'v, [u8]>, ReadError> {
        let (id, body) = framing::split(value)?;
        if self.schemas.is_last_ours(id) {
            return Ok(Cow::Borrowed(body));
        }
        match self.schemas.get(id)? {
            Known::Ours => Ok(Cow::Borrowed(body)),
            Known::Other(resolver) => Ok(Cow::Owned(resolver.rewrite(id, body)?)),
            Known::Json => Err(DecodeError::WrongMagic(framing::MAGIC).into()),
            Known::Refused { error, .. } => Err(error.into()),
        }
    }

    fn read_json(value: &[u8]) -> Result<T, DecodeError> {
        match (T::FROM_JSON, value.first()) {
            (_, None) => Err(DecodeError::Empty),
            (Some(from_json), _) if json::is_object(value) => from_json(value),
            (_, Some(&first)) => Err(DecodeError::WrongMagic(first)),
        }
    }

    #[cold]
    fn read_other(&self, id: u32, body: &[u8]) -> Result<T, ReadError> {
        Ok(match self.schemas.get(id)? {
            Known::Ours => T::decode(body)?,
            Known::Other(resolver) => T::decode(&resolver.rewrite(id, body)?)?,
            Known::Json => T::FROM_JSON.map_or(Err(DecodeError::WrongMagic(0)), |read| read(body))?,
            Known::Refused { error, .. } => return Err(error.into()),
        })
    }
}
