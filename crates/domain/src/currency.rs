//! ISO 4217 currency codes.

use std::fmt;

use crate::InvalidValue;

/// An ISO 4217 alphabetic code: three upper-case ASCII letters. Codes are checked by form, not
/// against the list, as the list changes more often than software is deployed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Reads a code.
    ///
    /// # Errors
    /// Anything but three upper-case ASCII letters.
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Self, InvalidValue> {
        let code = text.try_into().ok().and_then(Self::from_code);
        code.ok_or_else(|| InvalidValue::Currency(String::from_utf8_lossy(text).chars().take(40).collect()))
    }

    /// As [`Currency::parse`], where nobody needs to know what is wrong.
    #[inline]
    #[must_use]
    pub fn from_code(code: &[u8; 3]) -> Option<Self> {
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(*code))
    }

    /// The three letters.
    #[inline]
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 3] {
        &self.0
    }

    /// The three letters as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("ASCII letters")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
