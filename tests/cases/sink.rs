//! What the sink makes of an Elasticsearch that takes some documents and not others.

mod proxied;

use anyhow::{Context, Result, ensure};
use millrace_catalog::{Installation, topics};
use millrace_domain::{Amount, Transaction};
use millrace_elastic_sink::stream::Month;
use millrace_kafka::admin;
use millrace_settings::Settings;
use millrace_tests::pipeline::{self, LIMIT};
use millrace_tests::proxy::{Mood, Proxy};
use millrace_tests::sink::{self, INDEX, Sink, indexed, must, no_dead_letters, send};
use millrace_tests::{TestContext, elastic, sample, wait_until};
use reqwest::Method;
use serde_json::{Value, json};

pub(super) use proxied::a_proxy_spoils_no_document;

const DAY_MS: i64 = 86_400_000;

const BLOCKED: &str = "millrace_sink_blocked_documents";

fn now_ms() -> Result<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_millis())?)
}

fn month(time_ms: i64) -> Result<String> {
    Ok(Month::of(time_ms).context("a month")?.to_string())
}

/// Transactions with these numbers, which are their identities.
fn batch(numbers: std::ops::Range<u32>, time_ms: i64) -> impl Iterator<Item = Transaction> {
    numbers.map(move |number| sample::transaction(number, time_ms))
}

/// A month that somebody has made read-only holds up its own records alone, is told of, and is
/// caught up on when it is free again; a restart between loses nothing.
pub(super) async fn one_blocked_month_holds_up_no_other(mut context: TestContext) -> Result<()> {
    sink::prepare(&mut context.settings);
    let settings = &context.settings;
    let (now, past) = (now_ms()?, now_ms()? - 300 * DAY_MS);
    let (current, old) = (month(now)?, month(past)?);
    let sink = Sink::start(&context).await?;
    let blocks = json!({"settings": {"index.blocks.write": true, "number_of_replicas": 0}});
    must(settings, Method::PUT, &format!("{INDEX}-{old}"), Some(&blocks)).await?;

    send(settings, batch(0..3, past)).await?;
    sink.blocked(&[&format!("{INDEX}-{old}"), "read_only", "index.blocks"])
        .await?;
    wait_until("three that wait", LIMIT, || async {
        let waiting = sink.metric(BLOCKED, "read_only").await?;
        ensure!(waiting <= 3.0, "{waiting} of three wait");
        Ok((waiting == 3.0).then_some(()))
    })
    .await?;
    send(settings, batch(10..110, now).chain(batch(3..4, past))).await?;
    indexed(settings, &current, 100).await?;
    sink.blocked(&["read_only"]).await?;
    sink.stop().await?;

    let mut sink = Sink::again(&context)?;
    send(settings, batch(110..120, now)).await?;
    indexed(settings, &current, 110).await?;
    sink.blocked(&[&format!("{INDEX}-{old}"), "read_only"]).await?;
    let free = json!({"index.blocks.write": null});
    must(
        settings,
        Method::PUT,
        &format!("{INDEX}-{old}/_settings"),
        Some(&free),
    )
    .await?;
    indexed(settings, &old, 4).await?;
    sink.ready().await?;
    wait_until("none to wait", LIMIT, || async {
        Ok((sink.metric(BLOCKED, "").await? == 0.0).then_some(()))
    })
    .await?;
    no_dead_letters(&context).await?;
    sink.stop().await
}

/// An alias without a write index, a pipeline that does not exist, and a template of data streams
/// cost no document.
pub(super) async fn the_clusters_state_is_no_documents_fault(mut context: TestContext) -> Result<()> {
    sink::prepare(&mut context.settings);
    let mut sink = Sink::start(&context).await?;
    an_alias_without_a_write_index(&context.settings, &mut sink).await?;
    templates_of_others(&context.settings, &mut sink).await?;
    no_dead_letters(&context).await?;
    sink.stop().await
}

/// An administrator's alias is written through once it has a write index; if it goes, an index of
/// the sink's own takes its place.
async fn an_alias_without_a_write_index(settings: &Settings, sink: &mut Sink) -> Result<()> {
    let prefix = &settings.elasticsearch.index_prefix;
    let (now, current) = (now_ms()?, month(now_ms()?)?);
    for version in ["v1", "v2"] {
        must(settings, Method::PUT, &format!("{INDEX}-{version}"), None).await?;
    }
    let change = async |is_write_index: Option<bool>| {
        let add = ["v1", "v2"].map(|version| {
            let mut add = json!({
                "index": format!("{prefix}{INDEX}-{version}"),
                "alias": format!("{prefix}{INDEX}-{current}"),
            });
            if let Some(is) = is_write_index {
                add["is_write_index"] = json!(is && version == "v2");
            }
            json!({ "add": add })
        });
        let url = &settings.elasticsearch.url;
        let (status, answer) =
            elastic::call(url, Method::POST, "_aliases", Some(&json!({ "actions": add }))).await?;
        ensure!(status == 200, "{answer}");
        Ok(())
    };
    change(None).await?;
    send(settings, batch(0..50, now)).await?;
    sink.blocked(&["no_write_index", "is_write_index"]).await?;
    change(Some(true)).await?;
    indexed(settings, "v2", 50).await?;
    sink.ready().await?;

    let both = format!("{INDEX}-v1,{prefix}{INDEX}-v2");
    must(settings, Method::DELETE, &both, None).await?;
    send(settings, batch(50..100, now)).await?;
    indexed(settings, &current, 50).await?;
    sink.ready().await
}

/// Templates that go before the sink's own: one has a pipeline that does not exist, one makes data
/// streams.
async fn templates_of_others(settings: &Settings, sink: &mut Sink) -> Result<()> {
    let (url, prefix) = (&settings.elasticsearch.url, &settings.elasticsearch.index_prefix);
    let name = format!("_index_template/{prefix}foreign");
    let put = async |more: Value| {
        let mut template = json!({ "index_patterns": [format!("{prefix}{INDEX}-*")], "priority": 500 });
        for (field, value) in more.as_object().into_iter().flatten() {
            template[field] = value.clone();
        }
        let (status, answer) = elastic::call(url, Method::PUT, &name, Some(&template)).await?;
        ensure!(status == 200, "{answer}");
        Ok(())
    };
    let past = now_ms()? - 300 * DAY_MS;
    let old = month(past)?;
    let pipeline = json!({"index.default_pipeline": "enrich-geo", "number_of_replicas": 0});
    put(json!({"template": {"settings": pipeline}})).await?;
    send(settings, batch(200..250, past)).await?;
    sink.blocked(&["pipeline with id [enrich-geo] does not exist"])
        .await?;
    let none = json!({"index.default_pipeline": "_none"});
    let path = format!("{INDEX}-{old}/_settings");
    must(settings, Method::PUT, &path, Some(&none)).await?;
    indexed(settings, &old, 50).await?;
    sink.ready().await?;

    let past = now_ms()? - 600 * DAY_MS;
    let old = month(past)?;
    let mappings = json!({"properties": {"@timestamp": {"type": "date"}}});
    put(json!({"data_stream": {}, "template": {"mappings": mappings}})).await?;
    send(settings, batch(300..310, past)).await?;
    let said = [
        &*format!("{INDEX}-{old}"),
        "data_stream",
        "elasticsearch.index_prefix",
    ];
    sink.blocked(&said).await?;
    elastic::call(url, Method::DELETE, &name, None).await?;
    indexed(settings, &old, 10).await?;
    sink.ready().await
}

/// Indices and templates that are deleted under a running sink come back with their types; an index
/// that has others gets nothing, and is named with its field.
pub(super) async fn vanished_indices_come_back_with_their_types(mut context: TestContext) -> Result<()> {
    sink::prepare(&mut context.settings);
    let settings = &context.settings;
    let (now, past) = (now_ms()?, now_ms()? - 300 * DAY_MS);
    let (current, old) = (month(now)?, month(past)?);
    let mut sink = Sink::start(&context).await?;
    send(settings, batch(0..50, now)).await?;
    indexed(settings, &current, 50).await?;

    let prefix = &settings.elasticsearch.index_prefix;
    must(settings, Method::DELETE, &format!("{INDEX}-{current}"), None).await?;
    let template = format!("_index_template/{prefix}{INDEX}");
    elastic::call(&settings.elasticsearch.url, Method::DELETE, &template, None).await?;
    send(settings, batch(50..100, now)).await?;
    indexed(settings, &current, 50).await?;
    let mapping = must(
        settings,
        Method::GET,
        &format!("{INDEX}-{current}/_mapping"),
        None,
    )
    .await?;
    let mapping = &mapping[format!("{prefix}{INDEX}-{current}")]["mappings"];
    let (dynamic, fields) = (&mapping["dynamic"], &mapping["properties"]);
    ensure!(
        dynamic == "strict"
            && fields["@timestamp"]["type"] == "date"
            && fields["currency"]["type"] == "keyword",
        "guessed types: {mapping}"
    );
    let (status, _) = elastic::call(&settings.elasticsearch.url, Method::GET, &template, None).await?;
    ensure!(status == 200, "the template is there again");
    sink.ready().await?;

    let guessed = json!({"mappings": {"properties": {"currency": {"type": "text"}}}});
    must(settings, Method::PUT, &format!("{INDEX}-{old}"), Some(&guessed)).await?;
    send(settings, batch(100..110, past).chain(batch(110..120, now))).await?;
    let said = [
        &*format!("{INDEX}-{old}"),
        "currency is text and must be keyword",
        "reindex",
    ];
    sink.blocked(&said).await?;
    indexed(settings, &current, 60).await?;
    sink.stop().await?;
    let told = pipeline::init(&context).await?;
    ensure!(told.contains(said[1]), "init tells of it too: {told}");

    let mut sink = Sink::again(&context)?;
    sink.blocked(&said).await?;
    must(settings, Method::DELETE, &format!("{INDEX}-{old}"), None).await?;
    indexed(settings, &old, 10).await?;
    sink.ready().await?;
    no_dead_letters(&context).await?;
    sink.stop().await
}

/// Kafka is made anew beside full indices, and the same identities come with other amounts: `init`
/// and the sink tell of it; a true repeat is none of it.
pub(super) async fn other_content_is_told(mut context: TestContext) -> Result<()> {
    sink::prepare(&mut context.settings);
    let settings = &context.settings;
    let now = now_ms()?;
    let current = month(now)?;
    let sink = Sink::start(&context).await?;
    send(settings, batch(0..50, now)).await?;
    indexed(settings, &current, 50).await?;
    send(settings, batch(0..50, now)).await?;
    counted(&sink, "unchanged", 50.0).await?;
    ensure!(
        sink.metric("millrace_sink_documents_total", "differs").await? == 0.0,
        "a repeat is the same"
    );
    sink.stop().await?;

    let kafka = settings.kafka.clone();
    tokio::task::spawn_blocking(move || admin::delete_topics(&kafka, &topics(Installation::default())))
        .await??;
    let told = pipeline::init(&context).await?;
    let is_told = told.lines().any(|line| {
        line.contains("warning")
            && line.contains("has never had a record")
            && line.contains("holds 50 documents")
    });
    ensure!(is_told, "init tells of full indices beside empty topics:\n{told}");
    let sink = Sink::again(&context)?;
    let corrected = batch(0..50, now).map(|transaction| Transaction {
        amount: Amount::from_units(77_0000).unwrap_or(transaction.amount),
        ..transaction
    });
    send(settings, corrected).await?;
    counted(&sink, "differs", 50.0).await?;
    let said = sink.output();
    ensure!(
        said.contains("same identity and other content"),
        "the log tells of it: {said}"
    );
    sink.stop().await
}

/// Waits until so many documents had an outcome; a request whose answer was late is sent again.
async fn counted(sink: &Sink, outcome: &str, count: f64) -> Result<()> {
    wait_until(
        &format!("{count} documents with outcome {outcome}"),
        LIMIT,
        || async {
            // Not there yet while the sink starts.
            let found = sink
                .metric("millrace_sink_documents_total", outcome)
                .await
                .unwrap_or(0.0);
            Ok((found >= count).then_some(()))
        },
    )
    .await
}

/// A cluster that takes no more shards holds up the months that have no index yet, and not the
/// others; the sink is not ready for as long, whatever else it writes.
pub(super) async fn no_room_for_shards_holds_up_new_months_alone(mut context: TestContext) -> Result<()> {
    sink::prepare(&mut context.settings);
    let direct = context.settings.clone();
    let proxy = Proxy::start(&direct.elasticsearch.url).await?;
    context.settings.elasticsearch.url.clone_from(&proxy.url);
    let now = now_ms()?;
    let current = month(now)?;
    let mut sink = Sink::start(&context).await?;
    send(&direct, batch(0..20, now)).await?;
    indexed(&direct, &current, 20).await?;
    let _ = proxy.set(Mood::NoRoom);
    let old = (1..=5_u32).map(|months| {
        let time_ms = now - i64::from(months) * 40 * DAY_MS;
        sample::transaction(100 + months, time_ms)
    });
    send(&direct, old).await?;
    sink.blocked(&["no_room", "cluster.max_shards_per_node", "and 2 more indices"])
        .await?;
    for sent in [20, 40, 60] {
        send(&direct, batch(sent..sent + 20, now)).await?;
        indexed(&direct, &current, u64::from(sent) + 20).await?;
        sink.blocked(&["no_room"]).await?;
    }
    let _ = proxy.set(Mood::Fine);
    indexed(&direct, "*", 85).await?;
    sink.ready().await?;
    no_dead_letters(&context).await?;
    sink.stop().await
}
