//! The incident's Avro body.

use millrace_contract::wire::{Cursor, put_array, put_bytes, put_count, put_long};
use millrace_contract::{DecodeError, framing};

use super::anomaly::{transaction_ids, uuid};
use crate::incident::{IncidentRecord, IncidentRule, IncidentStatus};
use crate::{EntityType, Severity, ShortId, TransactionId};

/// Appends the Avro body.
pub fn encode(incident: &IncidentRecord, bytes: &mut Vec<u8>) {
    put_bytes(
        &TransactionId::from_bytes(*incident.id.as_bytes()).to_text(),
        bytes,
    );
    put_count(incident.revision, bytes);
    put_bytes(incident.typology.as_bytes(), bytes);
    put_bytes(incident.reason.as_bytes(), bytes);
    put_long(incident.entity_type as i64, bytes);
    put_bytes(incident.entity.as_bytes(), bytes);
    put_long(incident.status as i64, bytes);
    put_long(incident.severity as i64, bytes);
    for number in [incident.score, incident.threshold] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for ms in [incident.opened_ms, incident.first_ms, incident.last_ms] {
        put_long(ms, bytes);
    }
    put_count(incident.alerts, bytes);
    put_count(incident.transactions, bytes);
    put_array(&incident.transaction_ids, bytes, |id, bytes| {
        put_bytes(&id.to_text(), bytes);
    });
    put_array(&incident.rules, bytes, |rule, bytes| {
        put_bytes(rule.rule.as_bytes(), bytes);
        put_count(rule.alerts, bytes);
        put_long(i64::from(rule.score.is_some()), bytes);
        if let Some(score) = rule.score {
            bytes.extend_from_slice(&score.to_le_bytes());
        }
    });
}

/// Appends the framing and the Avro body.
pub fn encode_framed(schema_id: u32, incident: &IncidentRecord, bytes: &mut Vec<u8>) {
    framing::write_header(schema_id, bytes);
    encode(incident, bytes);
}

/// Reads an Avro body that was written with our schema.
///
/// # Errors
/// Anything but one whole, valid incident.
pub fn decode(body: &[u8]) -> Result<IncidentRecord, DecodeError> {
    let mut cursor = Cursor::new(body);
    let incident = IncidentRecord {
        id: uuid(&mut cursor, "id")?,
        revision: cursor.count("revision")?,
        typology: cursor.string("typology")?.to_owned(),
        reason: cursor.string("reason")?.to_owned(),
        entity_type: cursor.one_of("entityType", &EntityType::ALL)?,
        entity: entity(&mut cursor)?,
        status: cursor.one_of("status", &IncidentStatus::ALL)?,
        severity: cursor.one_of("severity", &Severity::ALL)?,
        score: cursor.finite("score")?,
        threshold: cursor.finite("threshold")?,
        opened_ms: cursor.long("openedTime")?,
        first_ms: cursor.long("firstTime")?,
        last_ms: cursor.long("lastTime")?,
        alerts: cursor.count("alerts")?,
        transactions: cursor.count("transactions")?,
        transaction_ids: transaction_ids(&mut cursor, "transactionIds")?,
        rules: rules(&mut cursor)?,
    };
    cursor.end()?;
    Ok(incident)
}

fn entity(cursor: &mut Cursor<'_>) -> Result<String, DecodeError> {
    let entity = cursor.string("entity")?;
    ShortId::new(entity, "entity")?;
    Ok(entity.to_owned())
}

fn rules(cursor: &mut Cursor<'_>) -> Result<Vec<IncidentRule>, DecodeError> {
    let mut rules = Vec::new();
    cursor.blocks("rules", |cursor| {
        rules.push(IncidentRule {
            rule: cursor.string("rules.rule")?.to_owned(),
            alerts: cursor.count("rules.alerts")?,
            score: match cursor.one_of("rules.score", &[false, true])? {
                true => Some(cursor.finite("rules.score")?),
                false => None,
            },
        });
        Ok(())
    })?;
    Ok(rules)
}
