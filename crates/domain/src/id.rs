//! Identifiers of fixed size: no allocation, cheap to copy, to compare and to hash.

pub mod texts;

use std::fmt;
use std::sync::Arc;

use millrace_contract::hex;

use crate::InvalidValue;

/// A user, merchant or city name of 1 to 64 bytes of UTF-8, in twelve bytes: the text, padded with
/// NUL, or, where that is longer, a surrogate for it ([`texts`]).
///
/// Ids are in the order of these bytes: short ones in the order of their texts, after all long
/// ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortId([u8; 12]);

impl ShortId {
    /// The longest id in bytes.
    pub const MAX_LEN: usize = 64;
    /// The longest id in bytes that is its own text.
    pub const MAX_INLINE_LEN: usize = 12;

    /// Reads an id; `field` is its name in the contract, for the error.
    ///
    /// # Errors
    /// Empty, longer than 64 bytes, or with a NUL byte. Other control characters are as good as
    /// letters.
    #[inline]
    pub fn new(text: &str, field: &'static str) -> Result<Self, InvalidValue> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > Self::MAX_LEN || bytes.contains(&0) {
            return Err(InvalidValue::ShortId {
                field,
                value: text.chars().take(40).collect(),
            });
        }
        if bytes.len() > Self::MAX_INLINE_LEN {
            return Ok(Self(texts::make(text)));
        }
        let mut padded = [0; 12];
        padded[..bytes.len()].copy_from_slice(bytes);
        Ok(Self(padded))
    }

    /// Reads an id of ASCII from the end of 16 bytes, without a copy byte by byte: the way of
    /// nearly every id in a stream. `None` says only that [`ShortId::new`] has to decide.
    #[inline]
    #[must_use]
    pub fn from_ascii_end(bytes: &[u8; 16], length: usize) -> Option<Self> {
        const HIGH: u128 = 0x8080_8080_8080_8080_8080_8080_8080_8080;
        if length == 0 || length > Self::MAX_INLINE_LEN {
            return None;
        }
        let before = 8 * (bytes.len() - length);
        let text = u128::from_le_bytes(*bytes) >> before;
        // An ASCII byte plus 0x7f has its high bit set unless the byte is NUL.
        let is_there = (text & !HIGH) + !HIGH;
        if text & HIGH != 0 || is_there & HIGH != HIGH >> before {
            return None;
        }
        text.to_le_bytes().first_chunk().copied().map(Self)
    }

    /// Whether it is a surrogate, whose text is in [`texts`].
    #[inline]
    #[must_use]
    pub const fn is_long(&self) -> bool {
        self.0[0] == texts::MARK
    }

    /// The text.
    ///
    /// # Panics
    /// Of a long id that is neither held nor in flight: see [`texts`].
    #[inline]
    #[must_use]
    pub fn text(&self) -> IdText<'_> {
        if self.is_long() {
            IdText(Text::Long(texts::of(self.0)))
        } else {
            IdText(Text::Short(&self.0[..self.inline_len()]))
        }
    }

    /// The text of an id that is its own.
    #[inline]
    #[must_use]
    pub fn inline_text(&self) -> Option<&[u8]> {
        (!self.is_long()).then(|| &self.0[..self.inline_len()])
    }

    /// Length of a short id's text: the padding is all the NUL there is.
    #[inline]
    fn inline_len(&self) -> usize {
        let (first, last) = self.to_words();
        match last {
            0 => 8 - first.leading_zeros() as usize / 8,
            _ => 12 - last.leading_zeros() as usize / 8,
        }
    }

    /// The twelve bytes with their padding: a fixed-size form for tables and snapshots.
    #[inline]
    #[must_use]
    pub const fn to_padded(self) -> [u8; 12] {
        self.0
    }

    /// The twelve bytes as little-endian integers, for hashes and comparisons. They come straight
    /// from where the id lies: a key that is put together in bytes and read as words waits until
    /// every store before it has reached the cache.
    #[inline]
    #[must_use]
    pub const fn to_words(self) -> (u64, u32) {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = self.0;
        (
            u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            u32::from_le_bytes([i, j, k, l]),
        )
    }

    /// Reads back [`ShortId::to_padded`]; `None` if the bytes are no valid id. The text of a long
    /// one is not brought back.
    #[must_use]
    pub fn from_padded(padded: [u8; 12]) -> Option<Self> {
        let id = Self(padded);
        if id.is_long() {
            return (padded != [0; 12]).then_some(id);
        }
        let length = id.inline_len();
        let valid = !padded[..length].contains(&0);
        (valid && std::str::from_utf8(&padded[..length]).is_ok()).then_some(id)
    }
}

/// The text of an id.
#[derive(Debug, Clone)]
pub struct IdText<'a>(Text<'a>);

#[derive(Debug, Clone)]
enum Text<'a> {
    Short(&'a [u8]),
    Long(Arc<str>),
}

impl AsRef<[u8]> for IdText<'_> {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl IdText<'_> {
    /// As bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Short(bytes) => bytes,
            Text::Long(text) => text.as_bytes(),
        }
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Short(bytes) => std::str::from_utf8(bytes).expect("made from UTF-8"),
            Text::Long(text) => text,
        }
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text().as_str())
    }
}

/// A transaction's UUID: 16 bytes inside, 36 characters outside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId([u8; 16]);

impl TransactionId {
    /// Length of the text form.
    pub const TEXT_LEN: usize = hex::TEXT_LEN;

    /// Makes an id of its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[inline]
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads the hyphenated form, in either case.
    ///
    /// # Errors
    /// Anything but 36 characters of a hyphenated UUID.
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Self, InvalidValue> {
        let id = text.try_into().ok().and_then(Self::from_text);
        id.ok_or_else(|| {
            InvalidValue::TransactionId(String::from_utf8_lossy(text).chars().take(40).collect())
        })
    }

    /// As [`TransactionId::parse`], where nobody needs to know what is wrong.
    ///
    /// A call would give the id by way of memory, written in other pieces than it is read in: the
    /// processor waits for that.
    #[inline(always)]
    #[must_use]
    pub fn from_text(text: &[u8; 36]) -> Option<Self> {
        hex::parse(text).map(Self)
    }

    /// Writes the lower-case hyphenated form.
    #[inline]
    #[must_use]
    pub fn to_text(&self) -> [u8; 36] {
        hex::to_text(&self.0)
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_text()).expect("ASCII"))
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn transaction_ids_read_as_the_uuid_crate_reads_them(bytes: [u8; 16]) {
            let id = TransactionId::from_bytes(bytes);
            let theirs = uuid::Uuid::from_bytes(bytes);
            prop_assert_eq!(id.to_string(), theirs.hyphenated().to_string());
            prop_assert_eq!(TransactionId::parse(id.to_string().as_bytes()).unwrap(), id);
            prop_assert_eq!(TransactionId::parse(id.to_string().to_uppercase().as_bytes()).unwrap(), id);
        }

        #[test]
        fn no_text_panics(text: Vec<u8>) {
            let _ = TransactionId::parse(&text);
        }

        #[test]
        fn ascii_ids_are_read_as_any_id(
            bytes in proptest::array::uniform16(prop_oneof![8 => 0x20..0x7f_u8, 1 => any::<u8>()]),
            length in 0..17_usize,
        ) {
            let id = &bytes[16 - length..];
            let slow = std::str::from_utf8(id).ok().and_then(|text| ShortId::new(text, "userId").ok());
            match ShortId::from_ascii_end(&bytes, length) {
                Some(fast) => prop_assert_eq!(Some(fast), slow),
                None => prop_assert!(slow.is_none_or(|slow| slow.is_long()) || !id.is_ascii()),
            }
        }

        #[test]
        fn a_transaction_id_with_one_other_byte_is_read_as_the_uuid_crate_reads_it(bytes: [u8; 16], at in 0..36_usize, other: u8) {
            let mut text = TransactionId::from_bytes(bytes).to_text();
            text[at] = other;
            // The uuid crate takes other forms of other lengths, never of this one.
            let theirs = uuid::Uuid::try_parse_ascii(&text).ok().map(|id| TransactionId::from_bytes(id.into_bytes()));
            prop_assert_eq!(TransactionId::parse(&text).ok(), theirs);
        }

        #[test]
        fn ids_come_back(text in "[a-zA-Z0-9 é]{1,32}") {
            let id = ShortId::new(&text, "userId").unwrap();
            let found = id.text();
            prop_assert_eq!(found.as_str(), &*text);
            prop_assert_eq!(id.to_string(), &*text);
            prop_assert_eq!(id.is_long(), text.len() > 12);
            prop_assert_eq!(ShortId::from_padded(id.to_padded()), Some(id));
        }
    }

    #[test]
    fn bytes_that_are_no_padded_text_are_no_id() {
        for text in ["a", "12345678", "123456789", "é1234567890"] {
            let padded = ShortId::new(text, "id").unwrap().to_padded();
            assert_eq!(ShortId::from_padded(padded).unwrap().to_string(), text);
            for at in 1..text.len().min(12) {
                let mut torn = padded;
                torn[at - 1] = 0;
                let found = ShortId::from_padded(torn);
                assert!(at == 1 || found.is_none(), "{torn:?}");
            }
        }
        assert_eq!(ShortId::from_padded([0; 12]), None);
        assert_eq!(ShortId::from_padded([0xff; 12]), None);
    }

    #[test]
    fn refuses_what_is_no_id() {
        let (longest, too_long) = ("x".repeat(64), "x".repeat(65));
        assert_eq!(ShortId::new(&longest, "userId").unwrap().to_string(), longest);
        for bad in ["", &too_long, "a\0b", "a long one\0with a NUL"] {
            assert!(ShortId::new(bad, "userId").is_err(), "{bad:?}");
        }
        assert_eq!(
            ShortId::new(&too_long, "userId").unwrap_err().to_string(),
            format!(
                "userId {:?} must be 1 to 64 bytes of UTF-8 without NUL",
                "x".repeat(40)
            )
        );
        for bad in [
            "",
            "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a1g",
            "6f1c2b1e00d5a-4c55-9a52-0c6f6d2f7a11",
        ] {
            assert!(TransactionId::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
