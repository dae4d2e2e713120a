//! Avro decimals in bytes: an integer of units as big-endian two's complement of the least length.

use crate::DecodeError;
use crate::wire::{Cursor, put_bytes};

/// Appends a decimal field of so many units.
pub fn put_units(units: i128, bytes: &mut Vec<u8>) {
    let all = units.to_be_bytes();
    // A leading byte is needless while it only repeats the sign bit of the byte after it.
    let sign = if units < 0 { 0xff } else { 0 };
    let needless = all
        .windows(2)
        .take_while(|pair| pair[0] == sign && (pair[1] ^ sign) & 0x80 == 0)
        .count();
    put_bytes(&all[needless..], bytes);
}

/// Reads a decimal field of at most 16 bytes.
///
/// # Errors
/// As for bytes, or none or more than 16 of them.
pub fn units(cursor: &mut Cursor<'_>, field: &'static str) -> Result<i128, DecodeError> {
    let value = cursor.bytes(field)?;
    let length = value.len();
    if length == 0 || length > 16 {
        return Err(DecodeError::BadDecimal { field, length });
    }
    let mut all = if value[0] & 0x80 == 0 { [0; 16] } else { [0xff; 16] };
    all[16 - length..].copy_from_slice(value);
    Ok(i128::from_be_bytes(all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(units: i128) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_units(units, &mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn every_sum_comes_back(value: i128, shift in 0_u32..128) {
            let value = value >> shift;
            let bytes = encoded(value);
            prop_assert_eq!(units(&mut Cursor::new(&bytes), "x"), Ok(value));
        }
    }

    #[test]
    fn takes_the_least_bytes() {
        assert_eq!(encoded(0), [2, 0]);
        assert_eq!(encoded(127), [2, 0x7f]);
        assert_eq!(encoded(128), [4, 0, 0x80]);
        assert_eq!(encoded(-1), [2, 0xff]);
        assert_eq!(encoded(-128), [2, 0x80]);
        assert_eq!(encoded(-129), [4, 0xff, 0x7f]);
    }

    #[test]
    fn refuses_decimals_of_no_bytes_or_too_many() {
        assert_eq!(
            units(&mut Cursor::new(&[0]), "x").unwrap_err().code(),
            "bad_decimal"
        );
        let seventeen = [&[34_u8][..], &[0; 17]].concat();
        assert_eq!(
            units(&mut Cursor::new(&seventeen), "x").unwrap_err().code(),
            "bad_decimal"
        );
    }
}
