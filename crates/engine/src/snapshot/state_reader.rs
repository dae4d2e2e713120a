//! Reading an operator's state, as [`super::StateWriter`] wrote it.

use serde::de::DeserializeOwned;

use crate::RestoreError;

/// Reads values of a state. Each method names the value it looks for, so that an error says what is
/// wrong and where.
#[derive(Debug)]
pub struct StateReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> StateReader<'a> {
    /// A reader at the first of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn raw(&mut self, count: usize) -> Result<&'a [u8], RestoreError> {
        let left = &self.bytes[self.at..];
        let taken = left.get(..count).ok_or(RestoreError::Truncated { at: self.at })?;
        self.at += count;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], RestoreError> {
        let left = &self.bytes[self.at..];
        let taken = left
            .first_chunk()
            .ok_or(RestoreError::Truncated { at: self.at })?;
        self.at += N;
        Ok(*taken)
    }

    /// A byte.
    ///
    /// # Errors
    /// The state ends before.
    pub fn u8(&mut self) -> Result<u8, RestoreError> {
        Ok(self.array::<1>()?[0])
    }

    /// The version of a state of `operator`, which starts with a byte of two halves: the high one
    /// tells the operators apart, the low one is the version. `present` is the byte that this
    /// release writes; versions from 1 up to its own are known.
    ///
    /// # Errors
    /// The state ends before, is another operator's, or of a version that is not known.
    pub fn version(&mut self, operator: &'static str, present: u8) -> Result<u8, RestoreError> {
        let found = self.u8()?;
        if found >> 4 != present >> 4 {
            return Err(RestoreError::OtherOperator { operator, found });
        }
        let (found, known) = (found & 0x0f, present & 0x0f);
        if !(1..=known).contains(&found) {
            return Err(RestoreError::UnknownVersion {
                operator,
                found,
                known,
            });
        }
        Ok(found)
    }

    /// An unsigned number of 32 bits.
    ///
    /// # Errors
    /// The state ends before.
    pub fn u32(&mut self) -> Result<u32, RestoreError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// An unsigned number of 64 bits.
    ///
    /// # Errors
    /// The state ends before.
    pub fn u64(&mut self) -> Result<u64, RestoreError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A signed number of 64 bits.
    ///
    /// # Errors
    /// The state ends before.
    pub fn i64(&mut self) -> Result<i64, RestoreError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A signed number of 128 bits.
    ///
    /// # Errors
    /// The state ends before.
    pub fn i128(&mut self) -> Result<i128, RestoreError> {
        Ok(i128::from_le_bytes(self.array()?))
    }

    /// A double.
    ///
    /// # Errors
    /// The state ends before.
    pub fn f64(&mut self) -> Result<f64, RestoreError> {
        Ok(f64::from_bits(self.u64()?))
    }

    /// A number that may be absent.
    ///
    /// # Errors
    /// The state ends before, or the mark of presence is neither 0 nor 1.
    pub fn option_i64(&mut self, what: &'static str) -> Result<Option<i64>, RestoreError> {
        self.bool(what)?.then(|| self.i64()).transpose()
    }

    /// Whether something is so.
    ///
    /// # Errors
    /// The state ends before, or the byte is neither 0 nor 1.
    pub fn bool(&mut self, what: &'static str) -> Result<bool, RestoreError> {
        let at = self.at;
        match self.u8()? {
            value @ 0..=1 => Ok(value == 1),
            _ => Err(RestoreError::Invalid { what, at }),
        }
    }

    /// How many elements of at least `least_size` bytes follow: never more than the rest of the
    /// state can hold, so that a damaged count cannot ask for all of the memory.
    ///
    /// # Errors
    /// The state ends before, or cannot hold as many.
    pub fn count(&mut self, what: &'static str, least_size: usize) -> Result<usize, RestoreError> {
        let at = self.at;
        let count = self.u64()?;
        let most = (self.bytes.len() - self.at) / least_size.max(1);
        match usize::try_from(count) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(RestoreError::Invalid { what, at }),
        }
    }

    /// A text with its length.
    ///
    /// # Errors
    /// The state ends before, or the bytes are no UTF-8.
    pub fn text(&mut self, what: &'static str) -> Result<&'a str, RestoreError> {
        let at = self.at;
        let length = self.count(what, 1)?;
        std::str::from_utf8(self.raw(length)?).map_err(|_| RestoreError::Invalid { what, at })
    }

    /// A policy, as [`super::StateWriter::policy`] wrote it.
    ///
    /// # Errors
    /// The state ends before, or it is no policy of this release.
    pub fn policy<P: DeserializeOwned>(&mut self) -> Result<P, RestoreError> {
        let text = self.text("policy")?;
        serde_json::from_str(text).map_err(|error| RestoreError::Policy {
            reason: error.to_string(),
        })
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// Bytes are left.
    pub fn finish(self) -> Result<(), RestoreError> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            extra => Err(RestoreError::TooLong { extra }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::StateWriter;
    use super::*;

    #[test]
    fn what_is_written_is_read_and_every_cut_is_noticed() {
        let mut bytes = Vec::new();
        let mut writer = StateWriter::new(&mut bytes);
        writer.u8(7);
        writer.option_i64(Some(-3));
        writer.option_i64(None);
        writer.i128(i128::MIN);
        writer.f64(0.1);
        writer.text("m-17");
        writer.count(2);
        writer.raw(&[1, 2]);

        let read = |bytes: &[u8]| -> Result<(), RestoreError> {
            let mut reader = StateReader::new(bytes);
            assert_eq!(reader.u8()?, 7);
            assert_eq!(reader.option_i64("first")?, Some(-3));
            assert_eq!(reader.option_i64("second")?, None);
            assert_eq!(reader.i128()?, i128::MIN);
            assert_eq!(reader.f64()?.to_bits(), 0.1_f64.to_bits());
            assert_eq!(reader.text("merchant")?, "m-17");
            let count = reader.count("elements", 1)?;
            assert_eq!(reader.raw(count)?, [1, 2]);
            reader.finish()
        };
        assert_eq!(read(&bytes), Ok(()));
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length}");
        }
        bytes.push(0);
        assert_eq!(read(&bytes), Err(RestoreError::TooLong { extra: 1 }));
    }

    #[test]
    fn a_count_beyond_the_rest_is_refused_before_memory_is_asked_for() {
        let mut bytes = Vec::new();
        StateWriter::new(&mut bytes).u64(u64::MAX);
        let error = StateReader::new(&bytes).count("ids", 16).unwrap_err();
        assert_eq!(error.to_string(), "the state has an impossible ids at byte 0");
    }
}
