//! The anomaly's Avro body.

use millrace_contract::wire::{Cursor, put_array, put_bytes, put_long};
use millrace_contract::{DecodeError, framing};
use uuid::Uuid;

use super::short_id::ReadShortId as _;
use crate::{Anomaly, EntityType, Severity, ShortId, TransactionId};

/// An anomaly as it is read from its topic: of whatever rule wrote it, known here or not.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedAnomaly {
    /// A function of rule, entity and first transaction.
    pub id: Uuid,
    /// The standard name of the rule, as `velocity`.
    pub rule: String,
    /// What `entity` is.
    pub entity_type: EntityType,
    /// The user or merchant.
    pub entity: ShortId,
    /// How bad it is.
    pub severity: Severity,
    /// From 0 to 1: how far past the rule's threshold.
    pub score: f64,
    /// The transactions; the last is the one that fired.
    pub transaction_ids: Vec<TransactionId>,
    /// The figures that fired, by name with the unit last, in the order they were written.
    pub figures: Vec<(String, f64)>,
    /// Event time of the transaction that fired, in milliseconds since 1970.
    pub event_time_ms: i64,
    /// The detector's clock when the alert was written, in milliseconds since 1970.
    pub detection_time_ms: i64,
}

/// Appends the Avro body. `detection_time_ms` is the writer's clock, in milliseconds since 1970.
pub fn encode(anomaly: &Anomaly, detection_time_ms: i64, bytes: &mut Vec<u8>) {
    put_bytes(
        &TransactionId::from_bytes(*anomaly.id.as_bytes()).to_text(),
        bytes,
    );
    put_bytes(anomaly.rule.as_bytes(), bytes);
    put_long(anomaly.entity_type as i64, bytes);
    put_bytes(anomaly.entity.text().as_bytes(), bytes);
    put_long(anomaly.severity as i64, bytes);
    bytes.extend_from_slice(&anomaly.score.to_le_bytes());
    let evidence = &anomaly.evidence;
    put_array(&evidence.transaction_ids, bytes, |id, bytes| {
        put_bytes(&id.to_text(), bytes);
    });
    put_array(&evidence.figures, bytes, |(name, value), bytes| {
        put_bytes(name.as_bytes(), bytes);
        bytes.extend_from_slice(&value.to_le_bytes());
    });
    put_long(anomaly.event_time_ms, bytes);
    put_long(detection_time_ms, bytes);
}

/// Appends the framing and the Avro body.
pub fn encode_framed(schema_id: u32, anomaly: &Anomaly, detection_time_ms: i64, bytes: &mut Vec<u8>) {
    framing::write_header(schema_id, bytes);
    encode(anomaly, detection_time_ms, bytes);
}

/// Reads an Avro body that was written with our schema.
///
/// # Errors
/// Anything but one whole, valid anomaly.
pub fn decode(body: &[u8]) -> Result<DecodedAnomaly, DecodeError> {
    let mut cursor = Cursor::new(body);
    let anomaly = DecodedAnomaly {
        id: uuid(&mut cursor, "id")?,
        rule: cursor.string("rule")?.to_owned(),
        entity_type: cursor.one_of("entityType", &EntityType::ALL)?,
        entity: cursor.short_id("entity")?,
        severity: cursor.one_of("severity", &Severity::ALL)?,
        score: cursor.finite("score")?,
        transaction_ids: transaction_ids(&mut cursor)?,
        figures: figures(&mut cursor)?,
        event_time_ms: cursor.long("eventTime")?,
        detection_time_ms: cursor.long("detectionTime")?,
    };
    cursor.end()?;
    Ok(anomaly)
}

fn uuid(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Uuid, DecodeError> {
    let text = cursor.string(field)?;
    Uuid::try_parse(text).map_err(|_| DecodeError::BadField {
        field,
        message: format!("{:?} is not a UUID", text.chars().take(40).collect::<String>()),
    })
}

fn transaction_ids(cursor: &mut Cursor<'_>) -> Result<Vec<TransactionId>, DecodeError> {
    let field = "evidence.transactionIds";
    let mut ids = Vec::new();
    cursor.blocks(field, |cursor| {
        ids.push(TransactionId::parse(cursor.bytes(field)?)?);
        Ok(())
    })?;
    Ok(ids)
}

fn figures(cursor: &mut Cursor<'_>) -> Result<Vec<(String, f64)>, DecodeError> {
    let field = "evidence.figures";
    let mut figures = Vec::new();
    cursor.blocks(field, |cursor| {
        figures.push((cursor.string(field)?.to_owned(), cursor.finite(field)?));
        Ok(())
    })?;
    Ok(figures)
}
