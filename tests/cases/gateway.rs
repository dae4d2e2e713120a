//! Ingestion over HTTP, by clients that keep a ledger of their own: what they were told is
//! acknowledged is in the topic, and what they sent again is found by its id.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use millrace_catalog::payments::topic;
use millrace_domain::codec::transaction;
use millrace_kafka::clock::now_ms;
use millrace_kafka::partition_for;
use millrace_publisher::ledger::LedgerFile;
use millrace_stack::Node;
use millrace_telemetry::exposition;
use millrace_tests::pipeline::{init, metrics_text};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, sample, topics, wait_until};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;

/// How long one answer, or one condition, may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
const KEY: &str = "0f4b6e2a9c1d8e7f0f4b6e2a9c1d8e7f0f4b6e2a9c1d8e7f0f4b6e2a9c1d8e7f";
/// `printf %s "$KEY" | sha256sum`
const KEY_HASH: &str = "sha256:606d21c7d75b86948aa174a1d52018c1035eb8e6bbed56043b4cb128364b7daa";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// Clients of the test of faults.
const CLIENTS: u32 = 4;
/// Items of one of their requests.
const ITEMS: u32 = 20;

struct Gateway {
    service: Service,
    http: Client,
    url: String,
}

impl Gateway {
    async fn start(context: &TestContext) -> Result<Self> {
        let settings = &context.settings;
        let mut service = Service::start(context, "gateway", &["service", "gateway"])?;
        service.ready(settings.gateway.metrics_port).await?;
        Ok(Self {
            service,
            http: millrace_http::local_client(LIMIT)?,
            url: url(context),
        })
    }

    fn post(&self, media_type: &str, body: impl Into<Vec<u8>>) -> RequestBuilder {
        post(&self.http, &self.url, media_type, body)
    }
}

fn url(context: &TestContext) -> String {
    format!("http://127.0.0.1:{}/v1", context.settings.gateway.port)
}

fn post(http: &Client, url: &str, media_type: &str, body: impl Into<Vec<u8>>) -> RequestBuilder {
    http.post(format!("{url}/{}", topic::TRANSACTIONS))
        .bearer_auth(KEY)
        .header("content-type", media_type)
        .body(body.into())
}

fn set_keys(context: &mut TestContext) {
    let keys = &mut context.settings.gateway.api_keys;
    keys.insert("bank_a".to_owned(), KEY_HASH.to_owned());
}

/// A transaction as JSON; its id follows `number`.
fn item(number: u32) -> String {
    let mut text = Vec::new();
    millrace_domain::codec::json::encode(&sample::transaction(number, now_ms()), &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn id(number: u32) -> [u8; 16] {
    *sample::transaction(number, 0).transaction_id.as_bytes()
}

async fn answer(request: RequestBuilder) -> Result<(u16, Value)> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    Ok((status, response.json().await?))
}

/// How often each id is in the topic, each record in its user's partition.
async fn found(context: &TestContext) -> Result<BTreeMap<[u8; 16], usize>> {
    let mut found = BTreeMap::new();
    for record in topics::read(&context.settings, topic::TRANSACTIONS).await? {
        let value = record.payload.get(5..).context("a framed value")?;
        let transaction = transaction::decode(value)?;
        let user = transaction.user_id.text();
        ensure!(record.key.as_deref() == Some(user.as_bytes()), "{record:?}");
        ensure!(
            record.partition == partition_for(user.as_bytes(), 5),
            "{record:?}"
        );
        *found.entry(*transaction.transaction_id.as_bytes()).or_default() += 1;
    }
    Ok(found)
}

/// One object, an array, lines, gzip: the same records, with the trace of their request; what is
/// wrong is told by its place and field, and everything else is sent.
pub(super) async fn takes_every_form(mut context: TestContext) -> Result<()> {
    set_keys(&mut context);
    context.settings.gateway.max_items = 100;
    context.settings.gateway.max_body_bytes = 100_000;
    init(&context).await?;
    let gateway = Gateway::start(&context).await?;

    let (status, report) = answer(
        gateway
            .post("application/json", item(1))
            .header("traceparent", TRACE),
    )
    .await?;
    ensure!(status == 200 && report["accepted"] == 1, "{status} {report}");
    let (status, report) =
        answer(gateway.post("application/json", format!("[{},{}]", item(2), item(3)))).await?;
    ensure!(status == 200 && report["accepted"] == 2, "{status} {report}");
    let lines = format!(
        "{}\n\n{}\nno object\n{}\n",
        item(4),
        item(5).replace("GBP", "pound"),
        item(6)
    );
    let (status, report) = answer(gateway.post("application/x-ndjson", lines)).await?;
    ensure!(status == 207, "{status} {report}");
    ensure!(
        (&report["items"], &report["accepted"], &report["refused"]) == (&4.into(), &2.into(), &2.into()),
        "{report}"
    );
    let errors = report["errors"].as_array().context("errors")?;
    ensure!(
        errors[0]["index"] == 1 && errors[0]["field"] == "currency" && errors[0]["expected"].is_string(),
        "{report}"
    );
    ensure!(errors[1]["index"] == 2 && errors[1]["status"] == 422, "{report}");
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(item(7).as_bytes())?;
    let request = gateway.post("application/json", packed.finish()?);
    let (status, report) = answer(request.header("content-encoding", "gzip")).await?;
    ensure!(status == 200 && report["accepted"] == 1, "{status} {report}");
    refuses(&gateway).await?;
    repeats(&gateway).await?;
    describes(&gateway, &context).await?;

    let metrics = metrics_text(context.settings.gateway.metrics_port).await?;
    let acknowledged = exposition::sum(&metrics, "millrace_gateway_items_total");
    ensure!(acknowledged.is_some_and(|items| items >= 9.0), "{acknowledged:?}");
    gateway.service.stop().await?;
    let found = found(&context).await?;
    let expected = [1, 2, 3, 4, 6, 7, 20, 21].map(|number| (id(number), 1));
    ensure!(found == BTreeMap::from(expected), "{found:?}");
    let records = topics::read(&context.settings, topic::TRANSACTIONS).await?;
    let traced = records.iter().filter_map(|record| record.header("traceparent"));
    ensure!(traced.collect::<Vec<_>>() == [TRACE]);
    let ledgers = std::fs::read_dir(&context.settings.producer.ledger_dir)?;
    let ledger = ledgers
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|it| it == "json"))
        .context("a ledger")?;
    let ledger: LedgerFile<Value> = serde_json::from_slice(&std::fs::read(ledger)?)?;
    ensure!(ledger.finished && ledger.acknowledged == 8, "{ledger:?}");
    Ok(())
}

/// What is refused whole: nothing of it is sent.
async fn refuses(gateway: &Gateway) -> Result<()> {
    let large = format!("[{}]", vec!["1"; 101].join(","));
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 10_000_000])?;
    let json = "application/json";
    let unknown = gateway
        .http
        .post(format!("{}/payments", gateway.url))
        .bearer_auth(KEY);
    let no_key = gateway
        .http
        .post(format!("{}/{}", gateway.url, topic::TRANSACTIONS));
    for (request, status, code) in [
        (gateway.post(json, "[1,"), 400, "bad_json"),
        (gateway.post(json, "[]"), 400, "no_items"),
        (gateway.post(json, large), 413, "too_many_items"),
        (gateway.post(json, vec![b' '; 100_001]), 413, "body_too_large"),
        (
            gateway
                .post(json, bomb.finish()?)
                .header("content-encoding", "gzip"),
            413,
            "body_too_large",
        ),
        (gateway.post("text/csv", item(90)), 415, "content_type"),
        (
            gateway.post(json, item(90)).header("content-encoding", "br"),
            415,
            "content_encoding",
        ),
        (unknown.body(item(90)), 404, "unknown_stream"),
        (no_key.body(item(90)), 401, "no_key"),
    ] {
        let (found, problem) = answer(request).await?;
        ensure!(
            found == status && problem["code"] == code && problem["detail"].is_string(),
            "{found} {problem}, and not {status} {code}"
        );
    }
    Ok(())
}

/// A repeat with the same `Idempotency-Key` is answered as the first, and sends nothing.
async fn repeats(gateway: &Gateway) -> Result<()> {
    let body = format!("[{},{}]", item(20), item(21));
    let request = |body: &str| {
        let request = gateway.post("application/json", body.to_owned());
        request.header("idempotency-key", "batch-1").send()
    };
    let first = request(&body).await?;
    ensure!(first.status() == StatusCode::OK && !first.headers().contains_key("idempotent-replayed"));
    let first: Value = first.json().await?;
    let again = request(&body).await?;
    ensure!(again.status() == StatusCode::OK && again.headers().contains_key("idempotent-replayed"));
    ensure!(again.json::<Value>().await? == first);
    let other = request(&item(22)).await?;
    ensure!(other.status() == StatusCode::UNPROCESSABLE_ENTITY, "{other:?}");
    let problem: Value = other.json().await?;
    ensure!(problem["code"] == "idempotency_key_reused", "{problem}");
    Ok(())
}

async fn describes(gateway: &Gateway, context: &TestContext) -> Result<()> {
    let (status, streams) = answer(
        gateway
            .http
            .get(format!("{}/streams", gateway.url))
            .bearer_auth(KEY),
    )
    .await?;
    let expected = format!("{}{}", context.settings.kafka.topic_prefix, topic::TRANSACTIONS);
    ensure!(
        status == 200 && streams["streams"][0]["topic"] == expected.as_str(),
        "{status} {streams}"
    );
    let document = gateway.url.replace("/v1", "/openapi.json");
    let (status, document) = answer(gateway.http.get(document)).await?;
    let parts = [
        "/paths/~1v1~1{stream}/post",
        "/components/schemas/Report",
        "/components/securitySchemes/key",
    ];
    for part in parts {
        ensure!(document.pointer(part).is_some(), "{status} {part}: {document}");
    }
    Ok(())
}

/// A client that sends requests one after the other, each again until all its items are told as
/// accepted, with the same `Idempotency-Key`.
struct Sending {
    http: Client,
    url: String,
    client: u32,
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicU32>,
}

impl Sending {
    /// How many requests were accepted.
    async fn run(self) -> Result<u32> {
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            self.send(number).await?;
            self.accepted.fetch_add(1, Ordering::Relaxed);
            number += 1;
        }
        Ok(number)
    }

    fn numbers(client: u32, request: u32) -> impl Iterator<Item = u32> {
        (0..ITEMS).map(move |item| (request * CLIENTS + client) * ITEMS + item)
    }

    async fn send(&self, number: u32) -> Result<()> {
        let items: Vec<_> = Self::numbers(self.client, number).map(item).collect();
        let (body, key) = (items.join("\n"), format!("{}-{number}", self.client));
        let what = format!("request {key} to be accepted");
        wait_until(&what, LIMIT, || async {
            let request = post(&self.http, &self.url, "application/x-ndjson", body.clone());
            match request.header("idempotency-key", &key).send().await {
                Ok(response) => is_accepted(response).await,
                // The gateway is away, or was killed before it answered.
                Err(_) => Ok(None),
            }
        })
        .await
    }
}

async fn is_accepted(response: Response) -> Result<Option<()>> {
    let status = response.status();
    match status.as_u16() {
        200 => {
            // An answer may be cut by a kill; then nothing is known.
            let Ok(report) = response.json::<Value>().await else {
                return Ok(None);
            };
            ensure!(report["accepted"] == ITEMS, "{report}");
            Ok(Some(()))
        }
        207 | 409 | 503 => Ok(None),
        _ => bail!("{status}: {}", response.text().await?),
    }
}

/// A broker is killed, then the gateway, then it is stopped, while clients send: all they were told
/// is accepted is in the topic, and nothing else than what they sent.
pub(super) async fn nothing_is_lost_or_made_up(mut context: TestContext) -> Result<()> {
    set_keys(&mut context);
    let outcome = under_faults(&context).await;
    if outcome.is_err() {
        context.cluster.mend().await?;
    }
    outcome
}

async fn under_faults(context: &TestContext) -> Result<()> {
    init(context).await?;
    let mut gateway = Gateway::start(context).await?;
    let (stop, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let sending = Sending {
                http: gateway.http.clone(),
                url: gateway.url.clone(),
                client,
                stop: Arc::clone(&stop),
                accepted: Arc::clone(&accepted),
            };
            tokio::spawn(sending.run())
        })
        .collect();
    let more = |what: &'static str| {
        let (accepted, from) = (Arc::clone(&accepted), accepted.load(Ordering::Relaxed));
        async move {
            let done = || async { Ok((accepted.load(Ordering::Relaxed) >= from + 20).then_some(())) };
            wait_until(&format!("requests {what}"), LIMIT, done).await
        }
    };
    more("at first").await?;
    let broker = Node::Broker(2);
    context.cluster.kill(broker).await?;
    more("without a broker").await?;
    context.cluster.start(broker).await?;
    more("with the broker again").await?;
    gateway.service.kill()?;
    gateway = Gateway::start(context).await?;
    more("after a kill of the gateway").await?;
    // Stopped under load, it answers what it has taken.
    gateway.service.stop().await?;
    let gateway = Gateway::start(context).await?;
    more("after a stop of the gateway").await?;
    stop.store(true, Ordering::Relaxed);
    let mut told = BTreeSet::new();
    for (client, sending) in (0..CLIENTS).zip(clients) {
        let requests = sending.await??;
        told.extend(
            (0..requests)
                .flat_map(|request| Sending::numbers(client, request))
                .map(id),
        );
    }
    gateway.service.stop().await?;
    let found = found(context).await?;
    let all: BTreeSet<_> = found.keys().copied().collect();
    let lost: Vec<_> = told.difference(&all).collect();
    let made_up: Vec<_> = all.difference(&told).collect();
    ensure!(
        lost.is_empty(),
        "{} of {} were lost: {lost:?}",
        lost.len(),
        told.len()
    );
    // Each client went on until its last request was accepted.
    ensure!(made_up.is_empty(), "{made_up:?}");
    // Only a gateway that was killed, or a broker's, has a copy: it lies where its first does.
    let copies: usize = found.values().map(|count| count - 1).sum();
    eprintln!("gateway: {} ids, {copies} copies", found.len());
    Ok(())
}
