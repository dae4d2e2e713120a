//! The field kinds of this domain: ids, money and symbols.

use millrace_contract::json::{Text, put_display, put_string};
use millrace_contract::money::Money;
use millrace_contract::wire::{Cursor, put_bytes};
use millrace_contract::{DecodeError, Kind, Symbols};
use serde_json::{Value as Json, json};

use super::short_id::ReadShortId as _;
use crate::{Amount, Currency, PaymentMethod, ShortId, TransactionId, TransactionType};

impl Kind for TransactionId {
    type Value = Self;
    type Json<'de> = Text<'de>;

    const MAX_LEN: usize = 1 + Self::TEXT_LEN;

    fn schema() -> Json {
        json!({"type": "string", "logicalType": "uuid"})
    }

    #[inline]
    fn put(value: &Self, bytes: &mut Vec<u8>) {
        put_bytes(&value.to_text(), bytes);
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
        Ok(Self::parse(cursor.bytes(field)?)?)
    }

    fn put_json(value: &Self, bytes: &mut Vec<u8>) {
        put_display(bytes, format_args!("\"{value}\""));
    }

    fn of_json(Text(text): Text<'_>, _: &'static str) -> Result<Self, DecodeError> {
        Ok(Self::parse(text.as_bytes())?)
    }
}

impl Kind for ShortId {
    type Value = Self;
    type Json<'de> = Text<'de>;

    // The length of 64 bytes takes two.
    const MAX_LEN: usize = 2 + Self::MAX_LEN;

    fn schema() -> Json {
        json!("string")
    }

    #[inline]
    fn put(value: &Self, bytes: &mut Vec<u8>) {
        put_bytes(value.text().as_bytes(), bytes);
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
        cursor.short_id(field)
    }

    fn put_json(value: &Self, bytes: &mut Vec<u8>) {
        put_string(bytes, value.text().as_str());
    }

    fn of_json(Text(text): Text<'_>, field: &'static str) -> Result<Self, DecodeError> {
        Ok(Self::new(&text, field)?)
    }
}

impl Kind for Currency {
    type Value = Self;
    type Json<'de> = Text<'de>;

    const MAX_LEN: usize = 1 + 3;

    fn schema() -> Json {
        json!("string")
    }

    #[inline]
    fn put(value: &Self, bytes: &mut Vec<u8>) {
        put_bytes(value.as_bytes(), bytes);
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
        Ok(Self::parse(cursor.bytes(field)?)?)
    }

    fn put_json(value: &Self, bytes: &mut Vec<u8>) {
        put_string(bytes, value.as_str());
    }

    fn of_json(Text(text): Text<'_>, _: &'static str) -> Result<Self, DecodeError> {
        Ok(Self::parse(text.as_bytes())?)
    }
}

/// A double, as the contract has it.
impl Kind for Amount {
    type Value = Self;
    type Json<'de> = f64;

    const MAX_LEN: usize = size_of::<f64>();
    const MONEY: Option<Money> = Some(Money {
        of_float: |value| Ok(Self::from_f32(value)?.to_f64()),
        of_decimal: |unscaled, scale| Ok(Self::from_decimal(unscaled, scale)?.to_f64()),
    });

    fn schema() -> Json {
        json!("double")
    }

    #[inline]
    fn put(value: &Self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&value.to_f64().to_le_bytes());
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
        Ok(Self::from_f64(cursor.double(field)?)?)
    }

    fn put_json(value: &Self, bytes: &mut Vec<u8>) {
        put_display(bytes, value);
    }

    fn of_json(value: f64, _: &'static str) -> Result<Self, DecodeError> {
        Ok(Self::from_f64(value)?)
    }
}

impl Symbols for TransactionType {
    const ALL: &'static [Self] = &Self::ALL;

    fn as_str(self) -> &'static str {
        Self::as_str(self)
    }

    #[inline]
    fn index(self) -> usize {
        self as usize
    }
}

impl Symbols for PaymentMethod {
    const ALL: &'static [Self] = &Self::ALL;

    fn as_str(self) -> &'static str {
        Self::as_str(self)
    }

    #[inline]
    fn index(self) -> usize {
        self as usize
    }
}
