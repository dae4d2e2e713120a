//! The fraud label's Avro body.

use millrace_contract::wire::{Cursor, put_bytes, put_long};
use millrace_contract::{DecodeError, framing};

use super::short_id::ReadShortId as _;
use crate::{EntityType, FraudLabel, ShortId, TransactionId};

/// A fraud label as it is read from its topic: of whatever rule, known here or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedLabel {
    /// The injected transaction.
    pub transaction_id: TransactionId,
    /// The rule that should find it, by its standard name.
    pub rule: String,
    /// What `entity` is.
    pub entity_type: EntityType,
    /// The user or merchant that the anomaly should name.
    pub entity: ShortId,
    /// The transaction's event time in milliseconds since 1970.
    pub event_time_ms: i64,
}

/// Appends the Avro body.
pub fn encode(label: &FraudLabel, bytes: &mut Vec<u8>) {
    put_bytes(&label.transaction_id.to_text(), bytes);
    put_bytes(label.rule.as_bytes(), bytes);
    put_long(label.entity_type as i64, bytes);
    put_bytes(label.entity.text().as_bytes(), bytes);
    put_long(label.event_time_ms, bytes);
}

/// Appends the framing and the Avro body.
pub fn encode_framed(schema_id: u32, label: &FraudLabel, bytes: &mut Vec<u8>) {
    framing::write_header(schema_id, bytes);
    encode(label, bytes);
}

/// Reads an Avro body that was written with our schema.
///
/// # Errors
/// Anything but one whole, valid label.
pub fn decode(body: &[u8]) -> Result<DecodedLabel, DecodeError> {
    let mut cursor = Cursor::new(body);
    let label = DecodedLabel {
        transaction_id: TransactionId::parse(cursor.bytes("transactionId")?)?,
        rule: cursor.string("rule")?.to_owned(),
        entity_type: cursor.one_of("entityType", &EntityType::ALL)?,
        entity: cursor.short_id("entity")?,
        event_time_ms: cursor.long("eventTime")?,
    };
    cursor.end()?;
    Ok(label)
}
