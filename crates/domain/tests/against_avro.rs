//! Every record of the contracts, byte for byte against apache-avro, both ways.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
#[path = "against_avro/values.rs"]
mod values;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use millrace_domain::codec::{
    DecodedAnomaly, DecodedLabel, aggregate, anomaly, feedback, incident, label, list_entry, partial,
    rule_change, transaction,
};
use millrace_domain::{Anomaly, ShortId, schema};
use proptest::prelude::*;
use values::{
    avro_aggregate, avro_anomaly, avro_feedback, avro_incident, avro_label, avro_list_entry, avro_partial,
    avro_rule_change, avro_transaction,
};

fn written(text: &str, value: &Value) -> Vec<u8> {
    let schema = Schema::parse_str(text).unwrap();
    GenericDatumWriter::builder(&schema)
        .build()
        .unwrap()
        .write_value_to_vec(value.clone())
        .unwrap()
}

fn read(text: &str, mut body: &[u8]) -> Value {
    let schema = Schema::parse_str(text).unwrap();
    let value = GenericDatumReader::builder(&schema)
        .build()
        .unwrap()
        .read_value(&mut body)
        .unwrap();
    assert!(body.is_empty());
    value
}

proptest! {
    #[test]
    fn a_verdict(feedback in common::feedback()) {
        let mut ours = Vec::new();
        feedback::encode(&feedback, &mut ours);
        let theirs = written(schema::ALERT_FEEDBACK, &avro_feedback(&feedback));
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(read(schema::ALERT_FEEDBACK, &ours), avro_feedback(&feedback));
        prop_assert_eq!(feedback::decode(&theirs), Ok(feedback));
    }

    #[test]
    fn an_incident(incident in common::incident()) {
        let mut ours = Vec::new();
        incident::encode(&incident, &mut ours);
        let theirs = written(schema::INCIDENT, &avro_incident(&incident));
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(read(schema::INCIDENT, &ours), avro_incident(&incident));
        prop_assert_eq!(incident::decode(&theirs), Ok(incident));
    }

    #[test]
    fn an_entry_of_a_list(entry in common::list_entry()) {
        let mut ours = Vec::new();
        list_entry::encode(&entry, &mut ours);
        let theirs = written(schema::LIST_ENTRY, &avro_list_entry(&entry));
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(read(schema::LIST_ENTRY, &ours), avro_list_entry(&entry));
        prop_assert_eq!(list_entry::decode(&theirs), Ok(entry));
    }

    #[test]
    fn a_change_of_rules(change in common::rule_change()) {
        let mut ours = Vec::new();
        rule_change::encode(&change, &mut ours);
        let theirs = written(schema::RULE_CHANGE, &avro_rule_change(&change));
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(read(schema::RULE_CHANGE, &ours), avro_rule_change(&change));
        prop_assert_eq!(rule_change::decode(&theirs), Ok(change));
    }

    #[test]
    fn a_transaction(transaction in common::transaction()) {
        let mut ours = Vec::new();
        transaction::encode(&transaction, &mut ours);
        let theirs = written(schema::TRANSACTION, &avro_transaction(&transaction));
        prop_assert_eq!(&ours, &theirs);
        let ids = [transaction.user_id, transaction.merchant_id, transaction.location];
        prop_assert!(ids.iter().any(ShortId::is_long) || ours.len() <= transaction::MAX_LEN);
        prop_assert_eq!(transaction::decode(&theirs), Ok(transaction));
        prop_assert_eq!(read(schema::TRANSACTION, &ours), avro_transaction(&transaction));
    }

    #[test]
    fn an_aggregate(aggregate in common::aggregate()) {
        let mut ours = Vec::new();
        aggregate::encode(&aggregate, &mut ours);
        let theirs = written(schema::MERCHANT_AGGREGATE, &avro_aggregate(&aggregate));
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(aggregate::decode(&theirs), Ok(aggregate));
        prop_assert_eq!(read(schema::MERCHANT_AGGREGATE, &ours), avro_aggregate(&aggregate));
    }

    #[test]
    fn a_partial(partial in common::partial()) {
        let mut ours = Vec::new();
        partial::encode(&partial, &mut ours);
        let theirs = written(schema::AGGREGATE_PARTIAL, &avro_partial(&partial));
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(partial::decode(&theirs), Ok(partial.clone()));
        prop_assert_eq!(read(schema::AGGREGATE_PARTIAL, &ours), avro_partial(&partial));
    }

    #[test]
    fn an_anomaly((anomaly, detection_time_ms) in common::anomaly()) {
        let mut ours = Vec::new();
        anomaly::encode(&anomaly, detection_time_ms, &mut ours);
        let value = avro_anomaly(&anomaly, detection_time_ms);
        let theirs = written(schema::ANOMALY, &value);
        // A map's entries have no order in apache-avro; with one at most there is but one.
        if anomaly.evidence.figures.len() < 2 {
            prop_assert_eq!(&ours, &theirs);
        }
        prop_assert_eq!(read(schema::ANOMALY, &ours), value);
        let mut decoded = anomaly::decode(&theirs).unwrap();
        decoded.figures.sort_by(|a, b| a.0.cmp(&b.0));
        prop_assert_eq!(&decoded, &owned(&anomaly, detection_time_ms));
        prop_assert_eq!(anomaly::decode(&ours), Ok(decoded));
    }

    #[test]
    fn a_label(label in common::label()) {
        let mut ours = Vec::new();
        label::encode(&label, &mut ours);
        let theirs = written(schema::FRAUD_LABEL, &avro_label(&label));
        prop_assert_eq!(&ours, &theirs);
        prop_assert_eq!(read(schema::FRAUD_LABEL, &ours), avro_label(&label));
        let wanted = DecodedLabel {
            transaction_id: label.transaction_id,
            rule: label.rule.to_owned(),
            entity_type: label.entity_type,
            entity: label.entity,
            event_time_ms: label.event_time_ms,
        };
        prop_assert_eq!(label::decode(&theirs), Ok(wanted));
    }
}

fn owned(anomaly: &Anomaly, detection_time_ms: i64) -> DecodedAnomaly {
    let figures = anomaly
        .evidence
        .figures
        .iter()
        .map(|(name, value)| (name.to_string(), *value));
    let origin = anomaly.origin.as_deref();
    DecodedAnomaly {
        id: anomaly.id,
        rule: anomaly.rule.to_string(),
        entity_type: anomaly.entity_type,
        entity: anomaly.entity,
        severity: anomaly.severity,
        score: anomaly.score,
        transaction_ids: anomaly.evidence.transaction_ids.clone(),
        figures: figures.collect(),
        event_time_ms: anomaly.event_time_ms,
        detection_time_ms,
        rule_set_version: origin.map(|origin| origin.rule_set_version.clone()),
        rule_revision: origin.map(|origin| origin.revision.clone()),
        reason: origin.map(|origin| origin.reason.clone()),
        reason_codes: origin.map_or_else(Vec::new, |origin| origin.reason_codes.clone()),
    }
}
