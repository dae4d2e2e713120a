//! What the records are in apache-avro.

use std::collections::HashMap;

use apache_avro::Decimal;
use apache_avro::types::Value;
use millrace_domain::{
    AlertFeedback, Anomaly, Contribution, EntityType, FraudLabel, IncidentRecord, IncidentRule,
    IncidentStatus, ListEntry, ListPurpose, ListedKind, MerchantAggregate, Partial, PartialContent,
    PaymentMethod, RuleChange, RuleChangeStatus, RuleText, Severity, Totals, Transaction, TransactionId,
    TransactionType, Verdict,
};

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

pub(crate) fn avro_transaction(transaction: &Transaction) -> Value {
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

pub(crate) fn avro_aggregate(aggregate: &MerchantAggregate) -> Value {
    let contribution = avro_contribution(&crate::common::contribution_of(aggregate));
    let Value::Record(mut fields) = contribution else {
        unreachable!()
    };
    fields.push(("revision".to_owned(), Value::Int(aggregate.revision)));
    Value::Record(fields)
}

pub(crate) fn avro_partial(partial: &Partial) -> Value {
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

pub(crate) fn avro_anomaly(anomaly: &Anomaly, detection_time_ms: i64) -> Value {
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

pub(crate) fn avro_label(label: &FraudLabel) -> Value {
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

pub(crate) fn avro_rule_change(change: &RuleChange) -> Value {
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

pub(crate) fn avro_feedback(feedback: &AlertFeedback) -> Value {
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

pub(crate) fn avro_incident(incident: &IncidentRecord) -> Value {
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

pub(crate) fn avro_list_entry(entry: &ListEntry) -> Value {
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
