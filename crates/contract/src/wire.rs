//! Avro's binary encoding of the primitive types (Avro 1.12 specification, "Binary encoding").
//!
//! Every method of [`Cursor`] fails where the bytes end within the field, or are none of its type.

use crate::DecodeError;

/// Appends an int or long: zig-zag, then seven bits a byte, the lowest first.
#[inline]
pub fn put_long(value: i64, bytes: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    let mut buffer = [0; 10];
    let mut length = 0;
    while rest >= 0x80 {
        buffer[length] = rest as u8 | 0x80;
        rest >>= 7;
        length += 1;
    }
    buffer[length] = rest as u8;
    bytes.extend_from_slice(&buffer[..=length]);
}

/// Appends a count; counts stay far below 2^63, as each stands for a record of a log.
#[inline]
pub fn put_count(count: u64, bytes: &mut Vec<u8>) {
    put_long(i64::try_from(count).unwrap_or(i64::MAX), bytes);
}

/// Appends a string or bytes.
#[inline]
pub fn put_bytes(value: &[u8], bytes: &mut Vec<u8>) {
    put_long(value.len() as i64, bytes);
    bytes.extend_from_slice(value);
}

/// Appends an array or map as one block and the end.
pub fn put_array<T>(items: &[T], bytes: &mut Vec<u8>, put: impl Fn(&T, &mut Vec<u8>)) {
    if !items.is_empty() {
        put_count(items.len() as u64, bytes);
        for item in items {
            put(item, bytes);
        }
    }
    put_long(0, bytes);
}

/// Reads one field after the other. Every method takes the name of the field for its error.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    total: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte of a body.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            total: bytes.len(),
        }
    }

    #[cold]
    fn truncated(&self, field: &'static str) -> DecodeError {
        DecodeError::Truncated {
            field,
            at: self.total - self.rest.len(),
        }
    }

    #[inline]
    fn byte(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        let Some((&byte, rest)) = self.rest.split_first() else {
            return Err(self.truncated(field));
        };
        self.rest = rest;
        Ok(byte)
    }

    /// Reads an int or long.
    ///
    /// # Errors
    /// Truncated, or more than 64 bits.
    #[inline]
    pub fn long(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(unzigzag(u64::from(*byte)));
        }
        if let Some((value, length)) = self.rest.first_chunk().and_then(short_long) {
            self.rest = &self.rest[length..];
            return Ok(value);
        }
        self.long_by_bytes(field)
    }

    #[cold]
    fn long_by_bytes(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        let mut raw = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(field)?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for the 64th bit alone.
            if shift == 63 && bits > 1 {
                break;
            }
            raw |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(unzigzag(raw));
            }
        }
        Err(DecodeError::VarintTooLong { field })
    }

    /// Reads an int.
    ///
    /// # Errors
    /// As for a long, or more than 32 bits.
    #[inline]
    pub fn int(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        let value = self.long(field)?;
        i32::try_from(value).map_err(|_| out_of_range(field, value))
    }

    /// Reads a long that is not negative.
    ///
    /// # Errors
    /// As for a long, or negative.
    #[inline]
    pub fn count(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let value = self.long(field)?;
        u64::try_from(value).map_err(|_| out_of_range(field, value))
    }

    /// Reads a double, whatever it is.
    ///
    /// # Errors
    /// Truncated.
    #[inline]
    pub fn double(&mut self, field: &'static str) -> Result<f64, DecodeError> {
        let bytes = self.fixed::<8>(field)?;
        Ok(f64::from_le_bytes(*bytes))
    }

    /// Reads a double that is a number.
    ///
    /// # Errors
    /// Truncated, infinite or NaN.
    #[inline]
    pub fn finite(&mut self, field: &'static str) -> Result<f64, DecodeError> {
        let value = self.double(field)?;
        value
            .is_finite()
            .then_some(value)
            .ok_or(DecodeError::NotFinite { field })
    }

    /// Passes over bytes.
    ///
    /// # Errors
    /// Truncated.
    pub fn pass(&mut self, length: usize, field: &'static str) -> Result<(), DecodeError> {
        let Some((_, rest)) = self.rest.split_at_checked(length) else {
            return Err(self.truncated(field));
        };
        self.rest = rest;
        Ok(())
    }

    #[inline]
    fn fixed<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8; N], DecodeError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk() else {
            return Err(self.truncated(field));
        };
        self.rest = rest;
        Ok(bytes)
    }

    /// Reads a boolean.
    ///
    /// # Errors
    /// Truncated, or neither 0 nor 1.
    #[inline]
    pub fn boolean(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.byte(field)? {
            0 => Ok(false),
            1 => Ok(true),
            byte => Err(DecodeError::BadBoolean { field, byte }),
        }
    }

    /// Reads bytes, or a string whose encoding is checked later.
    ///
    /// # Errors
    /// Truncated, or of negative length.
    #[inline]
    pub fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.long(field)?;
        let Ok(wanted) = usize::try_from(length) else {
            return Err(DecodeError::NegativeLength { field, length });
        };
        let Some((value, rest)) = self.rest.split_at_checked(wanted) else {
            return Err(self.truncated(field));
        };
        self.rest = rest;
        Ok(value)
    }

    /// Reads a string.
    ///
    /// # Errors
    /// As for bytes, or no UTF-8.
    #[inline]
    pub fn string(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| DecodeError::NotUtf8 { field })
    }

    /// Reads the index of an enum's symbol or of a union's branch and gives what stands for it.
    ///
    /// # Errors
    /// As for a long, or no index of `values`.
    #[inline]
    pub fn one_of<T: Copy, const N: usize>(
        &mut self,
        field: &'static str,
        values: &[T; N],
    ) -> Result<T, DecodeError> {
        let index = self.long(field)?;
        usize::try_from(index)
            .ok()
            .and_then(|at| values.get(at).copied())
            .ok_or(DecodeError::IndexOutOfRange {
                field,
                index,
                count: N,
            })
    }

    /// Reads an array or map, block by block, calling `item` for each item.
    ///
    /// # Errors
    /// The first of `item`, or blocks that are none.
    pub fn blocks(
        &mut self,
        field: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        loop {
            let mut count = self.long(field)?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                // A negative count is followed by the block's size in bytes, for those who skip it.
                count = count.saturating_neg();
                self.long(field)?;
            }
            for _ in 0..count {
                item(self)?;
            }
        }
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// Something is.
    #[inline]
    pub fn end(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            extra => Err(DecodeError::TrailingBytes { extra }),
        }
    }
}

/// Reads a long of at most eight bytes, all at once; and how many it has.
#[inline]
#[must_use]
pub fn short_long(bytes: &[u8; 8]) -> Option<(i64, usize)> {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(*bytes);
    if !word & HIGH == 0 {
        return None;
    }
    // The first byte without its high bit is the last of the integer.
    let last = (!word & HIGH).trailing_zeros();
    let bits = word & (u64::MAX >> (63 - last)) & !HIGH;
    // Closes the gaps between neighbours of seven, fourteen, then twenty-eight bits.
    let bits = bits & 0x007f_007f_007f_007f | (bits & 0x7f00_7f00_7f00_7f00) >> 1;
    let bits = bits & 0x0000_3fff_0000_3fff | (bits & 0x3fff_0000_3fff_0000) >> 2;
    let bits = bits & 0x0fff_ffff | (bits & 0x0fff_ffff_0000_0000) >> 4;
    Some((unzigzag(bits), last as usize / 8 + 1))
}

#[inline]
fn unzigzag(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

#[cold]
fn out_of_range(field: &'static str, value: i64) -> DecodeError {
    DecodeError::OutOfRange {
        field,
        value: i128::from(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_long_comes_back(value: i64, shift in 0..64_u32, after in 0..12_usize) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put_long(value, &mut bytes);
            bytes.resize(bytes.len() + after, 0xff);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.long("x"), Ok(value));
            prop_assert_eq!(cursor.rest.len(), after);
        }
    }

    #[test]
    fn refuses_an_integer_of_more_than_64_bits() {
        let eleven = [0xff; 11];
        assert_eq!(
            Cursor::new(&eleven).long("x").unwrap_err().code(),
            "varint_too_long"
        );
        let tenth_too_high = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(
            Cursor::new(&tenth_too_high).long("x").unwrap_err().code(),
            "varint_too_long"
        );
        assert_eq!(Cursor::new(&[0x80]).long("x").unwrap_err().code(), "truncated");
    }

    #[test]
    fn reads_blocks_with_and_without_a_size() {
        // Two items with a size, one without, the end.
        let bytes = [0x03, 0x04, 0x02, 0x04, 0x02, 0x06, 0x00];
        let mut items = Vec::new();
        let mut cursor = Cursor::new(&bytes);
        cursor
            .blocks("x", |cursor| {
                items.push(cursor.long("x")?);
                Ok(())
            })
            .unwrap();
        assert_eq!(items, [1, 2, 3]);
        assert_eq!(cursor.end(), Ok(()));
    }
}
