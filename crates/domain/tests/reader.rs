//! The reader and the client against answers that a real registry gives only when something is
//! wrong. What a healthy registry does is tested against the real one.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use common::{registry, sample};
use millrace_contract::{ReadError, framing};
use millrace_domain::codec::{AnomalyReader, TransactionReader, anomaly, json, transaction};
use millrace_domain::{Anomaly, EntityType, Evidence, Severity, Transaction, schema};
use millrace_registry::WriterSchema;
use millrace_registry::{Registry, RegistryConfig, RegistryError, SchemaFetcher};

const OURS: u32 = 1;
const EVOLVED: u32 = 2;
const FOREIGN: u32 = 3;
const BUSY_ONCE: u32 = 4;
const UNKNOWN: u32 = 99;

#[derive(Default)]
struct Counts {
    calls: AtomicUsize,
    /// It answers, and has not read its store yet.
    is_starting: AtomicBool,
}

/// Our schema with an optional field in front.
fn evolved() -> String {
    let mut schema: serde_json::Value = serde_json::from_str(schema::TRANSACTION).unwrap();
    let channel = serde_json::json!({"name": "channel", "type": ["null", "string"], "default": null});
    schema["fields"].as_array_mut().unwrap().insert(0, channel);
    schema.to_string()
}

async fn by_id(
    State(counts): State<Arc<Counts>>,
    Path(id): Path<u32>,
) -> (StatusCode, Json<serde_json::Value>) {
    let calls = counts.calls.fetch_add(1, Ordering::SeqCst);
    let found = |schema: &str| (StatusCode::OK, Json(serde_json::json!({ "schema": schema })));
    let is_starting = counts.is_starting.load(Ordering::SeqCst);
    match id {
        OURS | EVOLVED if is_starting => not_found(),
        OURS => found(&schema::TRANSACTION.replace("At most 64 bytes.", "Other words.")),
        EVOLVED => found(&evolved()),
        FOREIGN => found(r#"{"type":"record","name":"Other","fields":[]}"#),
        BUSY_ONCE if calls > 0 => found(schema::TRANSACTION),
        BUSY_ONCE => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(serde_json::json!({"error_code": 50003, "message": "busy"})),
        ),
        _ => not_found(),
    }
}

fn not_found() -> (StatusCode, Json<serde_json::Value>) {
    let answer = serde_json::json!({"error_code": 40403, "message": "Schema not found"});
    (StatusCode::NOT_FOUND, Json(answer))
}

fn serve() -> (RegistryConfig, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let routes = Router::new()
        .route("/schemas/ids/{id}", get(by_id))
        .route("/subjects", get(async || Json(["x-value"])))
        .with_state(Arc::clone(&counts));
    (registry::at(format!("{}/", registry::serve(routes))), counts)
}

fn framed(schema_id: u32) -> Vec<u8> {
    let mut value = Vec::new();
    transaction::encode_framed(schema_id, &sample(), &mut value);
    value
}

fn code(result: Result<Transaction, ReadError>) -> &'static str {
    match result {
        Err(ReadError::Invalid(error)) => error.code(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn our_schema_is_asked_for_once_whatever_its_spelling() {
    let (config, counts) = serve();
    let reader = TransactionReader::new(SchemaFetcher::new(config));
    for _ in 0..3 {
        assert_eq!(reader.clone().read(&framed(OURS)).unwrap(), sample());
    }
    assert_eq!(counts.calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_known_id_is_never_asked_for_and_json_needs_no_schema() {
    let (config, counts) = serve();
    let reader = TransactionReader::new(SchemaFetcher::new(config)).with_own_schema_id(7);
    assert_eq!(reader.read(&framed(7)).unwrap(), sample());
    let mut text = Vec::new();
    json::encode(&sample(), &mut text);
    assert_eq!(reader.read(&text).unwrap(), sample());
    assert_eq!(counts.calls.load(Ordering::SeqCst), 0);
}

#[test]
fn a_schema_that_was_told_is_never_asked_for() {
    let (config, counts) = serve();
    let reader = TransactionReader::new(SchemaFetcher::new(config))
        .with_schema(7, &WriterSchema::avro(schema::TRANSACTION))
        .with_schema(8, &WriterSchema::avro(&evolved()))
        .with_schema(OURS, &WriterSchema::avro(r#"{"type": "string"}"#));
    assert_eq!(reader.read(&framed(7)).unwrap(), sample());
    let mut newer = Vec::new();
    framing::write_header(8, &mut newer);
    newer.extend_from_slice(b"\x02\x06web");
    transaction::encode(&sample(), &mut newer);
    assert_eq!(reader.read(&newer).unwrap(), sample());
    assert_eq!(counts.calls.load(Ordering::SeqCst), 0);
    assert_eq!(reader.read(&framed(OURS)).unwrap(), sample());
    assert_eq!(
        counts.calls.load(Ordering::SeqCst),
        1,
        "what did not fit was not taken"
    );
}

/// Anomalies of before rule sets are on the topic for as long as it is kept.
#[test]
fn an_anomaly_of_before_rule_sets_is_one_of_a_built_in_rule() {
    let mut before: serde_json::Value = serde_json::from_str(schema::ANOMALY).unwrap();
    before["fields"].as_array_mut().unwrap().truncate(9);
    let (config, _) = serve();
    let reader = AnomalyReader::new(SchemaFetcher::new(config))
        .with_own_schema_id(7)
        .with_schema(8, &WriterSchema::avro(&before.to_string()));
    let found = Anomaly {
        id: "0f8fad5b-d9cb-569f-a165-70867728950e".parse().unwrap(),
        rule: "velocity".into(),
        entity_type: EntityType::User,
        entity: sample().user_id,
        severity: Severity::High,
        score: 0.75,
        evidence: Evidence {
            transaction_ids: vec![sample().transaction_id],
            figures: vec![("span_s".into(), 60.0)],
        },
        event_time_ms: 1_760_000_000_000,
        origin: None,
    };
    let (mut now, mut then) = (Vec::new(), Vec::new());
    anomaly::encode_framed(7, &found, 5, &mut now);
    anomaly::encode_framed(8, &found, 5, &mut then);
    // The four new fields are the last four bytes.
    then.truncate(then.len() - 4);
    let read = reader.read(&then).unwrap();
    assert_eq!(read, reader.read(&now).unwrap());
    assert_eq!((read.rule_set_version, read.reason_codes.len()), (None, 0));
}

#[test]
fn a_newer_writer_schema_is_resolved_beside_ours() {
    let (config, counts) = serve();
    let reader = TransactionReader::new(SchemaFetcher::new(config));
    let mut newer = Vec::new();
    framing::write_header(EVOLVED, &mut newer);
    newer.extend_from_slice(b"\x02\x06web");
    transaction::encode(&sample(), &mut newer);
    for _ in 0..2 {
        assert_eq!(reader.read(&newer).unwrap(), sample());
        assert_eq!(reader.read(&framed(OURS)).unwrap(), sample());
    }
    assert_eq!(counts.calls.load(Ordering::SeqCst), 2);
    assert_eq!(code(reader.read(&newer[..20])), "unresolvable");
    newer.push(0);
    assert_eq!(code(reader.read(&newer)), "unresolvable");
}

#[test]
fn what_cannot_be_read_is_refused_and_not_asked_for_again() {
    let (config, counts) = serve();
    let reader = TransactionReader::new(SchemaFetcher::new(config));
    for _ in 0..2 {
        assert_eq!(code(reader.read(&framed(UNKNOWN))), "unknown_schema");
        assert_eq!(code(reader.read(&framed(FOREIGN))), "incompatible_schema");
    }
    // The unknown one twice: before and after the registry was seen to answer for others.
    assert_eq!(counts.calls.load(Ordering::SeqCst), 3);
    assert_eq!(code(reader.read(b"")), "empty");
    assert_eq!(code(reader.read(b"\x01")), "wrong_magic");
    assert_eq!(code(reader.read(b"\0\0")), "truncated");
}

#[test]
fn a_registry_that_has_not_read_its_store_yet_condemns_nothing() {
    let (config, counts) = serve();
    let reader = TransactionReader::new(SchemaFetcher::new(config));
    assert_eq!(reader.read(&framed(OURS)).unwrap(), sample());
    counts.is_starting.store(true, Ordering::SeqCst);
    for id in [EVOLVED, UNKNOWN] {
        match reader.read(&framed(id)) {
            Err(ReadError::Registry(error)) => {
                assert!(error.is_retriable());
                let text = error.to_string();
                assert!(text.contains("does not know schema 1 either"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
    counts.is_starting.store(false, Ordering::SeqCst);
    assert_eq!(code(reader.read(&framed(UNKNOWN))), "unknown_schema");
    assert_ne!(code(reader.read(&framed(EVOLVED))), "unknown_schema");
}

#[test]
fn a_busy_registry_is_asked_again() {
    let (config, counts) = serve();
    let reader = TransactionReader::new(SchemaFetcher::new(config));
    assert_eq!(reader.read(&framed(BUSY_ONCE)).unwrap(), sample());
    assert_eq!(counts.calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_registry_that_is_away_is_no_fault_of_the_record() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let reader = TransactionReader::new(SchemaFetcher::new(registry::at(format!("http://{address}"))));
    match reader.read(&framed(OURS)) {
        Err(ReadError::Registry(error)) => {
            assert!(error.is_retriable());
            let text = error.to_string();
            assert!(text.contains("get schema 1 in 5 attempts"), "{text}");
            assert!(text.contains("Connection refused"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_is_no_registry_is_named() {
    let (config, _) = serve();
    let registry = Registry::new(config).unwrap();
    assert_eq!(registry.latest("x-value").await, Ok(None));
    match registry.register("x-value", schema::TRANSACTION).await {
        Err(RegistryError::Refused { action, status, .. }) => {
            assert_eq!((action.as_str(), status), ("register x-value", 404));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_password_is_not_shown() {
    let config = RegistryConfig {
        password: Some("secret".to_owned()),
        ..registry::at("http://127.0.0.1:1".to_owned())
    };
    let registry = Registry::new(config.clone()).unwrap();
    assert!(!format!("{config:?} {registry:?}").contains("secret"));
}
