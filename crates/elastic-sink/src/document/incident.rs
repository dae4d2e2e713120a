//! An incident's document.

use millrace_catalog::incidents::INCIDENT_DOCUMENTS;
use millrace_domain::IncidentRecord;

use super::{Document, Fields, NoDocument, month, put_string};
use crate::stream::Stream;

const INCIDENTS: Stream = Stream::of_documents(&INCIDENT_DOCUMENTS);

/// The document of an incident as of a revision, which is its version: the highest stays. Its month
/// is that of the alert that opened it, whatever joins it later.
///
/// # Errors
/// It was opened outside the years 1970 to 9999.
pub fn incident(incident: &IncidentRecord) -> Result<Document, NoDocument> {
    let month = month("openedTime", incident.opened_ms)?;
    let id = incident.id.to_string();
    let mut fields = Fields::at(incident.opened_ms);
    fields.plain("firstTime", incident.first_ms);
    fields.plain("lastTime", incident.last_ms);
    fields.text("id", &id);
    fields.plain("revision", incident.revision);
    fields.text("typology", &incident.typology);
    fields.text("reason", &incident.reason);
    fields.text("entityType", incident.entity_type.as_str());
    fields.text("entity", &incident.entity);
    fields.text("status", incident.status.as_str());
    fields.text("severity", incident.severity.as_str());
    fields.plain("score", incident.score);
    fields.plain("threshold", incident.threshold);
    fields.plain("alerts", incident.alerts);
    fields.plain("transactions", incident.transactions);
    fields.name("transactionIds");
    ids(incident, &mut fields);
    fields.name("rules");
    rules(incident, &mut fields);
    Ok(Document {
        stream: INCIDENTS,
        month,
        id,
        version: i64::try_from(incident.revision).unwrap_or(i64::MAX),
        source: fields.end(),
    })
}

fn ids(incident: &IncidentRecord, fields: &mut Fields) {
    for (at, id) in incident.transaction_ids.iter().enumerate() {
        fields.0.push_str(if at == 0 { "[\"" } else { ",\"" });
        fields.put(id);
        fields.0.push('"');
    }
    fields.0.push_str(match incident.transaction_ids.is_empty() {
        true => "[]",
        false => "]",
    });
}

fn rules(incident: &IncidentRecord, fields: &mut Fields) {
    fields.0.push('[');
    for (at, rule) in incident.rules.iter().enumerate() {
        fields.0.push_str(if at == 0 { "" } else { "," });
        fields.0.push_str("{\"rule\":");
        put_string(&mut fields.0, &rule.rule);
        fields.plain("alerts", rule.alerts);
        if let Some(score) = rule.score {
            fields.plain("score", score);
        }
        fields.0.push('}');
    }
    fields.0.push(']');
}

#[cfg(test)]
mod tests {
    use millrace_domain::{EntityType, IncidentRule, IncidentStatus, Severity, TransactionId};
    use serde_json::{Value, json};

    use super::*;

    const TIME_MS: i64 = 1_769_903_999_999;

    fn an_incident(revision: u64) -> IncidentRecord {
        let rule = |rule: &str, score| IncidentRule {
            rule: rule.to_owned(),
            alerts: 2,
            score,
        };
        IncidentRecord {
            id: "0f8fad5b-d9cb-569f-a165-70867728950e".parse().unwrap(),
            revision,
            typology: "stolen_card".to_owned(),
            reason: "a \"card\"".to_owned(),
            entity_type: EntityType::User,
            entity: "u-1".to_owned(),
            status: IncidentStatus::Open,
            severity: Severity::High,
            score: 1.5,
            threshold: 1.0,
            opened_ms: TIME_MS,
            first_ms: TIME_MS - 5,
            last_ms: TIME_MS + 5,
            alerts: 4,
            transactions: 2,
            transaction_ids: [0, 1].map(|id| TransactionId::from_bytes([id; 16])).to_vec(),
            rules: vec![rule("far", Some(0.25)), rule("velocity", None)],
        }
    }

    #[test]
    fn an_incident_is_one_document_that_grows_in_its_month() {
        let document = incident(&an_incident(7)).unwrap();
        assert_eq!(document.id, "0f8fad5b-d9cb-569f-a165-70867728950e");
        assert_eq!(
            (document.version, document.month.to_string().as_str()),
            (7, "2026.01")
        );
        let source: Value = serde_json::from_str(&document.source).unwrap();
        assert_eq!(
            source,
            json!({
                "@timestamp": TIME_MS, "firstTime": TIME_MS - 5, "lastTime": TIME_MS + 5,
                "id": document.id, "revision": 7, "typology": "stolen_card", "reason": "a \"card\"",
                "entityType": "user", "entity": "u-1", "status": "open", "severity": "high",
                "score": 1.5, "threshold": 1, "alerts": 4, "transactions": 2,
                "transactionIds":
                    ["00000000-0000-0000-0000-000000000000", "01010101-0101-0101-0101-010101010101"],
                "rules":
                    [{"rule": "far", "alerts": 2, "score": 0.25}, {"rule": "velocity", "alerts": 2}],
            })
        );
        let fields = crate::templates::fields(INCIDENTS);
        for name in source.as_object().unwrap().keys() {
            let is_of = |field: &crate::templates::Field| {
                field.name == *name || field.name.starts_with(&format!("{name}."))
            };
            assert!(fields.iter().any(is_of), "{name}");
        }
        let next = IncidentRecord {
            last_ms: TIME_MS + 86_400_000,
            ..an_incident(8)
        };
        let next = incident(&next).unwrap();
        assert!(next.version > document.version && next.key() == document.key());
    }

    #[test]
    fn nothing_kept_is_an_empty_list() {
        let bare = IncidentRecord {
            transaction_ids: Vec::new(),
            rules: Vec::new(),
            ..an_incident(1)
        };
        let source: Value = serde_json::from_str(&incident(&bare).unwrap().source).unwrap();
        assert_eq!(
            (&source["transactionIds"], &source["rules"]),
            (&json!([]), &json!([]))
        );
    }
}
