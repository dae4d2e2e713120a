//! The writer against a server in this process that answers as told: for the order of answers that a real
//! Elasticsearch cannot be made to give. The real one is in the integration tests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use millrace_settings::Elasticsearch as Settings;
use millrace_telemetry::Health;

use super::*;
use crate::client::connect;
use crate::stream::{Month, Stream};

/// Ids of the documents of each request received.
type Received = Arc<Mutex<Vec<Vec<String>>>>;

/// A server that gives the answers in turn, and then 201 for every document.
async fn server(answers: Vec<(u16, String)>) -> (Writer, Health, Received) {
    let received = Received::default();
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
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/_bulk", post(bulk));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let health = Health::new("test");
    let writer = Writer {
        client: connect(&Settings {
            url,
            ..Settings::default()
        })
        .unwrap(),
        index_prefix: String::new(),
        backoff: backoff(1, 2),
        metrics: Metrics::register().unwrap(),
        reachability: Reachability::new(health.component("elasticsearch")),
    };
    (writer, health, received)
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

fn documents(count: usize) -> Vec<Document> {
    (0..count)
        .map(|at| Document {
            stream: Stream::Aggregates,
            month: Month::of(0).unwrap(),
            id: at.to_string(),
            version: 1,
            source: "{}".to_owned(),
        })
        .collect()
}

fn requests(received: &Received) -> Vec<String> {
    received.lock().unwrap().iter().map(|ids| ids.join(" ")).collect()
}

#[tokio::test]
async fn only_what_can_be_taken_later_is_sent_again() {
    let (writer, _, received) = server(vec![
        (200, items(&[201, 429, 409, 400, 503])),
        (200, items(&[429, 201])),
    ])
    .await;
    let refusals = writer.write(documents(5).iter()).await;
    assert_eq!(requests(&received), ["0 1 2 3 4", "1 4", "1"]);
    assert_eq!(refusals.len(), 1);
    assert_eq!((refusals[0].at, refusals[0].item.code), (3, "refused"));
}

#[tokio::test]
async fn a_request_that_fails_as_a_whole_is_sent_again_as_a_whole() {
    let failures = [503, 429, 502, 401, 200]
        .map(|status| (status, "busy".to_owned()))
        .to_vec();
    let (writer, _, received) = server(failures).await;
    assert_eq!(writer.write(documents(2).iter()).await, []);
    assert_eq!(requests(&received), ["0 1"; 6]);
}

#[tokio::test]
async fn halves_find_the_document_that_is_too_large() {
    let too_large = || (413, "too large".to_owned());
    let (writer, _, received) = server(vec![
        too_large(),
        (200, items(&[201, 201])),
        too_large(),
        too_large(),
    ])
    .await;
    let refusals = writer.write(documents(4).iter()).await;
    assert_eq!(requests(&received), ["0 1 2 3", "0 1", "2 3", "2", "3"]);
    assert_eq!(
        refusals
            .iter()
            .map(|refusal| (refusal.at, refusal.item.code))
            .collect::<Vec<_>>(),
        [(2, "too_large")]
    );
}

#[tokio::test]
async fn an_outage_makes_the_service_not_ready_until_it_ends() {
    let (writer, health, received) = server(vec![(
        403,
        r#"{"error":{"type":"security_exception","reason":"no"}}"#.to_owned(),
    )])
    .await;
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
    assert_eq!(writer.write(documents(1).iter()).await, []);
    assert!(health.report().ready);
    assert_eq!(requests(&received).len(), 2);
}

#[tokio::test]
async fn nothing_to_write_is_no_request() {
    let (writer, _, received) = server(Vec::new()).await;
    assert_eq!(writer.write([].iter()).await, []);
    assert!(requests(&received).is_empty());
}
