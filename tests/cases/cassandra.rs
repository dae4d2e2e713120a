//! The sink into Cassandra: its rows are what the topics have, whatever is killed when, and a
//! replay changes none.

mod expected;
mod writer;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use millrace_cassandra_sink::read::shown;
use millrace_cassandra_sink::table::{Role, Table};
use millrace_cassandra_sink::tables;
use millrace_catalog::Service as Known;
use millrace_catalog::clickstream::topic::PAGE_VIEWS;
use millrace_catalog::payments::topic::{AGGREGATES, ANOMALIES};
use millrace_kafka::clock::now_ms;
use millrace_kafka::topic_name;
use millrace_telemetry::exposition;
use millrace_tests::cassandra::Cassandra;
use millrace_tests::pipeline::{self, LIMIT, metrics_text};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, groups, topics, wait_until};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use scylla::client::session::Session;
use scylla::value::{CqlValue, Row};

use expected::is_expected;
use writer::Writer;

const SINK: &str = "cassandra-sink";
const STREAMS: [&str; 3] = [AGGREGATES, ANOMALIES, PAGE_VIEWS];
/// Numbers of each round, of which each is several records.
const ROUND: u32 = 1_500;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// Every so many windows one is older than rows are kept.
const OLD: u32 = 100;

/// Rows by their table and key, each with the values, as text, and the write timestamp.
type Rows = BTreeMap<(&'static str, String), (Vec<String>, i64)>;

/// Half of the records with the sink killed among them, the other half with Cassandra away; then
/// all of them again from the start. The same node has a table of somebody else at the end: it
/// takes ten seconds of a processor to start.
pub(super) async fn is_what_the_topics_are(mut context: TestContext) -> Result<()> {
    let mut cassandra = Cassandra::start(&context).await?;
    let settings = &mut context.settings;
    settings.clickstream.enabled = true;
    let sink = &mut settings.cassandra_sink;
    sink.enabled = true;
    sink.contact_points = cassandra.address().to_owned();
    sink.max_rows = 100;
    sink.retry_max_ms = 1_000;
    pipeline::init(&context).await?;
    let writer = Writer::new(&context, now_ms() / MINUTE_MS * MINUTE_MS).await?;

    let mut sink = start(&context).await?;
    for part in 0..3 {
        let first = part * ROUND / 3;
        let before = rows_written(&context).await?;
        writer.send(first..first + ROUND / 3)?;
        wait_until("some rows", LIMIT, || async {
            Ok((rows_written(&context).await? > before).then_some(()))
        })
        .await?;
        sink.kill()?;
        sink = start(&context).await?;
    }
    all_is_read(&context).await?;
    let session = cassandra.session(&context.settings).await?;
    let half = rows(&context, &session).await?;
    is_expected(&context, &half).await?;

    cassandra.kill().await?;
    writer.send(ROUND..2 * ROUND)?;
    let port = context.settings.metrics_port(Known::CassandraSink);
    let ready = format!("http://127.0.0.1:{port}/health/ready");
    wait_until("the sink to say that Cassandra is away", LIMIT, || async {
        let answer = reqwest::get(&ready).await?;
        let text = answer.text().await?;
        Ok(text.contains("Cassandra takes no rows").then_some(()))
    })
    .await?;
    cassandra.resume(&context.settings).await?;
    all_is_read(&context).await?;
    sink.ready(port).await?;
    let session = cassandra.session(&context.settings).await?;
    let whole = rows(&context, &session).await?;
    ensure!(
        whole.len() > half.len(),
        "{} rows, {} before",
        whole.len(),
        half.len()
    );
    is_expected(&context, &whole).await?;
    sink.stop().await?;

    forget(&context).await?;
    let sink = start(&context).await?;
    all_is_read(&context).await?;
    ensure!(rows_written(&context).await? > 0.0, "nothing was written again");
    let again = rows(&context, &session).await?;
    ensure!(again == whole, "a replay has changed rows");
    for topic in STREAMS {
        let letters = topics::read(&context.settings, &format!("{topic}.dlq")).await?;
        ensure!(letters.is_empty(), "elastic-sink has the dead letters of {topic}");
    }
    ask(&context).await?;
    sink.stop().await?;
    other_tables_are_refused(&mut context, &session).await
}

/// A table that somebody made otherwise ends the sink with what to do, and is as it was.
async fn other_tables_are_refused(context: &mut TestContext, session: &Session) -> Result<()> {
    context.settings.cassandra_sink.keyspace = "others".to_owned();
    for statement in [
        "CREATE KEYSPACE others WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
        "CREATE TABLE others.page_views_by_page (page text PRIMARY KEY, views int)",
    ] {
        session.query_unpaged(statement, ()).await?;
    }
    let (status, output) = Service::start(context, SINK, &["service", SINK])?
        .end(LIMIT)
        .await?;
    ensure!(status == Some(1), "it ended with {status:?}");
    for part in [
        "others.page_views_by_page is another table than is expected",
        "views is regular int, where regular bigint is expected",
        "DROP TABLE others.page_views_by_page",
    ] {
        ensure!(output.contains(part), "{part} in\n{output}");
    }
    session
        .query_unpaged("DROP TABLE others.page_views_by_page", ())
        .await?;
    start(context).await?.stop().await
}

async fn start(context: &TestContext) -> Result<Service> {
    let mut sink = Service::start(context, SINK, &["service", SINK])?;
    sink.ready(context.settings.metrics_port(Known::CassandraSink))
        .await?;
    Ok(sink)
}

/// Rows that the running sink has written, repeats among them.
async fn rows_written(context: &TestContext) -> Result<f64> {
    let text = metrics_text(context.settings.metrics_port(Known::CassandraSink)).await?;
    let samples = exposition::samples(&text, "millrace_cassandra_rows_total");
    Ok(samples.map(|sample| sample.value).sum())
}

async fn all_is_read(context: &TestContext) -> Result<()> {
    for topic in STREAMS {
        groups::wait_until_read(&context.settings, &Known::CassandraSink.group(), topic).await?;
    }
    Ok(())
}

/// Has the brokers forget what the sink has read.
async fn forget(context: &TestContext) -> Result<()> {
    let kafka = &context.settings.kafka;
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .create()?;
    let group = topic_name(kafka, &Known::CassandraSink.group());
    wait_until("the group to be forgotten", LIMIT, || async {
        let done = admin.delete_groups(&[&group], &AdminOptions::new()).await?;
        Ok(done.iter().all(Result::is_ok).then_some(()))
    })
    .await
}

/// Every row of every table. What one costs is no matter here.
async fn rows(context: &TestContext, session: &Session) -> Result<Rows> {
    let keyspace = &context.settings.cassandra_sink.keyspace;
    let mut rows = Rows::new();
    for table in tables::all() {
        let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        // A column that every row has.
        let stamped = names
            .iter()
            .rfind(|name| ["revision", "score", "views"].contains(name));
        let query = format!(
            "SELECT {}, WRITETIME({}) FROM {keyspace}.{}",
            names.join(", "),
            stamped.context("a column")?,
            table.name
        );
        let answer = session.query_unpaged(query, ()).await?.into_rows_result()?;
        for row in answer.rows::<Row>()? {
            let mut values = row?.columns;
            let Some(Some(CqlValue::BigInt(version))) = values.pop() else {
                anyhow::bail!("no write timestamp in {}", table.name);
            };
            let values: Vec<String> = values
                .iter()
                .map(|it| it.as_ref().map_or_else(String::new, shown))
                .collect();
            let key = key(table, &values);
            ensure!(
                rows.insert((table.name, key), (values, version)).is_none(),
                "a key twice"
            );
        }
    }
    Ok(rows)
}

fn key(table: &Table, values: &[String]) -> String {
    let columns = table.columns.iter().zip(values);
    let keys = columns.filter(|(column, _)| column.role != Role::Value);
    keys.map(|(_, value)| value.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

/// `millrace query` finds what is there.
async fn ask(context: &TestContext) -> Result<()> {
    let of_merchant = (0..2 * ROUND).filter(|number| number % 40 == 3 && number % OLD != 7);
    let of_user = (0..2 * ROUND).filter(|number| number % 50 == 6 && number.is_multiple_of(3));
    let of_page = (0..2 * ROUND).filter(|number| number % 20 == 4 && number.is_multiple_of(4));
    let all = (0..2 * ROUND).filter(|number| number.is_multiple_of(3));
    for (question, expected) in [
        (&["merchant", "m-3"][..], of_merchant.count()),
        (&["user", "u-6"][..], of_user.count()),
        (&["alerts"][..], all.count()),
        (&["page", "shop.example/p/4"][..], of_page.count()),
    ] {
        let how = ["--since", "60d", "--limit", "5000", "--json"];
        let arguments = [&["query"], question, &how].concat();
        let name = format!("query-{}", question[0]);
        let (status, output) = Service::start(context, &name, &arguments)?.end(LIMIT).await?;
        ensure!(status == Some(0), "{question:?} ended with {status:?}: {output}");
        let found = output.lines().filter(|line| line.starts_with("{\"")).count();
        ensure!(found == expected, "{question:?}: {found} rows, not {expected}");
    }
    let table = Service::start(
        context,
        "query-table",
        &["query", "user", "u-6", "--since", "60d"],
    )?
    .end(LIMIT)
    .await?;
    ensure!(table.1.contains("| event_time"), "{}", table.1);
    Ok(())
}
