//! The Avro body of a verdict.

use millrace_contract::wire::{Cursor, put_bytes, put_long};
use millrace_contract::{DecodeError, framing};

use super::anomaly::uuid;
use crate::TransactionId;
use crate::feedback::{AlertFeedback, Verdict};

/// Appends the Avro body.
pub fn encode(feedback: &AlertFeedback, bytes: &mut Vec<u8>) {
    put_bytes(
        &TransactionId::from_bytes(*feedback.incident.as_bytes()).to_text(),
        bytes,
    );
    put_long(feedback.verdict as i64, bytes);
    put_bytes(feedback.author.as_bytes(), bytes);
    put_bytes(feedback.reason.as_bytes(), bytes);
    put_long(feedback.time_ms, bytes);
}

/// Appends the framing and the Avro body.
pub fn encode_framed(schema_id: u32, feedback: &AlertFeedback, bytes: &mut Vec<u8>) {
    framing::write_header(schema_id, bytes);
    encode(feedback, bytes);
}

/// Reads an Avro body that was written with our schema.
///
/// # Errors
/// Anything but one whole, valid verdict.
pub fn decode(body: &[u8]) -> Result<AlertFeedback, DecodeError> {
    let mut cursor = Cursor::new(body);
    let feedback = AlertFeedback {
        incident: uuid(&mut cursor, "incident")?,
        verdict: cursor.one_of("verdict", &Verdict::ALL)?,
        author: cursor.string("author")?.to_owned(),
        reason: cursor.string("reason")?.to_owned(),
        time_ms: cursor.long("time")?,
    };
    cursor.end()?;
    Ok(feedback)
}
