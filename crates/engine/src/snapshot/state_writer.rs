//! Writing an operator's state: little-endian, no padding, no names.

use std::fmt;

use serde::Serialize;

/// Takes what is written in parts: see [`StateWriter::in_parts`].
pub(crate) trait Parts {
    /// Takes the start of `bytes`, a part long, and leaves the rest.
    fn take(&mut self, bytes: &mut Vec<u8>);
}

/// Appends values of a state to a buffer.
pub struct StateWriter<'a> {
    bytes: &'a mut Vec<u8>,
    /// With so many bytes in the buffer, `parts` takes them.
    part_len: usize,
    parts: Option<&'a mut dyn Parts>,
}

impl fmt::Debug for StateWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateWriter").finish_non_exhaustive()
    }
}

impl<'a> StateWriter<'a> {
    /// A writer that appends to `bytes`.
    pub fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self {
            bytes,
            part_len: usize::MAX,
            parts: None,
        }
    }

    /// A writer that appends to `bytes`, and lets `parts` take them whenever there are `part_len`
    /// or more: so the whole state is never in memory a second time.
    pub(crate) fn in_parts(bytes: &'a mut Vec<u8>, part_len: usize, parts: &'a mut dyn Parts) -> Self {
        Self {
            bytes,
            part_len,
            parts: Some(parts),
        }
    }

    /// Appends bytes as they are; the reader must know how many.
    #[inline]
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= self.part_len {
            self.hand_over();
        }
    }

    #[cold]
    fn hand_over(&mut self) {
        if let Some(parts) = &mut self.parts {
            while self.bytes.len() >= self.part_len {
                parts.take(self.bytes);
            }
        }
    }

    /// Appends a byte.
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Appends an unsigned number of 32 bits.
    #[inline]
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends an unsigned number of 64 bits.
    #[inline]
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends a signed number of 64 bits.
    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends a signed number of 128 bits.
    #[inline]
    pub fn i128(&mut self, value: i128) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends a double, bit by bit.
    pub fn f64(&mut self, value: f64) {
        self.u64(value.to_bits());
    }

    /// Appends whether something is so.
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// Appends a number that may be absent.
    pub fn option_i64(&mut self, value: Option<i64>) {
        self.bool(value.is_some());
        if let Some(value) = value {
            self.i64(value);
        }
    }

    /// Appends how many elements follow.
    pub fn count(&mut self, count: usize) {
        self.u64(count as u64);
    }

    /// Appends a text with its length.
    pub fn text(&mut self, text: &str) {
        self.count(text.len());
        self.raw(text.as_bytes());
    }

    /// Appends a policy, as JSON with its length: the form that it has outside of states too.
    pub fn policy(&mut self, policy: &impl Serialize) {
        // Numbers, truth values and names of fields: nothing in a policy can fail to be written.
        let text = serde_json::to_string(policy).unwrap_or_default();
        self.text(&text);
    }
}
