//! UUIDs: 16 bytes inside, 36 characters outside.

use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{Kind, shown};
use crate::DecodeError;
use crate::hex::{TEXT_LEN, parse, to_text};
use crate::json::{Text as JsonText, put_string};
use crate::wire::{Cursor, put_bytes};

/// In the hyphenated form, in either case.
impl Kind for Uuid {
    type Value = Self;
    type Json<'de> = JsonText<'de>;

    const MAX_LEN: usize = 1 + TEXT_LEN;

    fn schema() -> Json {
        json!({"type": "string", "logicalType": "uuid"})
    }

    #[inline]
    fn put(value: &Self, bytes: &mut Vec<u8>) {
        put_bytes(&to_text(value.as_bytes()), bytes);
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
        of_text(cursor.bytes(field)?, field)
    }

    fn put_json(value: &Self, bytes: &mut Vec<u8>) {
        let text = to_text(value.as_bytes());
        put_string(bytes, std::str::from_utf8(&text).expect("ASCII"));
    }

    fn of_json(JsonText(text): JsonText<'_>, field: &'static str) -> Result<Self, DecodeError> {
        of_text(text.as_bytes(), field)
    }
}

#[inline]
fn of_text(text: &[u8], field: &'static str) -> Result<Uuid, DecodeError> {
    let bytes = text.try_into().ok().and_then(parse);
    bytes.map(Uuid::from_bytes).ok_or_else(|| no_uuid(text, field))
}

#[cold]
fn no_uuid(text: &[u8], field: &'static str) -> DecodeError {
    let text = shown(&String::from_utf8_lossy(text));
    DecodeError::Invalid {
        code: "invalid_uuid",
        message: format!("{field} {text:?} is not a UUID as in 6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11"),
    }
}
