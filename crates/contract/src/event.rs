//! What a stream is made of.

use crate::{Contract, DecodeError, framing};

/// A record that is written too.
pub trait Encode: Contract {
    /// The most bytes that a body takes: what to reserve once for a buffer.
    const MAX_LEN: usize;

    /// Appends the Avro body.
    fn encode(&self, bytes: &mut Vec<u8>);

    /// Appends one JSON object, without a line end.
    fn encode_json(&self, bytes: &mut Vec<u8>);

    /// Appends the framing and the Avro body.
    #[inline]
    fn encode_framed(&self, schema_id: u32, bytes: &mut Vec<u8>) {
        bytes.reserve(framing::HEADER_LEN + Self::MAX_LEN);
        framing::write_header(schema_id, bytes);
        self.encode(bytes);
    }
}

/// Something that happened at a time: what deduplication, windows, bounds on time and whoever reads
/// the stream need to know of a record.
pub trait Event: Contract + Copy + Send + 'static {
    /// Unique for ever; deduplication goes by it.
    fn id(&self) -> [u8; 16];

    /// Event time in milliseconds since 1970.
    fn time_ms(&self) -> i64;

    /// What its record is keyed by.
    fn key(&self) -> impl AsRef<[u8]>;

    /// Whether it can have been so, beside that it could be read: what no field says alone. Each
    /// service asks that reads the stream, as what one refuses and another takes would be in one of
    /// two results alone.
    ///
    /// # Errors
    /// Why it cannot.
    fn check(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}
