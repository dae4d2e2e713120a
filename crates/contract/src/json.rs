//! Pieces of a JSON object that every contract has.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
pub use serde::de::MapAccess;
use serde::de::{self, DeserializeSeed, IgnoredAny, Visitor};

use crate::{DecodeError, Kind};

/// Appends the name of a field that is not the first of its object.
pub fn put_name(bytes: &mut Vec<u8>, name: &str) {
    bytes.extend_from_slice(b",\"");
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b"\":");
}

/// Appends what is shown as JSON: a number or a boolean.
pub fn put_display(bytes: &mut Vec<u8>, value: impl fmt::Display) {
    use std::io::Write;
    // Writing to a vector cannot fail.
    let _ = write!(bytes, "{value}");
}

/// Appends a JSON string (RFC 8259 §7): only the quote, the backslash and control characters need
/// an escape.
pub fn put_string(bytes: &mut Vec<u8>, text: &str) {
    let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    bytes.push(b'"');
    let plain = text
        .bytes()
        .position(|byte| !is_plain(&byte))
        .unwrap_or(text.len());
    bytes.extend_from_slice(&text.as_bytes()[..plain]);
    for &byte in &text.as_bytes()[plain..] {
        match byte {
            b'"' | b'\\' => bytes.extend_from_slice(&[b'\\', byte]),
            0..0x20 => put_display(bytes, format_args!("\\u{byte:04x}")),
            _ => bytes.push(byte),
        }
    }
    bytes.push(b'"');
}

/// UTF-8's byte order mark, which RFC 8259 (§8.1) lets a reader ignore.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether a value is a JSON object by its first bytes: `{`, after a byte order mark or blanks, if
/// any.
pub(crate) fn is_object(value: &[u8]) -> bool {
    let is_blank = |byte: &&u8| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    without_mark(value).iter().find(is_blank) == Some(&b'{')
}

/// A value without the byte order mark before it.
#[must_use]
pub fn without_mark(value: &[u8]) -> &[u8] {
    value.strip_prefix(BYTE_ORDER_MARK).unwrap_or(value)
}

/// A string that is borrowed from the input unless it has escapes.
#[derive(Debug, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// An integer, also as `1.76e12` or `1760000000000.0`, as languages write it that have doubles
/// alone.
#[derive(Debug, Clone, Copy)]
pub struct Integer(pub i64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Integer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer of 64 bits")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Integer, E> {
                Ok(Integer(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Integer, E> {
                let out_of_range = || E::invalid_value(de::Unexpected::Unsigned(value), &self);
                i64::try_from(value).map(Integer).map_err(|_| out_of_range())
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Integer, E> {
                /// Up to here a double tells each integer from its neighbours.
                const EXACT: f64 = 9_007_199_254_740_992.0;
                if value.fract() == 0.0 && value.abs() <= EXACT {
                    return Ok(Integer(value as i64));
                }
                Err(E::invalid_value(de::Unexpected::Float(value), &self))
            }
        }
        deserializer.deserialize_any(Number)
    }
}

/// The fields of an object that have been read so far. Every value is checked as it is read.
pub trait Fields: Default {
    /// What they become.
    type Record;

    /// Reads the value of a field by its name, or [`skip`]s it.
    ///
    /// # Errors
    /// The field is there twice, or the contract refuses its value.
    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), DecodeError>;

    /// The record, after the object's end.
    ///
    /// # Errors
    /// A field is missing.
    fn finish(self) -> Result<Self::Record, DecodeError>;
}

/// Reads one JSON object: every field of the contract once. Others are passed over, whatever they
/// hold: that takes no stack, and no more memory than the value has.
///
/// # Errors
/// No JSON object, a field that is missing, twice or of another type, or a value that the contract
/// refuses.
pub fn decode<F: Fields>(value: &[u8]) -> Result<F::Record, DecodeError> {
    let mut problem = None;
    let mut deserializer = serde_json::Deserializer::from_slice(without_mark(value));
    let parsed = Object {
        fields: F::default(),
        problem: &mut problem,
    }
    .deserialize(&mut deserializer)
    .and_then(|fields| deserializer.end().map(|()| fields));
    match (parsed, problem) {
        (_, Some(problem)) => Err(problem),
        (Err(error), None) => Err(DecodeError::BadJson(error.to_string())),
        (Ok(fields), None) => fields.finish(),
    }
}

/// Reads the value of a field into its slot.
///
/// # Errors
/// The slot is taken, or the value is none of the field's kind.
pub fn field<'de, K: Kind, A: MapAccess<'de>>(
    slot: &mut Option<K::Value>,
    map: &mut A,
    field: &'static str,
) -> Result<(), DecodeError> {
    if slot.is_some() {
        return Err(DecodeError::DuplicateField(field));
    }
    let value = map.next_value::<K::Json<'de>>();
    let value = value.map_err(|error| DecodeError::BadField {
        field,
        message: error.to_string(),
    })?;
    *slot = Some(K::of_json(value, field)?);
    Ok(())
}

/// Passes over the value of a field that the contract does not have.
///
/// # Errors
/// It is no JSON.
pub fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), DecodeError> {
    map.next_value::<IgnoredAny>()
        .map(|_| ())
        .map_err(|error| DecodeError::BadJson(error.to_string()))
}

/// Reads the object; a problem of ours goes to `problem`, as the parser's error type has no room
/// for it.
struct Object<'p, F> {
    fields: F,
    problem: &'p mut Option<DecodeError>,
}

impl<'de, F: Fields> DeserializeSeed<'de> for Object<'_, F> {
    type Value = F;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<F, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: Fields> Visitor<'de> for Object<'_, F> {
    type Value = F;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<F, A::Error> {
        let mut fields = self.fields;
        while let Some(Text(name)) = map.next_key()? {
            if let Err(problem) = fields.read(&name, &mut map) {
                *self.problem = Some(problem);
                return Err(de::Error::custom("a field is wrong"));
            }
        }
        Ok(fields)
    }
}
