//! The Confluent framing: 0x00, the schema id as four big-endian bytes, the Avro body.

use crate::DecodeError;

/// The first byte of a framed value.
pub const MAGIC: u8 = 0;

/// Length of the framing before the body, in bytes.
pub const HEADER_LEN: usize = 5;

/// Appends the framing; the Avro body is to follow.
#[inline]
pub fn write_header(schema_id: u32, bytes: &mut Vec<u8>) {
    let [a, b, c, d] = schema_id.to_be_bytes();
    bytes.extend_from_slice(&[MAGIC, a, b, c, d]);
}

/// Splits a framed value into the id of its writer's schema and its Avro body.
///
/// # Errors
/// Empty, another first byte, or cut within the id.
#[inline]
pub fn split(value: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    match value {
        [MAGIC, a, b, c, d, body @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), body)),
        [] => Err(DecodeError::Empty),
        [MAGIC, ..] => Err(DecodeError::Truncated {
            field: "the schema id",
            at: value.len(),
        }),
        [other, ..] => Err(DecodeError::WrongMagic(*other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_framed_is_split() {
        let mut bytes = Vec::new();
        write_header(0x0102_0304, &mut bytes);
        bytes.extend_from_slice(b"body");
        assert_eq!(bytes[..5], [0, 1, 2, 3, 4]);
        assert_eq!(split(&bytes), Ok((0x0102_0304, b"body".as_slice())));
    }

    #[test]
    fn refuses_what_is_not_framed() {
        assert_eq!(split(b""), Err(DecodeError::Empty));
        assert_eq!(split(b"\x01abcdef"), Err(DecodeError::WrongMagic(1)));
        assert_eq!(split(b"\0\0\0").unwrap_err().code(), "truncated");
    }
}
