//! Identifiers of fixed size: no allocation, cheap to copy, to compare and to hash.

use std::fmt;

use crate::InvalidValue;

/// A user, merchant or city name of 1 to 12 bytes of UTF-8, padded with NUL inside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShortId([u8; 12]);

impl ShortId {
    /// The longest id in bytes.
    pub const MAX_LEN: usize = 12;

    /// Reads an id; `field` is its name in the contract, for the error.
    ///
    /// # Errors
    /// Empty, longer than 12 bytes, or with a NUL byte.
    #[inline]
    pub fn new(text: &str, field: &'static str) -> Result<Self, InvalidValue> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > Self::MAX_LEN || bytes.contains(&0) {
            return Err(InvalidValue::ShortId {
                field,
                value: text.chars().take(40).collect(),
            });
        }
        let mut padded = [0; 12];
        padded[..bytes.len()].copy_from_slice(bytes);
        Ok(Self(padded))
    }

    /// The id without its padding.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0[..self.len()]
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("made from UTF-8")
    }

    /// Length in bytes, 1 to 12.
    #[inline]
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an id is never empty")]
    pub fn len(&self) -> usize {
        self.0.iter().position(|&byte| byte == 0).unwrap_or(Self::MAX_LEN)
    }

    /// The twelve bytes with their padding: a fixed-size form for tables and snapshots.
    #[inline]
    #[must_use]
    pub const fn to_padded(self) -> [u8; 12] {
        self.0
    }

    /// Reads back [`ShortId::to_padded`]; `None` if the bytes are no valid id.
    #[must_use]
    pub fn from_padded(padded: [u8; 12]) -> Option<Self> {
        let id = Self(padded);
        let length = id.len();
        let valid = length > 0 && padded[length..].iter().all(|&byte| byte == 0);
        (valid && std::str::from_utf8(&padded[..length]).is_ok()).then_some(id)
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// A transaction's UUID: 16 bytes inside, 36 characters outside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId([u8; 16]);

const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl TransactionId {
    /// Length of the text form.
    pub const TEXT_LEN: usize = 36;

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
        Self::parse_text(text).ok_or_else(|| {
            InvalidValue::TransactionId(String::from_utf8_lossy(text).chars().take(40).collect())
        })
    }

    #[inline]
    fn parse_text(text: &[u8]) -> Option<Self> {
        let text: &[u8; 36] = text.try_into().ok()?;
        if HYPHENS.iter().any(|&at| text[at] != b'-') {
            return None;
        }
        // The text positions of the 16 bytes' first digits.
        const AT: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
        let mut bytes = [0; 16];
        let mut bad = 0;
        for (byte, &at) in bytes.iter_mut().zip(&AT) {
            let (high, low) = (HEX_VALUE[text[at] as usize], HEX_VALUE[text[at + 1] as usize]);
            bad |= high | low;
            *byte = high << 4 | low & 0x0f;
        }
        (bad & 0xf0 == 0).then_some(Self(bytes))
    }

    /// Writes the lower-case hyphenated form.
    #[inline]
    #[must_use]
    pub fn to_text(&self) -> [u8; 36] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut at = 0;
        for byte in self.0 {
            if HYPHENS.contains(&at) {
                at += 1;
            }
            text[at] = DIGITS[(byte >> 4) as usize];
            text[at + 1] = DIGITS[(byte & 0x0f) as usize];
            at += 2;
        }
        text
    }
}

/// Value of each hexadecimal digit; 0xff for every other byte.
const HEX_VALUE: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut digit = 0;
    while digit < 10 {
        table[b'0' as usize + digit] = digit as u8;
        digit += 1;
    }
    let mut letter = 0;
    while letter < 6 {
        table[b'a' as usize + letter] = 10 + letter as u8;
        table[b'A' as usize + letter] = 10 + letter as u8;
        letter += 1;
    }
    table
};

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
        fn short_ids_come_back(text in "[a-zA-Z0-9 é]{1,6}") {
            let id = ShortId::new(&text, "userId").unwrap();
            prop_assert_eq!(id.as_str(), text);
            prop_assert_eq!(ShortId::from_padded(id.to_padded()), Some(id));
        }
    }

    #[test]
    fn refuses_what_is_no_id() {
        for bad in ["", "thirteen byte", "a\0b"] {
            assert!(ShortId::new(bad, "userId").is_err(), "{bad:?}");
        }
        for bad in [
            "",
            "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a1g",
            "6f1c2b1e00d5a-4c55-9a52-0c6f6d2f7a11",
        ] {
            assert!(TransactionId::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
