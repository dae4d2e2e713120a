//! Schemas of other people's writers, against a registry that answers as a real one does when
//! something is wrong. What a healthy registry does with them is tested against the real one.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use common::{registry, sample};
use millrace_contract::{DecodeError, ReadError, framing};
use millrace_domain::codec::{TransactionReader, json, transaction};
use millrace_domain::{Amount, Transaction, schema};
use millrace_registry::SchemaFetcher;
use serde_json::{Value, json};

const OURS: u32 = 1;
const JSON: u32 = 2;
const PROTOBUF: u32 = 3;
const REFERRING: u32 = 4;
const BROKEN_REFERENCE: u32 = 5;
const ENDLESS_REFERENCES: u32 = 6;
const FLOAT: u32 = 7;
const CENTS: u32 = 8;
const FINE: u32 = 9;
const NULLABLE_FIXED: u32 = 10;
const BARE_BYTES: u32 = 11;
const MORE_SYMBOLS: u32 = 12;
/// Answered with [`Answers::of_one`].
const REFUSED: u32 = 777_777;

struct Answers {
    /// The status of [`REFUSED`], and of everything; 200 where nothing is wrong.
    of_one: AtomicU16,
    of_all: AtomicU16,
    calls: AtomicUsize,
}

/// Our schema with another type of a field.
fn with_type(field: &str, kind: &Value) -> String {
    let mut schema: Value = serde_json::from_str(schema::TRANSACTION).unwrap();
    let fields = schema["fields"].as_array_mut().unwrap();
    fields.iter_mut().find(|it| it["name"] == field).unwrap()["type"] = kind.clone();
    schema.to_string()
}

fn kind() -> Value {
    json!({"type": "enum", "name": "TransactionType", "namespace": "shared", "symbols": ["purchase", "refund"]})
}

fn decimal(scale: u32) -> Value {
    json!({"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": scale})
}

type Answer = (StatusCode, Json<Value>);

fn found(answer: Value) -> Answer {
    (StatusCode::OK, Json(answer))
}

fn status(status: u16) -> Answer {
    let message = json!({"error_code": u32::from(status) * 100 + 1, "message": "denied"});
    (StatusCode::from_u16(status).unwrap(), Json(message))
}

async fn by_id(State(answers): State<Arc<Answers>>, Path(id): Path<u32>) -> Answer {
    answers.calls.fetch_add(1, Ordering::SeqCst);
    let (of_one, of_all) = (
        answers.of_one.load(Ordering::SeqCst),
        answers.of_all.load(Ordering::SeqCst),
    );
    if of_all != 200 {
        return status(of_all);
    }
    let reference = |name, subject, version| json!([{"name": name, "subject": subject, "version": version}]);
    let money = |kind| found(json!({"schema": with_type("amount", kind)}));
    match id {
        OURS => found(json!({"schema": schema::TRANSACTION})),
        JSON => found(json!({"schema": "{\"type\": \"object\"}", "schemaType": "JSON"})),
        PROTOBUF => found(json!({"schema": "syntax = \"proto3\";", "schemaType": "PROTOBUF"})),
        REFERRING => found(json!({
            "schema": with_type("transactionType", &"shared.TransactionType".into()),
            "schemaType": "AVRO",
            "references": reference("shared.TransactionType", "shared-type", 1)
        })),
        BROKEN_REFERENCE => found(json!({
            "schema": with_type("transactionType", &"shared.Gone".into()),
            "references": reference("shared.Gone", "gone", 3)
        })),
        ENDLESS_REFERENCES => found(json!({
            "schema": schema::TRANSACTION,
            "references": reference("endless", "endless", 1)
        })),
        FLOAT => money(&"float".into()),
        CENTS => money(&decimal(2)),
        FINE => money(&decimal(10)),
        NULLABLE_FIXED => money(&json!(["null", "float", {
            "type": "fixed", "name": "Money", "size": 20, "logicalType": "decimal", "precision": 40, "scale": 4
        }])),
        BARE_BYTES => money(&"bytes".into()),
        MORE_SYMBOLS => found(json!({"schema": with_type("paymentMethod", &json!({
            "type": "enum", "name": "PaymentMethod", "symbols": ["voucher", "credit_card", "paypal", "bank_transfer"]
        }))})),
        REFUSED if of_one == 200 => found(json!({"schema": schema::TRANSACTION})),
        REFUSED => status(of_one),
        _ => status(404),
    }
}

async fn version(
    State(answers): State<Arc<Answers>>,
    Path((subject, version)): Path<(String, u32)>,
) -> Answer {
    answers.calls.fetch_add(1, Ordering::SeqCst);
    match (subject.as_str(), version) {
        ("shared-type", 1) => found(json!({"id": 100, "version": 1, "schema": kind().to_string()})),
        ("endless", version) => found(json!({
            "id": 1000 + version, "version": version, "schema": "{\"type\": \"string\"}",
            "references": [{"name": "endless", "subject": "endless", "version": version + 1}]
        })),
        _ => status(404),
    }
}

async fn subjects(State(answers): State<Arc<Answers>>) -> Answer {
    match answers.of_all.load(Ordering::SeqCst) {
        200 => found(json!(["x-value"])),
        of_all => status(of_all),
    }
}

fn serve() -> (TransactionReader, Arc<Answers>) {
    let answers = Arc::new(Answers {
        of_one: AtomicU16::new(200),
        of_all: AtomicU16::new(200),
        calls: AtomicUsize::new(0),
    });
    let routes = Router::new()
        .route("/schemas/ids/{id}", get(by_id))
        .route("/subjects/{subject}/versions/{version}", get(version))
        .route("/subjects", get(subjects))
        .with_state(Arc::clone(&answers));
    let fetcher = SchemaFetcher::new(registry::at(registry::serve(routes)));
    (TransactionReader::new(fetcher), answers)
}

fn framed(id: u32) -> Vec<u8> {
    let mut value = Vec::new();
    transaction::encode_framed(id, &sample(), &mut value);
    value
}

/// The sample with other bytes for its amount.
fn with_amount(id: u32, amount: &[u8]) -> Vec<u8> {
    let mut value = framed(id);
    let at = value
        .windows(8)
        .position(|bytes| bytes == 57.16_f64.to_le_bytes())
        .unwrap();
    value.splice(at..at + 8, amount.iter().copied());
    value
}

fn invalid(result: Result<Transaction, ReadError>) -> DecodeError {
    match result {
        Err(ReadError::Invalid(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn json_in_the_framing_of_a_json_schema_is_read() {
    let (reader, _) = serve();
    let mut value = Vec::new();
    framing::write_header(JSON, &mut value);
    json::encode(&sample(), &mut value);
    assert_eq!(reader.read(&value).unwrap(), sample());
    value.splice(5..5, *b"\n ");
    assert_eq!(reader.read(&value).unwrap(), sample());
    assert_eq!(invalid(reader.read(&framed(JSON))).code(), "bad_json");
    let message = invalid(reader.read(&framed(PROTOBUF))).to_string();
    assert!(message.contains("type PROTOBUF, not AVRO or JSON"), "{message}");
}

#[test]
fn references_are_resolved_once_and_a_missing_one_is_named() {
    let (reader, answers) = serve();
    for _ in 0..3 {
        assert_eq!(reader.read(&framed(REFERRING)).unwrap(), sample());
    }
    assert_eq!(answers.calls.load(Ordering::SeqCst), 2);
    let error = invalid(reader.read(&framed(BROKEN_REFERENCE)));
    assert_eq!(error.code(), "missing_reference");
    assert_eq!(
        error.to_string(),
        "schema id 5 refers to shared.Gone, version 3 of subject gone, which the schema registry does not have"
    );
    let message = invalid(reader.read(&framed(ENDLESS_REFERENCES))).to_string();
    assert!(message.contains("beyond the 64"), "{message}");
}

#[test]
fn floats_and_decimals_are_read_as_the_amounts_they_mean() {
    let (reader, _) = serve();
    let amount = |id, bytes: &[u8]| reader.read(&with_amount(id, bytes)).unwrap().amount;
    let of = |units| Amount::from_units(units).unwrap();
    assert_eq!(amount(FLOAT, &57.16_f32.to_le_bytes()), of(571_600));
    assert_eq!(amount(FLOAT, &12_345.67_f32.to_le_bytes()), of(123_456_700));
    assert_eq!(amount(CENTS, &[4, 0x16, 0x54]), of(571_600));
    assert_eq!(
        amount(FINE, &[12, 0x03, 0x3f, 0xc9, 0xd4, 0xf6, 0x00]),
        of(3_572_504)
    );
    // Branch 1 is a float, branch 2 the fixed, of 20 bytes.
    assert_eq!(
        amount(NULLABLE_FIXED, &[&[2], &57.16_f32.to_le_bytes()[..]].concat()),
        of(571_600)
    );
    assert_eq!(
        amount(NULLABLE_FIXED, &[&[4][..], &[0; 18], &[0x16, 0x54]].concat()),
        of(5_716)
    );
    let code = |id, bytes: &[u8]| invalid(reader.read(&with_amount(id, bytes))).code();
    assert_eq!(code(FLOAT, &0.123_45_f32.to_le_bytes()), "amount_too_fine");
    assert_eq!(
        code(FLOAT, &200_000.5_f32.to_le_bytes()),
        "amount_float_too_large"
    );
    assert_eq!(code(FINE, &[2, 1]), "amount_too_fine");
    assert_eq!(code(CENTS, &[2, 0xff]), "amount_not_positive");
    assert_eq!(code(NULLABLE_FIXED, &[0]), "bad_field");
    assert_eq!(code(BARE_BYTES, &[2, 1]), "incompatible_schema");
    let cut = &with_amount(CENTS, &[4, 0x16, 0x54])[..50];
    assert_eq!(invalid(reader.read(cut)).code(), "unresolvable");
}

#[test]
fn a_writer_with_a_symbol_more_is_read_but_for_that_symbol() {
    let (reader, _) = serve();
    let with_symbol = |index: u8| {
        let mut value = framed(MORE_SYMBOLS);
        // Before the boolean and the currency of three letters.
        let at = value.len() - 6;
        value[at] = 2 * index;
        value
    };
    let ours = sample().payment_method as u8 + 1;
    assert_eq!(reader.read(&with_symbol(ours)).unwrap(), sample());
    let error = invalid(reader.read(&with_symbol(0)));
    assert_eq!(error.code(), "unresolvable");
    assert!(error.to_string().contains("voucher"), "{error}");
    assert_eq!(
        reader.read(&with_symbol(ours)).unwrap(),
        sample(),
        "the next is read"
    );
}

#[test]
fn an_id_that_alone_is_refused_is_a_bad_value_and_asked_for_no_more() {
    for refusal in [400, 401, 403, 404, 500] {
        // A reader that has been given a schema before asks for that, another one for the list of
        // subjects.
        for knows_one in [false, true] {
            let (reader, answers) = serve();
            answers.of_one.store(refusal, Ordering::SeqCst);
            if knows_one {
                assert_eq!(reader.read(&framed(OURS)).unwrap(), sample());
            }
            let error = invalid(reader.read(&framed(REFUSED)));
            let expected = if refusal == 404 {
                "unknown_schema"
            } else {
                "refused_schema"
            };
            assert_eq!(error.code(), expected, "{error}");
            let calls = answers.calls.load(Ordering::SeqCst);
            assert_eq!(invalid(reader.read(&framed(REFUSED))), error);
            assert_eq!(answers.calls.load(Ordering::SeqCst), calls);
            // Others go on.
            assert_eq!(reader.read(&framed(OURS)).unwrap(), sample());
        }
    }
}

#[test]
fn a_registry_that_refuses_everything_condemns_nothing() {
    for refusal in [400, 401, 403, 404, 429, 500, 503] {
        let (reader, answers) = serve();
        assert_eq!(reader.read(&framed(OURS)).unwrap(), sample());
        answers.of_all.store(refusal, Ordering::SeqCst);
        match reader.read(&framed(REFUSED)) {
            Err(ReadError::Registry(error)) => assert!(error.is_retriable(), "{error}"),
            other => panic!("{refusal}: {other:?}"),
        }
        // What is known is read meanwhile, and what was not is read as soon as the registry is
        // back.
        assert_eq!(reader.read(&framed(OURS)).unwrap(), sample());
        answers.of_all.store(200, Ordering::SeqCst);
        assert_eq!(reader.read(&framed(REFUSED)).unwrap(), sample());
    }
}
