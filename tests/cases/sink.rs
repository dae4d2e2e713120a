//! What the sink makes of an Elasticsearch that takes some documents and not others.

mod content;
mod proxied;
mod rolled;

use anyhow::{Context, Result, ensure};
use millrace_domain::Transaction;
use millrace_elastic_sink::stream::Month;
use millrace_settings::Settings;
use millrace_tests::pipeline::{self, LIMIT};
use millrace_tests::results::{alert, minute, send_alerts, send_minutes};
use millrace_tests::sink::{
    self, ALERTS, INDEX, MINUTES, Sink, indexed, indexed_in, must, no_dead_letters, send,
};
use millrace_tests::{TestContext, elastic, sample, wait_until};
use reqwest::Method;
use serde_json::{Value, json};

pub(super) use content::{one_corrected_row_is_told, other_content_is_told};
pub(super) use proxied::{a_proxy_spoils_no_document, no_room_for_shards_holds_up_new_months_alone};
pub(super) use rolled::a_rolled_over_alias_doubles_nothing;

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
/// caught up on when it is free again. Where every index takes none, all is waited for. A restart
/// between loses nothing.
pub(super) async fn one_blocked_month_holds_up_no_other(mut context: TestContext) -> Result<()> {
    sink::prepare(&mut context.settings);
    let settings = &context.settings;
    let (now, past) = (now_ms()?, now_ms()? - 300 * DAY_MS);
    let (current, old) = (month(now)?, month(past)?);
    let sink = Sink::start(&context).await?;
    let blocks = json!({"settings": {"index.blocks.write": true, "number_of_replicas": 0}});
    must(settings, Method::PUT, &format!("{INDEX}-{old}"), Some(&blocks)).await?;
    let block = async |indices: &str, is_blocked: Option<bool>| {
        let body = json!({"index.blocks.write": is_blocked});
        must(
            settings,
            Method::PUT,
            &format!("{indices}/_settings"),
            Some(&body),
        )
        .await
    };

    send(settings, batch(0..3, past)).await?;
    sink.blocked(&[&format!("{INDEX}-{old}"), "read_only", "index.blocks"])
        .await?;
    waiting(&sink, 3.0).await?;
    send(settings, batch(10..110, now).chain(batch(3..4, past))).await?;
    results(&context, 0..20, now).await?;
    all_indexed(settings, &current, [100, 20, 20]).await?;
    sink.blocked(&["read_only"]).await?;

    block("millrace-*", Some(true)).await?;
    send(settings, batch(110..120, now)).await?;
    results(&context, 20..25, now).await?;
    waiting(&sink, 24.0).await?;
    sink.blocked(&["read_only", "and 1 more indices"]).await?;
    sink.stop().await?;

    // What is in the indices already was not committed: it is read again, and waits as well.
    let mut sink = Sink::again(&context)?;
    sink.blocked(&["read_only", "and 1 more indices"]).await?;
    block(&format!("millrace-*-{current}"), None).await?;
    all_indexed(settings, &current, [110, 25, 25]).await?;
    sink.blocked(&[&format!("{INDEX}-{old}"), "read_only"]).await?;
    block(&format!("{INDEX}-{old}"), None).await?;
    indexed(settings, &old, 4).await?;
    sink.ready().await?;
    waiting(&sink, 0.0).await?;
    no_dead_letters(&context).await?;
    sink.stop().await
}

/// Waits until just so many documents wait for their index.
async fn waiting(sink: &Sink, count: f64) -> Result<()> {
    wait_until(&format!("{count} documents to wait"), LIMIT, || async {
        // Nobody answers while the sink starts.
        let Ok(waiting) = sink.metric(BLOCKED, "").await else {
            return Ok(None);
        };
        ensure!(waiting <= count.max(24.0), "{waiting} wait, more than there are");
        Ok((waiting == count).then_some(()))
    })
    .await
}

/// Sends an aggregate and an alert of each number.
async fn results(context: &TestContext, numbers: std::ops::Range<u32>, time_ms: i64) -> Result<()> {
    let minutes = numbers.clone().map(|number| minute(number, time_ms, 10_0000));
    send_minutes(context, minutes).await?;
    send_alerts(context, numbers.map(|number| alert(number, time_ms))).await
}

/// Waits until so many transactions, aggregates and alerts are in a month's indices.
async fn all_indexed(settings: &Settings, month: &str, counts: [u64; 3]) -> Result<()> {
    for (index, count) in [INDEX, MINUTES, ALERTS].into_iter().zip(counts) {
        indexed_in(settings, index, month, count).await?;
    }
    Ok(())
}

/// An alias without a write index, a pipeline that does not exist, and a template of data streams
/// cost no document.
pub(super) async fn the_clusters_state_is_no_documents_fault(mut context: TestContext) -> Result<()> {
    sink::prepare(&mut context.settings);
    pipeline::init(&context).await?;
    let mut sink = a_data_stream_from_the_start(&context).await?;
    an_alias_without_a_write_index(&context.settings, &mut sink).await?;
    templates_of_others(&context.settings, &mut sink).await?;
    no_dead_letters(&context).await?;
    sink.stop().await
}

/// A template that would make a data stream of this month's index, and then the data stream: the
/// sink is not ready from the start, although no document comes for it.
async fn a_data_stream_from_the_start(context: &TestContext) -> Result<Sink> {
    let settings = &context.settings;
    let (url, prefix) = (&settings.elasticsearch.url, &settings.elasticsearch.index_prefix);
    let call = async |method: Method, path: &str, body: Option<&Value>| {
        let (status, answer) = elastic::call(url, method, path, body).await?;
        ensure!(status == 200, "{path}: {status}: {answer}");
        Ok(())
    };
    let template = format!("_index_template/{prefix}streams");
    let body =
        json!({ "index_patterns": [format!("{prefix}{ALERTS}-*")], "priority": 500, "data_stream": {} });
    call(Method::PUT, &template, Some(&body)).await?;
    let mut sink = Sink::again(context)?;
    let index = format!("{prefix}{ALERTS}-{}", month(now_ms()?)?);
    let (name, to_do) = (&*index, "elasticsearch.index_prefix");
    sink.blocked(&[name, "would be a data stream", &format!("{prefix}streams"), to_do])
        .await?;
    // A server without that module has templates of data streams, and no data streams.
    let stream = format!("_data_stream/{index}");
    let (status, answer) = elastic::call(url, Method::PUT, &stream, None).await?;
    if status == 200 {
        sink.blocked(&[name, "is a data stream", to_do]).await?;
        call(Method::DELETE, &stream, None).await?;
    } else {
        let said = answer["error"].as_str().unwrap_or_default();
        ensure!(said.starts_with("no handler found"), "{status}: {answer}");
    }
    call(Method::DELETE, &template, None).await?;
    sink.ready().await?;
    Ok(sink)
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
