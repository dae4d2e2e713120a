//! A field that may be null: the union of null and another kind, in this order.

use serde_json::{Value as Json, json};

use super::Kind;
use crate::DecodeError;
use crate::money::Money;
use crate::wire::{Cursor, put_long};

/// Null is 0 in the union. A JSON object may also leave the field out.
impl<K: Kind> Kind for Option<K> {
    type Value = Option<K::Value>;
    type Json<'de> = Option<K::Json<'de>>;

    const MAX_LEN: usize = 1 + K::MAX_LEN;
    const MONEY: Option<Money> = K::MONEY;

    fn schema() -> Json {
        json!(["null", K::schema()])
    }

    #[inline]
    fn put(value: &Self::Value, bytes: &mut Vec<u8>) {
        put_long(i64::from(value.is_some()), bytes);
        if let Some(value) = value {
            K::put(value, bytes);
        }
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self::Value, DecodeError> {
        let is_there = cursor.one_of(field, &[false, true])?;
        is_there.then(|| K::read(cursor, field)).transpose()
    }

    fn put_json(value: &Self::Value, bytes: &mut Vec<u8>) {
        match value {
            Some(value) => K::put_json(value, bytes),
            None => bytes.extend_from_slice(b"null"),
        }
    }

    fn of_json(json: Self::Json<'_>, field: &'static str) -> Result<Self::Value, DecodeError> {
        json.map(|json| K::of_json(json, field)).transpose()
    }

    fn missing(_: &'static str) -> Result<Self::Value, DecodeError> {
        Ok(None)
    }
}
