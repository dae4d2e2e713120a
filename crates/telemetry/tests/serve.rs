//! The endpoint as Prometheus and an orchestrator see it.

use std::time::Duration;

use millrace_telemetry::{Health, Server, Shutdown, metrics, serve};
use serde_json::{Value, json};

async fn get(server: &Server, path: &str) -> (u16, String) {
    let client = millrace_http::local_client(Duration::from_secs(120)).expect("a client");
    let url = format!("http://{}{path}", server.address());
    let answer = client.get(url).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

async fn get_json(server: &Server, path: &str) -> (u16, Value) {
    let (status, body) = get(server, path).await;
    (status, serde_json::from_str(&body).expect("JSON"))
}

#[tokio::test]
async fn health_says_what_is_not_ready_and_why() {
    let (health, shutdown) = (Health::new("elastic-sink"), Shutdown::new());
    let server = serve("127.0.0.1", 0, health.clone(), shutdown.clone()).expect("serves");
    let (kafka, elasticsearch) = (health.component("kafka"), health.component("elasticsearch"));
    kafka.ready();
    elasticsearch.not_ready("503 from the server");
    let expected = json!({
        "service": "elastic-sink",
        "version": metrics::VERSION,
        "live": true,
        "ready": false,
        "stopping": false,
        "components": {
            "kafka": {"state": "ready"},
            "elasticsearch": {"state": "not_ready", "reason": "503 from the server"},
        },
    });
    assert_eq!(get_json(&server, "/health/ready").await, (503, expected.clone()));
    assert_eq!(get_json(&server, "/health/live").await, (200, expected));

    elasticsearch.ready();
    assert_eq!(get(&server, "/health/ready").await.0, 200);

    kafka.failed("fenced by another instance");
    assert_eq!(get(&server, "/health/live").await.0, 503);
    assert_eq!(get(&server, "/health/ready").await.0, 503);
}

#[tokio::test]
async fn a_stopping_service_is_alive_and_not_ready() {
    let (health, shutdown) = (Health::new("detector"), Shutdown::new());
    let server = serve("127.0.0.1", 0, health.clone(), shutdown.clone()).expect("serves");
    health.component("kafka").ready();
    assert_eq!(get(&server, "/health/ready").await.0, 200);
    shutdown.trigger();
    let (status, answer) = get_json(&server, "/health/ready").await;
    assert_eq!((status, &answer["stopping"]), (503, &json!(true)));
    assert_eq!(get(&server, "/health/live").await.0, 200);
}

#[tokio::test]
async fn metrics_are_served_as_text() {
    let server = serve("127.0.0.1", 0, Health::new("producer"), Shutdown::new()).expect("serves");
    metrics::counter("millrace_producer_sent_total", "help")
        .expect("registers")
        .inc_by(7);
    let (status, body) = get(&server, "/metrics").await;
    assert_eq!(status, 200);
    assert!(body.contains("\nmillrace_producer_sent_total 7\n"), "{body}");
    assert_eq!(get(&server, "/other").await.0, 404);
}

#[test]
fn a_port_in_use_is_an_error_that_names_it_and_its_key() {
    let first = serve("127.0.0.1", 0, Health::new("producer"), Shutdown::new()).expect("serves");
    let port = first.address().port();
    let error = serve("127.0.0.1", port, Health::new("elastic-sink"), Shutdown::new())
        .expect_err("a refusal")
        .to_string();
    assert!(
        error.starts_with(&format!(
            "elastic-sink cannot serve its metrics on 127.0.0.1:{port}: Address already in use"
        )) && error.contains("elastic_sink.metrics_port"),
        "{error}"
    );
    drop(first);
    serve("127.0.0.1", port, Health::new("elastic-sink"), Shutdown::new()).expect("the port is free again");
}
