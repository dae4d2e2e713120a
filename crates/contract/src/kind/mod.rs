//! What a field of a contract may be: how it is written and read in Avro and in JSON, and its type
//! in the schema.

mod decimal;
mod number;
mod option;
mod symbols;
mod text;
mod time;
mod uuid;

use serde::Deserialize;
use serde_json::Value as Json;

pub use self::decimal::Decimal;
pub use self::symbols::Symbols;
pub use self::text::{Id, Text};
pub use self::time::{MAX_TIME_MS, Time, unit_hint};
use crate::DecodeError;
use crate::money::Money;
use crate::wire::Cursor;

/// A kind of field. A type that has but one form in a record is its own kind, as `bool` or
/// [`Text`]; where one type has several, the kind is a type beside it, as [`Time`] of `i64`. A
/// domain implements it for its own types.
///
/// Reading and writing allocate nothing, but for what a JSON string with escapes takes.
pub trait Kind {
    /// What a record holds.
    type Value: Copy;
    /// What a JSON value is read as, before [`Kind::of_json`] checks it.
    type Json<'de>: Deserialize<'de>;

    /// The most bytes that one takes in an Avro body.
    const MAX_LEN: usize;
    /// For money as a double: what a writer's float or decimal means.
    const MONEY: Option<Money> = None;

    /// The field's type in the schema, without names and documentation.
    fn schema() -> Json;

    /// Appends the Avro encoding.
    fn put(value: &Self::Value, bytes: &mut Vec<u8>);

    /// Reads the Avro encoding; `field` is the field's name in the schema, for the error.
    ///
    /// # Errors
    /// The bytes end, or are no value of this kind.
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self::Value, DecodeError>;

    /// Appends the JSON value.
    fn put_json(value: &Self::Value, bytes: &mut Vec<u8>);

    /// Checks a JSON value.
    ///
    /// # Errors
    /// It is no value of this kind.
    fn of_json(json: Self::Json<'_>, field: &'static str) -> Result<Self::Value, DecodeError>;

    /// What a JSON object means that does not have the field.
    ///
    /// # Errors
    /// The field must be there.
    fn missing(field: &'static str) -> Result<Self::Value, DecodeError> {
        Err(DecodeError::MissingField(field))
    }
}

/// Up to 40 characters of a value, for a message.
#[must_use]
pub fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}
