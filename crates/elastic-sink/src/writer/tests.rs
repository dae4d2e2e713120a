//! The writer against a server in this process that answers as told: for the order of answers that
//! a real Elasticsearch cannot be made to give. The real one is in the integration tests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use millrace_settings::Settings;
use millrace_telemetry::Health;
use serde_json::{Value, json};

use super::*;
use crate::bulk::RefusedItem;
use crate::client::connect;
use crate::stream::{Month, Stream};
use crate::templates::put::mapping;

mod refusals;
mod repeats;

/// Ids of the documents of each request received.
type Received = Arc<Mutex<Vec<Vec<String>>>>;

struct Server {
    writer: Writer,
    health: Health,
    received: Received,
    /// Names that were looked for.
    lookups: Arc<Mutex<Vec<String>>>,
    /// What is stored, by index and id.
    stored: StoredDocuments,
}

type StoredDocuments = Arc<Mutex<BTreeMap<(String, String), Value>>>;

/// A server that gives the answers in turn, and then 201 for every document.
async fn server(answers: Vec<(u16, String)>) -> Server {
    let (received, lookups) = (Received::default(), Arc::<Mutex<Vec<String>>>::default());
    let (seen, answers) = (
        Arc::clone(&received),
        Arc::new(Mutex::new(VecDeque::from(answers))),
    );
    let bulk = move |body: String| {
        let ids: Vec<String> = body
            .lines()
            .step_by(2)
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["index"]["_id"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        let answer = answers
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or_else(|| (200, items(&vec![201; ids.len()])));
        seen.lock().unwrap().push(ids);
        async move { (StatusCode::from_u16(answer.0).unwrap(), answer.1) }
    };
    let (looked, looks) = (Arc::clone(&lookups), resolve_answer);
    let resolve = move |Path(name): Path<String>| {
        looked.lock().unwrap().push(name.clone());
        async move { looks(&name) }
    };
    let mapping = |Path(name): Path<String>| async move {
        Json(json!({ name: { "mappings": mapping(Stream::AGGREGATES) } }))
    };
    let stored = StoredDocuments::default();
    let kept = Arc::clone(&stored);
    let mget = move |Json(asked): Json<Value>| {
        let answer = mget_answer(&kept.lock().unwrap(), &asked);
        async move { answer }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/_bulk", post(bulk))
        .route("/_resolve/index/{name}", get(resolve))
        .route("/{name}/_mapping", get(mapping))
        .route("/_mget", post(mget));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let health = Health::new("test");
    let mut settings = Settings::default();
    settings.elasticsearch.url = url;
    settings.elastic_sink.retry_initial_ms = 1;
    settings.elastic_sink.retry_max_ms = 2;
    settings.elastic_sink.refused_in_a_row = 3;
    let client = connect(&settings.elasticsearch).unwrap();
    let reachability = Reachability::new(health.component("elasticsearch"));
    let writer = Writer::new(&client, &settings, Metrics::register().unwrap(), reachability);
    Server {
        writer,
        health,
        received,
        lookups,
        stored,
    }
}

/// What is stored of those that are asked for, in their order.
fn mget_answer(stored: &BTreeMap<(String, String), Value>, asked: &Value) -> Json<Value> {
    let asked = asked["docs"].as_array().unwrap().iter();
    let docs = asked.map(|one| {
        let of = |field: &str| one[field].as_str().unwrap().to_owned();
        match stored.get(&(of("_index"), of("_id"))) {
            None => json!({ "found": false }),
            Some(source) => json!({ "_version": 1, "_source": source }),
        }
    });
    Json(json!({ "docs": docs.collect::<Vec<_>>() }))
}

/// Every index is there, with the alias to write to; that of 1971 is a data stream.
fn resolve_answer(name: &str) -> Json<Value> {
    let nothing: [Value; 0] = [];
    if name.contains("1971") {
        let stream = json!({ "name": name, "backing_indices": [], "timestamp_field": "@timestamp" });
        return Json(json!({ "indices": nothing, "aliases": nothing, "data_streams": [stream] }));
    }
    let index = json!({ "name": name, "aliases": [format!("{name}-write")], "attributes": ["open"] });
    Json(json!({ "indices": [index], "aliases": nothing, "data_streams": nothing }))
}

fn items(statuses: &[u16]) -> String {
    let items: Vec<_> = statuses
        .iter()
        .map(|status| match status {
            200..300 => serde_json::json!({"index": {"status": status}}),
            _ => serde_json::json!({"index": {"status": status, "error": {"type": "t", "reason": "r"}}}),
        })
        .collect();
    serde_json::json!({ "items": items }).to_string()
}

/// An error of one document, in Elasticsearch's words.
fn refused(status: u16, kind: &str, reason: &str) -> Value {
    json!({"index": {"status": status, "error": {"type": kind, "reason": reason}}})
}

fn taken() -> Value {
    json!({"index": {"status": 201}})
}

fn answer(items: &[Value]) -> (u16, String) {
    (200, json!({ "items": items }).to_string())
}

fn document(month_ms: i64, id: usize, bytes: usize) -> Document {
    Document {
        stream: Stream::AGGREGATES,
        month: Month::of(month_ms).unwrap(),
        id: id.to_string(),
        version: 1,
        source: format!(r#"{{"x":"{}"}}"#, "x".repeat(bytes)),
    }
}

fn documents(count: usize) -> Vec<Document> {
    (0..count).map(|at| document(0, at, 10)).collect()
}

/// The month after that of [`documents`].
const OTHER_MONTH_MS: i64 = 32 * 86_400_000;

fn requests(received: &Received) -> Vec<String> {
    received.lock().unwrap().iter().map(|ids| ids.join(" ")).collect()
}

/// Places and codes of the refused.
fn codes(written: &Written) -> Vec<(usize, &'static str)> {
    let refused = written.refused.iter();
    refused.map(|refusal| (refusal.at, refusal.item.code)).collect()
}

fn faults(written: &Written) -> Vec<IndexFault> {
    written.reasons.values().map(|reason| reason.fault).collect()
}

#[tokio::test]
async fn only_what_can_be_taken_later_is_sent_again() {
    let server = server(vec![
        (200, items(&[201, 429, 409, 400, 503])),
        (200, items(&[429, 201])),
    ])
    .await;
    let written = server.writer.write(documents(5).iter()).await;
    assert_eq!(requests(&server.received), ["0 1 2 3 4", "1 4", "1"]);
    assert_eq!(codes(&written), [(3, "refused")]);
}

#[tokio::test]
async fn a_request_that_fails_as_a_whole_is_sent_again_as_a_whole() {
    let failures = [503, 429, 502, 401, 200]
        .map(|status| (status, "busy".to_owned()))
        .to_vec();
    let server = server(failures).await;
    assert_eq!(server.writer.write(documents(2).iter()).await, Written::default());
    assert_eq!(requests(&server.received), ["0 1"; 6]);
}

fn too_large() -> (u16, String) {
    (413, "<html>413 Request Entity Too Large</html>".to_owned())
}

#[tokio::test]
async fn the_document_that_is_too_large_is_found() {
    let server = server(vec![too_large(), (200, items(&[201, 201])), too_large()]).await;
    let all: Vec<Document> = [10, 10, 200_000, 10]
        .into_iter()
        .enumerate()
        .map(|(id, bytes)| document(0, id, bytes))
        .collect();
    let written = server.writer.write(all.iter()).await;
    assert_eq!(requests(&server.received), ["0 1 2 3", "0 1", "2", "3"]);
    assert_eq!(codes(&written), [(2, "too_large")]);
}

/// S12: 413 to everything is a proxy's state, and no document's size.
#[tokio::test]
async fn a_small_document_is_never_too_large() {
    let server = server(vec![too_large(); 9]).await;
    let written = server.writer.write(documents(4).iter()).await;
    assert_eq!(written, Written::default());
    let sent = requests(&server.received);
    assert_eq!(sent[0], "0 1 2 3");
    assert!(sent[1..=9].iter().all(|ids| ids == "0"), "{sent:?}");
}

/// S01: one index is blocked, and the other's documents are not held up.
#[tokio::test]
async fn a_blocked_index_holds_up_its_own_documents_alone() {
    let server = server(vec![answer(&[
        refused(
            403,
            "cluster_block_exception",
            "index [x] blocked by: [FORBIDDEN/8/index write (api)];",
        ),
        taken(),
    ])])
    .await;
    let both = [document(0, 0, 10), document(OTHER_MONTH_MS, 1, 10)];
    let written = server.writer.write(both.iter()).await;
    assert_eq!(
        (&*written.blocked, faults(&written)),
        (&[0][..], vec![IndexFault::ReadOnly])
    );
    assert_eq!(requests(&server.received), ["0 1"]);
}

/// S02: a data stream in the index's place gets no document, and costs none.
#[tokio::test]
async fn a_data_stream_is_not_even_written_to() {
    let server = server(Vec::new()).await;
    let both = [document(400 * 86_400_000, 0, 10), document(0, 1, 10)];
    let written = server.writer.write(both.iter()).await;
    assert_eq!(
        (&*written.blocked, faults(&written)),
        (&[0][..], vec![IndexFault::DataStream])
    );
    assert_eq!(requests(&server.received), ["1"]);
}

#[tokio::test]
async fn halves_find_the_document_that_spoils_a_request() {
    let no = || {
        (
            400,
            r#"{"error":{"type":"action_request_validation_exception","reason":"1: id is too long"}}"#
                .to_owned(),
        )
    };
    let server = server(vec![no(), (200, items(&[201, 201])), no(), no()]).await;
    let written = server.writer.write(documents(4).iter()).await;
    assert_eq!(requests(&server.received), ["0 1 2 3", "0 1", "2 3", "2", "3"]);
    assert_eq!(
        written.refused,
        [Refusal {
            at: 2,
            item: RefusedItem {
                code: "action_request_validation_exception",
                message: "status 400: action_request_validation_exception: 1: id is too long".to_owned(),
            },
        }]
    );
}

/// S03: an index that has vanished is looked for, and made, before anything is written again.
#[tokio::test]
async fn an_index_that_has_vanished_is_looked_for_again() {
    let gone = || {
        refused(
            404,
            "index_not_found_exception",
            "no such index [x] and [require_alias] request flag is [true]",
        )
    };
    let server = server(vec![answer(&[gone()])]).await;
    assert_eq!(server.writer.write(documents(1).iter()).await, Written::default());
    assert_eq!(requests(&server.received), ["0", "0"]);
    assert_eq!(
        *server.lookups.lock().unwrap(),
        ["millrace-aggregates-1970.01"; 2]
    );
}

#[tokio::test]
async fn a_shard_that_fails_again_and_again_is_its_indexs_matter() {
    let no = || refused(500, "some_io_exception", "disk");
    let server = server(vec![
        answer(&[no(), taken()]),
        answer(&[no()]),
        answer(&[no()]),
        answer(&[no()]),
    ])
    .await;
    let both = [document(0, 0, 10), document(OTHER_MONTH_MS, 1, 10)];
    let written = server.writer.write(both.iter()).await;
    assert_eq!(
        (&*written.blocked, faults(&written)),
        (&[0][..], vec![IndexFault::Server])
    );
    assert_eq!(requests(&server.received), ["0 1", "0", "0", "0"]);
}

#[tokio::test]
async fn an_outage_makes_the_service_not_ready_until_it_ends() {
    let server = server(vec![(
        403,
        r#"{"error":{"type":"security_exception","reason":"no"}}"#.to_owned(),
    )])
    .await;
    let (writer, health) = (server.writer, server.health);
    writer.reachability.probe(None);
    assert!(health.report().ready);
    let slow = Writer {
        backoff: backoff(3_600_000, 3_600_000),
        ..writer.clone()
    };
    let held = tokio::spawn(async move { slow.write(documents(1).iter()).await });
    while health.report().ready {
        tokio::task::yield_now().await;
    }
    let report = health.report();
    assert!(
        format!("{:?}", report.components["elasticsearch"]).contains("security_exception: no"),
        "{report:?}"
    );
    held.abort();
    assert_eq!(writer.write(documents(1).iter()).await, Written::default());
    assert!(health.report().ready);
    assert_eq!(requests(&server.received).len(), 2);
}

#[tokio::test]
async fn nothing_to_write_is_no_request() {
    let server = server(Vec::new()).await;
    assert_eq!(server.writer.write([].iter()).await, Written::default());
    assert!(requests(&server.received).is_empty());
}
