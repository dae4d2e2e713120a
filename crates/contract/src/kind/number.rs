//! Numbers and booleans.

use serde_json::{Value as Json, json};

use super::Kind;
use crate::DecodeError;
use crate::json::{Integer, put_display};
use crate::wire::{Cursor, put_long};

impl Kind for i64 {
    type Value = Self;
    type Json<'de> = Integer;

    const MAX_LEN: usize = 10;

    fn schema() -> Json {
        json!("long")
    }

    #[inline]
    fn put(value: &Self, bytes: &mut Vec<u8>) {
        put_long(*value, bytes);
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
        cursor.long(field)
    }

    fn put_json(value: &Self, bytes: &mut Vec<u8>) {
        put_display(bytes, value);
    }

    fn of_json(Integer(value): Integer, _: &'static str) -> Result<Self, DecodeError> {
        Ok(value)
    }
}

impl Kind for i32 {
    type Value = Self;
    type Json<'de> = Integer;

    const MAX_LEN: usize = 5;

    fn schema() -> Json {
        json!("int")
    }

    #[inline]
    fn put(value: &Self, bytes: &mut Vec<u8>) {
        put_long(i64::from(*value), bytes);
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
        cursor.int(field)
    }

    fn put_json(value: &Self, bytes: &mut Vec<u8>) {
        put_display(bytes, value);
    }

    fn of_json(Integer(value): Integer, field: &'static str) -> Result<Self, DecodeError> {
        let out_of_range = |_| DecodeError::OutOfRange {
            field,
            value: i128::from(value),
        };
        Self::try_from(value).map_err(out_of_range)
    }
}

/// A finite number: JSON has no other, and no sum or mean has a use for NaN.
impl Kind for f64 {
    type Value = Self;
    type Json<'de> = Self;

    const MAX_LEN: usize = size_of::<Self>();

    fn schema() -> Json {
        json!("double")
    }

    #[inline]
    fn put(value: &Self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
        cursor.finite(field)
    }

    fn put_json(value: &Self, bytes: &mut Vec<u8>) {
        match value.is_finite() {
            // The shortest digits that are read as this very number, with an exponent where there
            // would be many zeros.
            true => put_display(bytes, format_args!("{value:?}")),
            false => bytes.extend_from_slice(b"null"),
        }
    }

    fn of_json(value: Self, field: &'static str) -> Result<Self, DecodeError> {
        value
            .is_finite()
            .then_some(value)
            .ok_or(DecodeError::NotFinite { field })
    }
}

impl Kind for bool {
    type Value = Self;
    type Json<'de> = Self;

    const MAX_LEN: usize = 1;

    fn schema() -> Json {
        json!("boolean")
    }

    #[inline]
    fn put(value: &Self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(*value));
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
        cursor.boolean(field)
    }

    fn put_json(value: &Self, bytes: &mut Vec<u8>) {
        put_display(bytes, value);
    }

    fn of_json(value: Self, _: &'static str) -> Result<Self, DecodeError> {
        Ok(value)
    }
}
