//! Text of bounded length, without an allocation.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde_json::{Value as Json, json};

use super::{Kind, shown};
use crate::DecodeError;
use crate::json::{Text as JsonText, put_string};
use crate::wire::{Cursor, put_bytes};

/// Up to `N` bytes of UTF-8, and `N` is at most 65,535.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    len: u16,
    /// Zero after `len`.
    bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    const IS_COUNTED: () = assert!(N <= u16::MAX as usize, "a text has at most 65,535 bytes");

    /// Takes a text; `None` if it is longer than `N` bytes.
    #[inline]
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let () = Self::IS_COUNTED;
        let mut bytes = [0; N];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self {
            len: text.len() as u16,
            bytes,
        })
    }

    fn of(text: &str, field: &'static str) -> Result<Self, DecodeError> {
        Self::new(text).ok_or_else(|| too_long(text, field, N))
    }

    /// The bytes of the text.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("made from UTF-8")
    }
}

#[cold]
fn too_long(text: &str, field: &'static str, most: usize) -> DecodeError {
    DecodeError::Invalid {
        code: "text_too_long",
        message: format!(
            "{field} {:?}… has {} bytes, and at most {most} are taken",
            shown(text),
            text.len()
        ),
    }
}

impl<const N: usize> Kind for Text<N> {
    type Value = Self;
    type Json<'de> = JsonText<'de>;

    const MAX_LEN: usize = 3 + N;

    fn schema() -> Json {
        json!("string")
    }

    #[inline]
    fn put(value: &Self, bytes: &mut Vec<u8>) {
        put_bytes(value.as_bytes(), bytes);
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
        Self::of(cursor.string(field)?, field)
    }

    fn put_json(value: &Self, bytes: &mut Vec<u8>) {
        put_string(bytes, value.as_str());
    }

    fn of_json(JsonText(text): JsonText<'_>, field: &'static str) -> Result<Self, DecodeError> {
        Self::of(&text, field)
    }
}

impl<const N: usize> PartialEq for Text<N> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> Eq for Text<N> {}

impl<const N: usize> PartialOrd for Text<N> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> Ord for Text<N> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl<const N: usize> Hash for Text<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// An id that others chose: 1 to 64 bytes of UTF-8 without NUL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Text<64>);

impl Id {
    /// Takes an id; `None` if it is none.
    #[inline]
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        if text.is_empty() || text.as_bytes().contains(&0) {
            return None;
        }
        Text::new(text).map(Self)
    }

    fn of(text: &str, field: &'static str) -> Result<Self, DecodeError> {
        Self::new(text).ok_or_else(|| DecodeError::Invalid {
            code: "invalid_id",
            message: format!(
                "{field} {:?} must be 1 to 64 bytes of UTF-8 without NUL",
                shown(text)
            ),
        })
    }

    /// The bytes of the id.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Kind for Id {
    type Value = Self;
    type Json<'de> = JsonText<'de>;

    const MAX_LEN: usize = Text::<64>::MAX_LEN;

    fn schema() -> Json {
        Text::<64>::schema()
    }

    #[inline]
    fn put(value: &Self, bytes: &mut Vec<u8>) {
        Text::put(&value.0, bytes);
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
        Self::of(cursor.string(field)?, field)
    }

    fn put_json(value: &Self, bytes: &mut Vec<u8>) {
        Text::put_json(&value.0, bytes);
    }

    fn of_json(JsonText(text): JsonText<'_>, field: &'static str) -> Result<Self, DecodeError> {
        Self::of(&text, field)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
