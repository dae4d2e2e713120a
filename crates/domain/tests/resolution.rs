//! The contracts against schemas of other writers and of other releases.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use millrace_contract::reader::Contract;
use millrace_contract::resolve::{self, Relation};
use millrace_domain::codec::{aggregate, partial};
use millrace_domain::{PartialContent, Transaction, schema};
use millrace_registry::WriterSchema;
use proptest::prelude::*;
use serde_json::Value as Json;

fn relate(writer: &str, reader: &str) -> Result<Relation, String> {
    resolve::relate(&WriterSchema::avro(writer), reader, Transaction::MONEY)
}

fn edited(text: &str, edit: impl FnOnce(&mut Json)) -> String {
    let mut json = serde_json::from_str(text).unwrap();
    edit(&mut json);
    json.to_string()
}

#[test]
fn documentation_and_spelling_make_no_other_schema() {
    let spelled = edited(schema::TRANSACTION, |json| {
        json["doc"] = "other".into();
        json["name"] = "millrace.Transaction".into();
        json.as_object_mut().unwrap().remove("namespace");
        json["fields"][1]["type"] = serde_json::json!({"type": "string"});
    });
    assert!(matches!(
        relate(&spelled, schema::TRANSACTION),
        Ok(Relation::Same)
    ));
}

#[test]
fn another_scale_or_time_unit_is_refused_by_field() {
    let cents = schema::MERCHANT_AGGREGATE.replace("\"scale\": 4", "\"scale\": 2");
    let message = relate(&cents, schema::MERCHANT_AGGREGATE).unwrap_err();
    assert_eq!(
        message,
        "field maxAmount is decimal of scale 2, not decimal of scale 4"
    );
    let micros = schema::TRANSACTION.replace("timestamp-millis", "timestamp-micros");
    let message = relate(&micros, schema::TRANSACTION).unwrap_err();
    assert!(
        message.contains("transactionTime is timestamp-micros"),
        "{message}"
    );
}

fn with_channel() -> String {
    edited(schema::TRANSACTION, |json| {
        let channel = serde_json::json!({"name": "channel", "type": ["null", "string"], "default": null});
        json["fields"].as_array_mut().unwrap().insert(0, channel);
    })
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let Ok(Relation::Resolvable(resolver)) = relate(&with_channel(), schema::TRANSACTION) else {
            panic!("an optional field resolves");
        };
        let _ = resolver.rewrite(1, &bytes);
    }
}

#[test]
fn decimals_of_the_least_length_resolve() {
    let writer = edited(schema::MERCHANT_AGGREGATE, |json| {
        json["fields"].as_array_mut().unwrap().pop();
    });
    let Ok(Relation::Resolvable(resolver)) = relate(&writer, schema::MERCHANT_AGGREGATE) else {
        panic!("a field with a default resolves");
    };
    // Merchant m, EUR, a window from 0 to 1 ms, five figures of one byte, two amounts, one user.
    let body = b"\x02m\x06EUR\x00\x02\x02\x02\x05\x00\x02\x00\x02\x05\x02\x05\x02";
    let ours = resolver.rewrite(1, body).unwrap();
    assert_eq!(ours, [&body[..], b"\x00"].concat());
    assert_eq!(aggregate::decode(&ours).unwrap().totals.purchase_sum.units(), 5);
}

/// A merge of before early results must not add one up: it finds a watermark there, which it may
/// take.
#[test]
fn a_reader_that_knows_no_early_results_finds_a_watermark() {
    let before = edited(schema::AGGREGATE_PARTIAL, |json| {
        json["fields"].as_array_mut().unwrap().truncate(3);
    });
    let Ok(Relation::Resolvable(resolver)) = relate(schema::AGGREGATE_PARTIAL, &before) else {
        panic!("a field more is left out");
    };
    // Source 1, watermark 3, no contribution; early: merchant m, EUR, as above.
    let body = b"\x02\x06\x00\x02\x02m\x06EUR\x00\x02\x02\x02\x05\x00\x02\x00\x02\x05\x02\x05\x02\x00";
    let partial = partial::decode(body).unwrap();
    let PartialContent::Early(early) = partial.content else {
        panic!("{partial:?}");
    };
    assert_eq!(early[0].totals.purchase_sum.units(), 5);
    assert_eq!(resolver.rewrite(1, body).unwrap(), b"\x02\x06\x00");
    let Ok(Relation::Resolvable(resolver)) = relate(&before, schema::AGGREGATE_PARTIAL) else {
        panic!("a field with a default resolves");
    };
    let ours = resolver.rewrite(1, b"\x02\x06\x00").unwrap();
    assert_eq!(ours, b"\x02\x06\x00\x00\x00");
    assert_eq!(partial::decode(&ours).unwrap().complete_ms, None);
}

/// A merge of before arrays must not pass one over in silence, as its window closes without it.
#[test]
fn a_reader_that_knows_no_arrays_of_contributions_refuses_them() {
    let before = edited(schema::AGGREGATE_PARTIAL, |json| {
        for field in &mut json["fields"].as_array_mut().unwrap()[2..4] {
            field["type"].as_array_mut().unwrap().pop();
        }
    });
    let Ok(Relation::Resolvable(of_before)) = relate(schema::AGGREGATE_PARTIAL, &before) else {
        panic!("what both have resolves");
    };
    let contribution = b"m\x06EUR\x00\x02\x02\x02\x05\x00\x02\x00\x02\x05\x02\x05\x02";
    let array = [b"\x02\x06\x04\x02\x02", &contribution[..], b"\x00\x00\x00"].concat();
    assert!(partial::decode(&array).is_ok());
    assert!(of_before.rewrite(1, &array).is_err());
    let Ok(Relation::Resolvable(resolver)) = relate(&before, schema::AGGREGATE_PARTIAL) else {
        panic!("a branch more resolves");
    };
    let alone = [b"\x02\x06\x02\x02", &contribution[..], b"\x00\x00"].concat();
    assert_eq!(resolver.rewrite(1, &alone).unwrap(), alone);
}

#[test]
fn a_missing_field_is_refused_by_name() {
    let without = edited(schema::TRANSACTION, |json| {
        json["fields"].as_array_mut().unwrap().remove(2);
    });
    let message = relate(&without, schema::TRANSACTION).unwrap_err();
    assert!(message.contains("amount"), "{message}");
}
