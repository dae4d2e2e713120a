//! Every record of the contracts, byte for byte against apache-avro, both ways.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::HashMap;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Decimal, Schema};
use millrace_domain::codec::{
    DecodedAnomaly, DecodedLabel, aggregate, anomaly, feedback, incident, label, list_entry, partial,
    rule_change, transaction,
};
use millrace_domain::{
    AlertFeedback, Anomaly, Contribution, EntityType, FraudLabel, IncidentRecord, IncidentRule,
    IncidentStatus, ListEntry, ListPurpose, ListedKind, MerchantAggregate, Partial, PartialContent,
    PaymentMethod, RuleChange, RuleChangeStatus, RuleText, Severity, ShortId, Totals, Transaction,
    TransactionId, TransactionType, Verdict, schema,
};
use proptest::prelude::*;

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

fn record<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Record(fields.map(|(name, value)| (name.to_owned(), value)).to_vec())
}

fn string(text: &(impl ToString + ?Sized)) -> Value {
    Value::String(text.to_string())
}

fn uuid(id: &TransactionId) -> Value {
    Value::Uuid(apache_avro::Uuid::from_bytes(*id.as_bytes()))
}

fn symbol<T: PartialEq>(all: &[T], value: &T, name: &str) -> Value {
    Value::Enum(
        all.iter().position(|other| other == value).unwrap() as u32,
        name.to_owned(),
    )
}

/// The least number of bytes by its definition: the first length whose range holds the value.
fn decimal(units: i128) -> Value {
    let length = (1..16)
        .find(|&bytes: &u32| {
            let half = 1_i128 << (8 * bytes - 1);
            (-half..half).contains(&units)
        })
        .unwrap_or(16);
    Value::Decimal(Decimal::from(&units.to_be_bytes()[16 - length as usize..]))
}

fn avro_transaction(transaction: &Transaction) -> Value {
    record([
        ("transactionId", uuid(&transaction.transaction_id)),
        ("userId", string(&transaction.user_id)),
        ("amount", Value::Double(transaction.amount.to_f64())),
        (
            "transactionTime",
            Value::TimestampMillis(transaction.transaction_time_ms),
        ),
        ("merchantId", string(&transaction.merchant_id)),
        (
            "transactionType",
            symbol(
                &TransactionType::ALL,
                &transaction.transaction_type,
                transaction.transaction_type.as_str(),
            ),
        ),
        ("location", string(&transaction.location)),
        (
            "paymentMethod",
            symbol(
                &PaymentMethod::ALL,
                &transaction.payment_method,
                transaction.payment_method.as_str(),
            ),
        ),
        ("isInternational", Value::Boolean(transaction.is_international)),
        ("currency", string(&transaction.currency)),
    ])
}

fn avro_totals(totals: &Totals) -> [(&'static str, Value); 6] {
    [
        ("purchaseCount", Value::Long(totals.purchase_count as i64)),
        ("purchaseSum", decimal(totals.purchase_sum.units())),
        ("refundCount", Value::Long(totals.refund_count as i64)),
        ("refundSum", decimal(totals.refund_sum.units())),
        ("minAmount", decimal(totals.min_amount.units().into())),
        ("maxAmount", decimal(totals.max_amount.units().into())),
    ]
}

fn avro_contribution(contribution: &Contribution) -> Value {
    let [a, b, c, d, e, f] = avro_totals(&contribution.totals);
    record([
        ("merchantId", string(&contribution.merchant_id)),
        ("currency", string(&contribution.currency)),
        (
            "windowStart",
            Value::TimestampMillis(contribution.window_start_ms),
        ),
        ("windowEnd", Value::TimestampMillis(contribution.window_end_ms)),
        a,
        b,
        c,
        d,
        e,
        f,
        ("distinctUsers", Value::Long(contribution.distinct_users as i64)),
    ])
}

fn avro_aggregate(aggregate: &MerchantAggregate) -> Value {
    let contribution = avro_contribution(&common::contribution_of(aggregate));
    let Value::Record(mut fields) = contribution else {
        unreachable!()
    };
    fields.push(("revision".to_owned(), Value::Int(aggregate.revision)));
    Value::Record(fields)
}

fn avro_partial(partial: &Partial) -> Value {
    let union = |contributions: &[Contribution]| match contributions {
        [] => Value::Union(0, Box::new(Value::Null)),
        [contribution] => Value::Union(1, Box::new(avro_contribution(contribution))),
        several => {
            let several = several.iter().map(avro_contribution).collect();
            Value::Union(2, Box::new(Value::Array(several)))
        }
    };
    let contributions = partial.content.contributions();
    let (of_final, of_early) = match partial.content {
        PartialContent::Early(_) => (&[][..], contributions),
        PartialContent::Watermark | PartialContent::Final(_) => (contributions, &[][..]),
    };
    record([
        ("sourcePartition", Value::Int(partial.source_partition)),
        ("watermark", Value::TimestampMillis(partial.watermark_ms)),
        ("contribution", union(of_final)),
        ("early", union(of_early)),
        (
            "complete",
            match partial.complete_ms {
                None => Value::Union(0, Box::new(Value::Null)),
                Some(complete_ms) => Value::Union(1, Box::new(Value::TimestampMillis(complete_ms))),
            },
        ),
    ])
}

fn avro_anomaly(anomaly: &Anomaly, detection_time_ms: i64) -> Value {
    let figures: HashMap<_, _> = anomaly
        .evidence
        .figures
        .iter()
        .map(|(name, value)| (name.to_string(), Value::Double(*value)))
        .collect();
    let ids = anomaly.evidence.transaction_ids.iter().map(string).collect();
    let origin = anomaly.origin.as_deref();
    let optional = |text: Option<&String>| match text {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(text) => Value::Union(1, Box::new(string(text))),
    };
    let codes = origin.map_or(&[][..], |origin| &origin.reason_codes);
    record([
        ("id", Value::Uuid(anomaly.id)),
        ("rule", string(&anomaly.rule)),
        (
            "entityType",
            symbol(
                &EntityType::ALL,
                &anomaly.entity_type,
                anomaly.entity_type.as_str(),
            ),
        ),
        ("entity", string(&anomaly.entity)),
        (
            "severity",
            symbol(&Severity::ALL, &anomaly.severity, anomaly.severity.as_str()),
        ),
        ("score", Value::Double(anomaly.score)),
        (
            "evidence",
            record([
                ("transactionIds", Value::Array(ids)),
                ("figures", Value::Map(figures)),
            ]),
        ),
        ("eventTime", Value::TimestampMillis(anomaly.event_time_ms)),
        ("detectionTime", Value::TimestampMillis(detection_time_ms)),
        (
            "ruleSetVersion",
            optional(origin.map(|origin| &origin.rule_set_version)),
        ),
        ("ruleRevision", optional(origin.map(|origin| &origin.revision))),
        ("reason", optional(origin.map(|origin| &origin.reason))),
        ("reasonCodes", Value::Array(codes.iter().map(string).collect())),
    ])
}

fn avro_label(label: &FraudLabel) -> Value {
    record([
        ("transactionId", uuid(&label.transaction_id)),
        ("rule", string(&label.rule)),
        (
            "entityType",
            symbol(&EntityType::ALL, &label.entity_type, label.entity_type.as_str()),
        ),
        ("entity", string(&label.entity)),
        ("eventTime", Value::TimestampMillis(label.event_time_ms)),
    ])
}

fn avro_rule_change(change: &RuleChange) -> Value {
    let either = |value: Option<Value>| match value {
        Some(value) => Value::Union(1, Box::new(value)),
        None => Value::Union(0, Box::new(Value::Null)),
    };
    let long = |number: u64| Value::Long(number as i64);
    let file = |file: &RuleText| record([("name", string(&file.name)), ("text", string(&file.text))]);
    let mode = |(rule, mode): &(String, String)| record([("rule", string(rule)), ("mode", string(mode))]);
    record([
        ("number", long(change.number)),
        (
            "status",
            symbol(&RuleChangeStatus::ALL, &change.status, change.status.as_str()),
        ),
        ("action", string(&change.action)),
        ("base", long(change.base)),
        ("proposal", either(change.proposal.map(long))),
        ("version", string(&change.version)),
        ("files", Value::Array(change.files.iter().map(file).collect())),
        ("modes", Value::Array(change.modes.iter().map(mode).collect())),
        ("author", string(&change.author)),
        ("approvedBy", either(change.approved_by.as_ref().map(string))),
        ("reason", string(&change.reason)),
        ("time", Value::TimestampMillis(change.time_ms)),
    ])
}

fn avro_feedback(feedback: &AlertFeedback) -> Value {
    let id = TransactionId::from_bytes(*feedback.incident.as_bytes());
    let verdict = feedback.verdict;
    record([
        ("incident", uuid(&id)),
        ("verdict", symbol(&Verdict::ALL, &verdict, verdict.as_str())),
        ("author", string(&feedback.author)),
        ("reason", string(&feedback.reason)),
        ("time", Value::TimestampMillis(feedback.time_ms)),
    ])
}

fn avro_incident(incident: &IncidentRecord) -> Value {
    let long = |number: u64| Value::Long(number as i64);
    let id = TransactionId::from_bytes(*incident.id.as_bytes());
    let rule = |rule: &IncidentRule| {
        let score = match rule.score {
            Some(score) => Value::Union(1, Box::new(Value::Double(score))),
            None => Value::Union(0, Box::new(Value::Null)),
        };
        record([
            ("rule", string(&rule.rule)),
            ("alerts", long(rule.alerts)),
            ("score", score),
        ])
    };
    let (entity_type, status) = (incident.entity_type, incident.status);
    record([
        ("id", uuid(&id)),
        ("revision", long(incident.revision)),
        ("typology", string(&incident.typology)),
        ("reason", string(&incident.reason)),
        (
            "entityType",
            symbol(&EntityType::ALL, &entity_type, entity_type.as_str()),
        ),
        ("entity", string(&incident.entity)),
        ("status", symbol(&IncidentStatus::ALL, &status, status.as_str())),
        (
            "severity",
            symbol(&Severity::ALL, &incident.severity, incident.severity.as_str()),
        ),
        ("score", Value::Double(incident.score)),
        ("threshold", Value::Double(incident.threshold)),
        ("openedTime", Value::TimestampMillis(incident.opened_ms)),
        ("firstTime", Value::TimestampMillis(incident.first_ms)),
        ("lastTime", Value::TimestampMillis(incident.last_ms)),
        ("alerts", long(incident.alerts)),
        ("transactions", long(incident.transactions)),
        (
            "transactionIds",
            Value::Array(incident.transaction_ids.iter().map(string).collect()),
        ),
        ("rules", Value::Array(incident.rules.iter().map(rule).collect())),
    ])
}

fn avro_list_entry(entry: &ListEntry) -> Value {
    let (key, until) = (&entry.key, entry.until_ms.map(Value::TimestampMillis));
    record([
        (
            "purpose",
            symbol(&ListPurpose::ALL, &key.purpose, key.purpose.as_str()),
        ),
        ("name", string(&key.name)),
        (
            "entityKind",
            symbol(&ListedKind::ALL, &key.kind, key.kind.as_str()),
        ),
        ("entity", string(&key.entity)),
        (
            "until",
            match until {
                Some(until) => Value::Union(1, Box::new(until)),
                None => Value::Union(0, Box::new(Value::Null)),
            },
        ),
        ("author", string(&entry.author)),
        ("reason", string(&entry.reason)),
        ("time", Value::TimestampMillis(entry.time_ms)),
    ])
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
