use millrace_clickstream::{Page, PageViews, Session, User};
use millrace_domain::codec::DecodedAnomaly;
use millrace_domain::{
    Amount, Currency, EntityType, MerchantAggregate, PaymentMethod, Severity, ShortId, Sum, Totals,
    Transaction, TransactionId, TransactionType,
};
use serde_json::{Value, json};

use super::*;

fn id(text: &str) -> ShortId {
    ShortId::new(text, "test").unwrap()
}

fn a_transaction() -> Transaction {
    Transaction {
        transaction_id: TransactionId::parse(b"6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11").unwrap(),
        user_id: id("u-\"1\"\\\n"),
        amount: Amount::from_units(571_600).unwrap(),
        transaction_time_ms: 1_767_225_600_000,
        merchant_id: id("m-7"),
        transaction_type: TransactionType::Refund,
        location: id("Sao Paulo"),
        payment_method: PaymentMethod::BankTransfer,
        is_international: true,
        currency: Currency::parse(b"BRL").unwrap(),
    }
}

fn an_aggregate() -> MerchantAggregate {
    MerchantAggregate {
        merchant_id: id("m-17"),
        currency: Currency::parse(b"EUR").unwrap(),
        window_start_ms: 1_767_225_540_000,
        window_end_ms: 1_767_225_600_000,
        totals: Totals {
            purchase_count: 3,
            purchase_sum: Sum::from_units(1_234_567),
            refund_count: 0,
            refund_sum: Sum::ZERO,
            min_amount: Amount::from_units(1).unwrap(),
            max_amount: Amount::from_units(1_000_000).unwrap(),
        },
        distinct_users: 2,
        revision: -4_000,
    }
}

fn an_anomaly() -> DecodedAnomaly {
    DecodedAnomaly {
        id: "0f8fad5b-d9cb-569f-a165-70867728950e".parse().unwrap(),
        rule: "velocity".to_owned(),
        entity_type: EntityType::User,
        entity: id("u-1"),
        severity: Severity::High,
        score: 0.75,
        transaction_ids: vec![
            TransactionId::from_bytes([0; 16]),
            TransactionId::from_bytes([1; 16]),
        ],
        figures: vec![("count".to_owned(), 12.0), ("span_s".to_owned(), 60.5)],
        event_time_ms: 1_769_903_999_999,
        detection_time_ms: 1_769_904_000_100,
        rule_set_version: None,
        rule_revision: None,
        reason: None,
        reason_codes: Vec::new(),
    }
}

fn source(document: &Document) -> Value {
    assert!(!document.source.contains('\n'), "one line");
    serde_json::from_str(&document.source).unwrap()
}

#[test]
fn a_transaction_with_its_place() {
    let document = transaction(&a_transaction(), 41).unwrap();
    assert_eq!(document.id, "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11");
    assert_eq!(document.month.to_string(), "2026.01");
    assert_eq!(
        source(&document),
        json!({
            "@timestamp": 1_767_225_600_000_i64, "transactionId": "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11",
            "userId": "u-\"1\"\\\n", "merchantId": "m-7", "transactionType": "refund", "currency": "BRL",
            "paymentMethod": "bank_transfer", "isInternational": true, "amount": 57.16, "amountUnits": 571_600,
            "location": "Sao Paulo", "locationPoint": {"lat": -23.55, "lon": -46.63}
        })
    );
}

#[test]
fn an_unknown_place_has_no_point() {
    let elsewhere = Transaction {
        location: id("Atlantis"),
        ..a_transaction()
    };
    let source = source(&transaction(&elsewhere, 0).unwrap());
    assert_eq!(source["location"], "Atlantis");
    assert!(source.get("locationPoint").is_none());
}

#[test]
fn of_two_transactions_the_earlier_in_the_log_has_the_higher_version() {
    let version = |offset| transaction(&a_transaction(), offset).unwrap().version;
    assert!(version(0) > version(1));
    assert!(version(1_000_000_000_000_000) > 0);
    assert_eq!(version(5), version(5));
}

#[test]
fn an_aggregate_has_its_money_twice() {
    let document = aggregate(&an_aggregate()).unwrap();
    assert_eq!(document.id, "m-17_EUR_1767225540000");
    assert_eq!(document.month.to_string(), "2025.12");
    assert_eq!(document.version, (1 << 31) - 4_000 + 1);
    assert_eq!(
        source(&document),
        json!({
            "@timestamp": 1_767_225_540_000_i64, "windowEnd": 1_767_225_600_000_i64, "merchantId": "m-17",
            "currency": "EUR", "purchaseCount": 3, "purchaseSum": 123.4567, "purchaseSumUnits": 1_234_567,
            "refundCount": 0, "refundSum": 0.0, "refundSumUnits": 0, "minAmount": 0.0001, "minAmountUnits": 1,
            "maxAmount": 100.0, "maxAmountUnits": 1_000_000, "distinctUsers": 2, "revision": -4_000
        })
    );
}

#[test]
fn the_version_of_an_aggregate_rises_to_the_final_one() {
    let version = |revision| {
        let aggregate = MerchantAggregate {
            revision,
            ..an_aggregate()
        };
        let document = super::aggregate(&aggregate).unwrap();
        assert_eq!(document.id, "m-17_EUR_1767225540000");
        document.version
    };
    let versions = [i32::MIN, -60_000, -10_000, -1, MerchantAggregate::FINAL].map(version);
    assert!(
        versions[0] > 0 && versions.is_sorted_by(|a, b| a < b),
        "{versions:?}"
    );
}

#[test]
fn what_elasticsearch_cannot_hold_is_named() {
    let mut too_much = an_aggregate();
    too_much.totals.refund_sum = Sum::from_units(i128::from(i64::MAX) + 1);
    let error = aggregate(&too_much).unwrap_err();
    assert_eq!(error.code(), "sum_out_of_range");
    assert_eq!(
        error.to_string(),
        "refundSum 922337203685477.5808 is above the largest that Elasticsearch can hold, 922337203685477.5807"
    );

    let mut too_late = an_anomaly();
    too_late.event_time_ms = i64::MAX;
    assert_eq!(anomaly(&too_late, 0).unwrap_err().code(), "time_out_of_range");
}

#[test]
fn an_anomaly_with_its_evidence() {
    let document = anomaly(&an_anomaly(), 7).unwrap();
    assert_eq!(document.id, "0f8fad5b-d9cb-569f-a165-70867728950e");
    assert_eq!(document.month.to_string(), "2026.01");
    assert_eq!(
        source(&document),
        json!({
            "@timestamp": 1_769_903_999_999_i64, "detectionTime": 1_769_904_000_100_i64,
            "id": "0f8fad5b-d9cb-569f-a165-70867728950e", "rule": "velocity", "entityType": "user",
            "entity": "u-1", "severity": "high", "score": 0.75,
            "evidence": {
                "transactionIds": ["00000000-0000-0000-0000-000000000000", "01010101-0101-0101-0101-010101010101"],
                "figures": {"count": 12, "span_s": 60.5}
            }
        })
    );
}

#[test]
fn no_evidence_is_an_empty_list_and_object() {
    let bare = DecodedAnomaly {
        transaction_ids: Vec::new(),
        figures: Vec::new(),
        ..an_anomaly()
    };
    let source = source(&anomaly(&bare, 0).unwrap());
    assert_eq!(source["evidence"], json!({"transactionIds": [], "figures": {}}));
}

#[test]
fn a_rule_of_a_rule_set_is_told_with_its_version() {
    let source = source(&anomaly(&an_anomaly_of_a_rule_set(), 0).unwrap());
    assert_eq!(source["ruleSetVersion"], "0a");
    assert_eq!(source["ruleRevision"], "0b");
    assert_eq!(source["reason"], "small \"probes\"");
    assert_eq!(source["reasonCodes"], json!(["card_testing", "high_amount"]));
}

fn an_anomaly_of_a_rule_set() -> DecodedAnomaly {
    DecodedAnomaly {
        rule_set_version: Some("0a".to_owned()),
        rule_revision: Some("0b".to_owned()),
        reason: Some("small \"probes\"".to_owned()),
        reason_codes: vec!["card_testing".to_owned(), "high_amount".to_owned()],
        ..an_anomaly()
    }
}

#[test]
fn every_field_is_in_its_template() {
    for document in [
        anomaly(&an_anomaly_of_a_rule_set(), 0).unwrap(),
        transaction(&a_transaction(), 0).unwrap(),
        aggregate(&an_aggregate()).unwrap(),
        anomaly(&an_anomaly(), 0).unwrap(),
        page_views(&some_page_views()).unwrap(),
        session(&a_session()).unwrap(),
    ] {
        let fields = crate::templates::fields(document.stream);
        for name in source(&document).as_object().unwrap().keys() {
            let found = fields
                .iter()
                .any(|field| field.name == *name || field.name.starts_with(&format!("{name}.")));
            assert!(found, "{name} of {:?}", document.stream);
        }
    }
}

fn some_page_views() -> PageViews {
    PageViews {
        page: Page::new("https://shop.example/\"p\"?x").unwrap(),
        window_start_ms: 1_767_225_540_000,
        window_end_ms: 1_767_225_600_000,
        views: 12,
        visitors: 3,
    }
}

fn a_session() -> Session {
    Session {
        user_id: User::new("u-1").unwrap(),
        start_ms: 1_767_225_540_000,
        end_ms: 1_767_225_541_500,
        page_count: 2,
        entry_page: Page::new("/").unwrap(),
        exit_page: Page::new("/cart").unwrap(),
    }
}

#[test]
fn page_views_and_sessions_are_told_apart_by_what_they_are_of() {
    let document = page_views(&some_page_views()).unwrap();
    assert_eq!(
        source(&document),
        json!({
            "@timestamp": 1_767_225_540_000_i64, "windowEnd": 1_767_225_600_000_i64,
            "page": "shop.example/\"p\"", "views": 12, "visitors": 3,
        })
    );
    let next = PageViews {
        window_start_ms: 1_767_225_600_000,
        ..some_page_views()
    };
    assert_ne!(page_views(&next).unwrap().id, document.id);
    assert_eq!(document.id, page_views(&some_page_views()).unwrap().id);
    assert!(document.id.ends_with("_1767225540000") && document.version == 1);
    let visit = session(&a_session()).unwrap();
    assert_eq!(
        source(&visit),
        json!({
            "@timestamp": 1_767_225_540_000_i64, "end": 1_767_225_541_500_i64, "userId": "u-1", "pageCount": 2,
            "durationMs": 1_500, "entryPage": "/", "exitPage": "/cart",
        })
    );
    let other = Session {
        user_id: User::new("u-2").unwrap(),
        ..a_session()
    };
    assert_ne!(session(&other).unwrap().id, visit.id);
}
