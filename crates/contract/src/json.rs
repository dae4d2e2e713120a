//! Pieces of a JSON object that every contract has.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Visitor};

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

/// Appends a JSON string (RFC 8259 §7): only the quote, the backslash and control characters need an escape.
pub fn put_string(bytes: &mut Vec<u8>, text: &str) {
    bytes.push(b'"');
    for &byte in text.as_bytes() {
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

/// Whether a value is a JSON object by its first bytes: `{`, after a byte order mark or blanks, if any.
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

/// An integer, also as `1.76e12` or `1760000000000.0`, as languages write it that have doubles alone.
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
