//! The anomaly's Avro body.

use millrace_contract::wire::{Cursor, put_array, put_bytes, put_long};
use millrace_contract::{DecodeError, framing};
use uuid::Uuid;

use super::short_id::ReadShortId as _;
use crate::{Anomaly, EntityType, RuleOrigin, Severity, ShortId, TransactionId};

/// An anomaly as it is read from its topic: of whatever rule wrote it, known here or not.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedAnomaly {
    /// A function of rule, entity and first transaction.
    pub id: Uuid,
    /// The standard name of the rule, as `velocity`, or its name in a rule set.
    pub rule: String,
    /// What `entity` is.
    pub entity_type: EntityType,
    /// The user or merchant.
    pub entity: ShortId,
    /// How bad it is.
    pub severity: Severity,
    /// As [`Anomaly::score`].
    pub score: f64,
    /// The transactions; the last is the one that fired.
    pub transaction_ids: Vec<TransactionId>,
    /// The figures that fired, by name with the unit last, in the order they were written.
    pub figures: Vec<(String, f64)>,
    /// Event time of the transaction that fired, in milliseconds since 1970.
    pub event_time_ms: i64,
    /// The detector's clock when the alert was written, in milliseconds since 1970.
    pub detection_time_ms: i64,
    /// The hash of what the rule set means; `None` of a built-in rule.
    pub rule_set_version: Option<String>,
    /// The hash of what the rule means; `None` of a built-in rule.
    pub rule_revision: Option<String>,
    /// The rule's sentence for an analyst; `None` of a built-in rule.
    pub reason: Option<String>,
    /// Why, for programs; empty of a built-in rule.
    pub reason_codes: Vec<String>,
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
    put_origin(anomaly.origin.as_deref(), bytes);
}

fn put_origin(origin: Option<&RuleOrigin>, bytes: &mut Vec<u8>) {
    let Some(origin) = origin else {
        // The first branch of three unions, and the end of an array without items.
        bytes.extend_from_slice(&[0; 4]);
        return;
    };
    for text in [&origin.rule_set_version, &origin.revision, &origin.reason] {
        put_long(1, bytes);
        put_bytes(text.as_bytes(), bytes);
    }
    put_array(&origin.reason_codes, bytes, |code, bytes| {
        put_bytes(code.as_bytes(), bytes);
    });
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
        transaction_ids: transaction_ids(&mut cursor, "evidence.transactionIds")?,
        figures: figures(&mut cursor)?,
        event_time_ms: cursor.long("eventTime")?,
        detection_time_ms: cursor.long("detectionTime")?,
        rule_set_version: optional_text(&mut cursor, "ruleSetVersion")?,
        rule_revision: optional_text(&mut cursor, "ruleRevision")?,
        reason: optional_text(&mut cursor, "reason")?,
        reason_codes: reason_codes(&mut cursor)?,
    };
    cursor.end()?;
    Ok(anomaly)
}

pub(super) fn uuid(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Uuid, DecodeError> {
    let text = cursor.string(field)?;
    Uuid::try_parse(text).map_err(|_| DecodeError::BadField {
        field,
        message: format!("{:?} is not a UUID", text.chars().take(40).collect::<String>()),
    })
}

pub(super) fn optional_text(
    cursor: &mut Cursor<'_>,
    field: &'static str,
) -> Result<Option<String>, DecodeError> {
    let is_there = cursor.one_of(field, &[false, true])?;
    is_there
        .then(|| cursor.string(field).map(str::to_owned))
        .transpose()
}

fn reason_codes(cursor: &mut Cursor<'_>) -> Result<Vec<String>, DecodeError> {
    let field = "reasonCodes";
    let mut codes = Vec::new();
    cursor.blocks(field, |cursor| {
        codes.push(cursor.string(field)?.to_owned());
        Ok(())
    })?;
    Ok(codes)
}

pub(super) fn transaction_ids(
    cursor: &mut Cursor<'_>,
    field: &'static str,
) -> Result<Vec<TransactionId>, DecodeError> {
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
