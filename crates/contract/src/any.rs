//! Records of any contract, as the bytes of their fields: for whoever writes down what a stream
//! has, whatever it is a stream of.

use crate::money::Money;
use crate::source::WriterSchema;
use crate::{Contract, DecodeError, Encode, Event, ReadError, Reader, SchemaSource};

/// A contract by its schema, without the type of its records.
#[derive(Debug, Clone, Copy)]
pub struct AnyContract {
    /// The schema.
    pub schema: &'static str,
    /// As [`Contract::MONEY`].
    pub money: &'static [(&'static str, Option<Money>)],
    /// Whether they are events, which the jobs of their stream take or refuse.
    pub is_of_events: bool,
    reader: Open,
}

/// A reader that knows the newest schema, with its id, where there is one.
type Open = fn(Box<dyn SchemaSource>, Option<&(u32, WriterSchema)>) -> Box<dyn AnyReader>;

impl AnyContract {
    /// The contract of a stream's events.
    #[must_use]
    pub const fn of_events<T: Event + Encode>() -> Self {
        Self::read_by::<T>(
            |source, newest| Box::new(OfEvents(open::<T>(source, newest))),
            true,
        )
    }

    /// The contract of results.
    #[must_use]
    pub const fn of_results<T: Encode + 'static>() -> Self {
        Self::read_by::<T>(
            |source, newest| Box::new(OfResults(open::<T>(source, newest))),
            false,
        )
    }

    /// The contract of results whose bodies are taken as they were written.
    #[must_use]
    pub const fn of_bodies<T: Contract + 'static>() -> Self {
        Self::read_by::<T>(
            |source, newest| Box::new(OfBodies(open::<T>(source, newest))),
            false,
        )
    }

    const fn read_by<T: Contract>(reader: Open, is_of_events: bool) -> Self {
        Self {
            schema: T::SCHEMA,
            money: T::MONEY,
            is_of_events,
            reader,
        }
    }

    /// A reader of its records, which asks `source` for schemas that it does not know, and knows
    /// the `newest`.
    #[must_use]
    pub fn reader(
        &self,
        source: Box<dyn SchemaSource>,
        newest: Option<&(u32, WriterSchema)>,
    ) -> Box<dyn AnyReader> {
        (self.reader)(source, newest)
    }
}

fn open<T: Contract>(source: Box<dyn SchemaSource>, newest: Option<&(u32, WriterSchema)>) -> Reader<T> {
    let reader = Reader::new(source);
    match newest {
        Some((id, schema)) => reader.with_schema(*id, schema),
        None => reader,
    }
}

/// Whether the jobs of a stream take an event of this time, whose record is to be keyed so; the
/// error says why not.
pub type Take<'a> = dyn Fn(i64, &[u8]) -> Result<(), DecodeError> + 'a;

/// Reads the records of a contract, whichever it is.
pub trait AnyReader: Send + Sync {
    /// Appends the Avro body of a value by our schema. An event is one that can have been so, and
    /// that `take` takes; of results that is not asked for.
    ///
    /// # Errors
    /// The value is bad, or refused; or its schema is not known and the registry cannot be asked.
    fn read(&self, value: &[u8], take: &Take<'_>, body: &mut Vec<u8>) -> Result<(), ReadError>;
}

struct OfEvents<T>(Reader<T>);

impl<T: Event + Encode> AnyReader for OfEvents<T> {
    fn read(&self, value: &[u8], take: &Take<'_>, body: &mut Vec<u8>) -> Result<(), ReadError> {
        let event = self.0.read(value)?;
        take(event.time_ms(), event.key().as_ref())?;
        event.check()?;
        event.encode(body);
        Ok(())
    }
}

struct OfResults<T>(Reader<T>);

impl<T: Encode> AnyReader for OfResults<T> {
    fn read(&self, value: &[u8], _: &Take<'_>, body: &mut Vec<u8>) -> Result<(), ReadError> {
        self.0.read(value)?.encode(body);
        Ok(())
    }
}

struct OfBodies<T>(Reader<T>);

impl<T: Contract> AnyReader for OfBodies<T> {
    fn read(&self, value: &[u8], _: &Take<'_>, body: &mut Vec<u8>) -> Result<(), ReadError> {
        let found = self.0.body(value)?;
        T::decode(&found)?;
        body.extend_from_slice(&found);
        Ok(())
    }
}
