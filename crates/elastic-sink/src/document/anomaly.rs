//! An anomaly's document.

use millrace_domain::codec::DecodedAnomaly;

use super::{Document, Fields, NoDocument, first_stays, month, put_string};
use crate::stream::Stream;

/// The document of an anomaly that was read at `offset`.
///
/// # Errors
/// The event time lies outside the years 1970 to 9999.
pub fn anomaly(anomaly: &DecodedAnomaly, offset: i64) -> Result<Document, NoDocument> {
    let month = month("eventTime", anomaly.event_time_ms)?;
    let id = anomaly.id.to_string();
    let mut fields = Fields::at(anomaly.event_time_ms);
    fields.plain("detectionTime", anomaly.detection_time_ms);
    fields.text("id", &id);
    fields.text("rule", &anomaly.rule);
    fields.text("entityType", anomaly.entity_type.as_str());
    fields.text("entity", anomaly.entity.text().as_str());
    fields.text("severity", anomaly.severity.as_str());
    fields.plain("score", anomaly.score);
    origin(anomaly, &mut fields);
    fields.name("evidence");
    evidence(anomaly, &mut fields);
    Ok(Document {
        stream: Stream::ANOMALIES,
        month,
        id,
        version: first_stays(offset),
        source: fields.end(),
    })
}

/// Of a built-in rule there is none, and its documents are what they were before there were others.
fn origin(anomaly: &DecodedAnomaly, fields: &mut Fields) {
    let texts = [
        ("ruleSetVersion", &anomaly.rule_set_version),
        ("ruleRevision", &anomaly.rule_revision),
        ("reason", &anomaly.reason),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            fields.text(name, text);
        }
    }
    if anomaly.reason_codes.is_empty() {
        return;
    }
    fields.name("reasonCodes");
    fields.0.push('[');
    for (at, code) in anomaly.reason_codes.iter().enumerate() {
        if at > 0 {
            fields.0.push(',');
        }
        put_string(&mut fields.0, code);
    }
    fields.0.push(']');
}

fn evidence(anomaly: &DecodedAnomaly, fields: &mut Fields) {
    fields.0.push_str("{\"transactionIds\":[");
    for (at, id) in anomaly.transaction_ids.iter().enumerate() {
        fields.0.push_str(if at == 0 { "\"" } else { ",\"" });
        fields.put(id);
        fields.0.push('"');
    }
    fields.0.push_str("],\"figures\":{");
    for (at, (name, value)) in anomaly.figures.iter().enumerate() {
        if at > 0 {
            fields.0.push(',');
        }
        put_string(&mut fields.0, name);
        fields.0.push(':');
        fields.put(value);
    }
    fields.0.push_str("}}");
}
