//! State as bytes, little-endian.

use thiserror::Error;

/// Bytes that are no state of this crate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StateError {
    /// They end too early.
    #[error("the state ends after {0} bytes, within a value")]
    Ends(usize),
    /// They go on after the end.
    #[error("the state has {0} bytes after its end")]
    Longer(usize),
    /// Another version of the format.
    #[error("the state's format is {0}: this release reads {1}")]
    Format(u8, u8),
    /// Something that no state has.
    #[error("the state has an impossible {0}")]
    Impossible(&'static str),
}

pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.0.extend(value.to_le_bytes());
    }

    pub(crate) fn u128(&mut self, value: u128) {
        self.0.extend(value.to_le_bytes());
    }

    /// A length, which is bounded far below what 32 bits hold.
    pub(crate) fn len(&mut self, length: usize) {
        self.u32(u32::try_from(length).unwrap_or(u32::MAX));
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.len(text.len());
        self.0.extend(text.as_bytes());
    }
}

pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], StateError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let found = *rest.first_chunk().ok_or(StateError::Ends(self.bytes.len()))?;
        self.at += N;
        Ok(found)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, StateError> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, StateError> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, StateError> {
        self.take().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, StateError> {
        self.take().map(i64::from_le_bytes)
    }

    /// An event time, or the least number for none: far from where arithmetic overflows.
    pub(crate) fn time_ms(&mut self) -> Result<i64, StateError> {
        const MOST_MS: i64 = 1 << 56;
        match self.i64()? {
            time_ms if time_ms == i64::MIN || time_ms.abs() < MOST_MS => Ok(time_ms),
            _ => Err(StateError::Impossible("time")),
        }
    }

    pub(crate) fn u128(&mut self) -> Result<u128, StateError> {
        self.take().map(u128::from_le_bytes)
    }

    /// A length of items that have `item_len` bytes at least: no more than there are.
    pub(crate) fn len(&mut self, item_len: usize) -> Result<usize, StateError> {
        let length = self.u32()? as usize;
        if length.saturating_mul(item_len) > self.bytes.len() - self.at {
            return Err(StateError::Ends(self.bytes.len()));
        }
        Ok(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, StateError> {
        let length = self.len(1)?;
        let bytes = &self.bytes[self.at..self.at + length];
        self.at += length;
        std::str::from_utf8(bytes).map_err(|_| StateError::Impossible("text"))
    }

    pub(crate) fn finish(&self) -> Result<(), StateError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            more => Err(StateError::Longer(more)),
        }
    }
}
