//! The sink into Cassandra: its rows are what the topics have, whatever is killed when, and a
//! replay changes none.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use millrace_cassandra_sink::read::shown;
use millrace_cassandra_sink::table::Table;
use millrace_cassandra_sink::tables::{TABLES, aggregates, anomalies, page_views};
use millrace_catalog::Service as Known;
use millrace_catalog::clickstream::topic::PAGE_VIEWS;
use millrace_catalog::payments::topic::{AGGREGATES, ANOMALIES};
use millrace_clickstream::{Page, PageViews};
use millrace_contract::Encode as _;
use millrace_contract::reader::Contract as _;
use millrace_domain::codec::DecodedAnomaly;
use millrace_domain::{
    Amount, Anomaly, Currency, EntityType, Evidence, MerchantAggregate, Severity, ShortId, Sum, Totals,
    TransactionId, codec,
};
use millrace_kafka::clock::now_ms;
use millrace_kafka::topic_name;
use millrace_registry::Registry;
use millrace_service::registry::schema_id;
use millrace_telemetry::exposition;
use millrace_tests::cassandra::Cassandra;
use millrace_tests::pipeline::{self, LIMIT, metrics_text, registry_config};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, groups, send, topics, wait_until};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::BaseRecord;
use scylla::value::{CqlValue, Row};

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
/// all of them again from the start.
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
    sink.stop().await
}

/// A table that somebody made otherwise ends the sink with what to do, and is as it was.
pub(super) async fn other_tables_are_refused(mut context: TestContext) -> Result<()> {
    let cassandra = Cassandra::start(&context).await?;
    context.settings.cassandra_sink.enabled = true;
    context.settings.cassandra_sink.contact_points = cassandra.address().to_owned();
    pipeline::init(&context).await?;
    let session = cassandra.session(&context.settings).await?;
    for statement in [
        "CREATE KEYSPACE millrace WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
        "CREATE TABLE millrace.page_views_by_page (page text PRIMARY KEY, views int)",
    ] {
        session.query_unpaged(statement, ()).await?;
    }
    let (status, output) = Service::start(&context, SINK, &["service", SINK])?
        .end(LIMIT)
        .await?;
    ensure!(status == Some(1), "it ended with {status:?}");
    for part in [
        "millrace.page_views_by_page is another table than is expected",
        "views is regular int, where regular bigint is expected",
        "DROP TABLE millrace.page_views_by_page",
    ] {
        ensure!(output.contains(part), "{part} in\n{output}");
    }
    session
        .query_unpaged("DROP TABLE millrace.page_views_by_page", ())
        .await?;
    start(&context).await?.stop().await
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
async fn rows(context: &TestContext, session: &scylla::client::session::Session) -> Result<Rows> {
    let keyspace = &context.settings.cassandra_sink.keyspace;
    let mut rows = Rows::new();
    for table in TABLES {
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
    use millrace_cassandra_sink::table::Role;
    let columns = table.columns.iter().zip(values);
    let keys = columns.filter(|(column, _)| column.role != Role::Value);
    keys.map(|(_, value)| value.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Values of some columns, by what identifies a result.
type Results = BTreeMap<String, Vec<String>>;

/// The rows are what is made of the topics at once: of each window the highest revision, of two
/// records of one the first in the log, and nothing older than rows are kept.
async fn is_expected(context: &TestContext, rows: &Rows) -> Result<()> {
    let oldest_ms = now_ms() - i64::from(context.settings.cassandra_sink.keep_days) * DAY_MS;
    let views = kept(context, PAGE_VIEWS, |body| {
        let views = PageViews::decode(body).ok()?;
        let start = time(views.window_start_ms);
        let values = [views.views.to_string(), views.visitors.to_string()];
        let key = format!("{} {start}", views.page.as_str());
        (views.window_start_ms > oldest_ms).then(|| (key, 0, values.to_vec()))
    });
    let aggregates = kept(context, AGGREGATES, |body| {
        let it = codec::aggregate::decode(body).ok()?;
        let (totals, start) = (&it.totals, time(it.window_start_ms));
        let values = [
            totals.purchase_count.to_string(),
            totals.purchase_sum.to_string(),
            totals.refund_count.to_string(),
            totals.refund_sum.to_string(),
            it.distinct_users.to_string(),
            it.revision.to_string(),
        ];
        let key = format!("{} {} {start}", it.merchant_id, it.currency);
        (it.window_start_ms > oldest_ms).then(|| (key, it.revision, values.to_vec()))
    });
    let anomalies = kept(context, ANOMALIES, |body| {
        let it: DecodedAnomaly = codec::anomaly::decode(body).ok()?;
        let values = [
            it.entity_type.as_str().to_owned(),
            it.entity.to_string(),
            time(it.event_time_ms),
            it.rule.clone(),
            format!("{:?}", it.score),
            time(it.detection_time_ms),
        ];
        Some((it.id.to_string(), 0, values.to_vec()))
    });
    let of_alerts = [
        "entity_type",
        "entity",
        "event_time",
        "rule",
        "score",
        "detection_time",
    ];
    let of_sums = [
        "purchase_count",
        "purchase_sum",
        "refund_count",
        "refund_sum",
        "distinct_users",
        "revision",
    ];
    let anomalies = anomalies.await?;
    for (table, key, columns, expected) in [
        (
            &aggregates::BY_MERCHANT,
            &["merchant_id", "currency", "window_start"][..],
            &of_sums[..],
            aggregates.await?,
        ),
        (
            &anomalies::BY_ENTITY,
            &["id"][..],
            &of_alerts[..],
            anomalies.clone(),
        ),
        (&anomalies::BY_DAY, &["id"][..], &of_alerts[..], anomalies),
        (
            &page_views::BY_PAGE,
            &["page", "window_start"][..],
            &["views", "visitors"][..],
            views.await?,
        ),
    ] {
        ensure!(!expected.is_empty(), "nothing is expected of {}", table.name);
        let found = selected(table, rows, key, columns)?;
        for (key, values) in &expected {
            let row = found.get(key);
            ensure!(
                row == Some(values),
                "{} of {key}: {row:?}, not {values:?}",
                table.name
            );
        }
        ensure!(found.len() == expected.len(), "{} has rows too many", table.name);
    }
    Ok(())
}

/// Some columns of a table's rows, by others.
fn selected(table: &Table, rows: &Rows, key: &[&str], columns: &[&str]) -> Result<Results> {
    let mut found = Results::new();
    for ((_, _), (values, _)) in rows.iter().filter(|((name, _), _)| *name == table.name) {
        let of = |name: &&str| {
            let at = table.columns.iter().position(|column| column.name == *name);
            Ok(values[at.with_context(|| format!("no column {name}"))?].clone())
        };
        let key = key.iter().map(of).collect::<Result<Vec<_>>>()?.join(" ");
        found.insert(key, columns.iter().map(of).collect::<Result<Vec<_>>>()?);
    }
    Ok(found)
}

/// Of a topic's records that can be read, in the order of their partition, those of the highest
/// version; of several the first.
async fn kept(
    context: &TestContext,
    topic: &str,
    read: impl Fn(&[u8]) -> Option<(String, i32, Vec<String>)>,
) -> Result<Results> {
    let mut kept: BTreeMap<String, (i32, Vec<String>)> = BTreeMap::new();
    for record in topics::read(&context.settings, topic).await? {
        // Without the registry's framing.
        let Some((key, version, values)) = record.payload.get(5..).and_then(&read) else {
            continue;
        };
        if kept.get(&key).is_none_or(|(before, _)| version > *before) {
            kept.insert(key, (version, values));
        }
    }
    Ok(kept.into_iter().map(|(key, (_, values))| (key, values)).collect())
}

fn time(time_ms: i64) -> String {
    shown(&CqlValue::Timestamp(scylla::value::CqlTimestamp(time_ms)))
}

/// Sends known records.
struct Writer<'a> {
    context: &'a TestContext,
    base_ms: i64,
    /// Of aggregates, anomalies and page views.
    schemas: [u32; 3],
}

impl<'a> Writer<'a> {
    async fn new(context: &'a TestContext, base_ms: i64) -> Result<Self> {
        let registry = Registry::new(registry_config(context))?;
        let texts = [
            MerchantAggregate::SCHEMA,
            DecodedAnomaly::SCHEMA,
            PageViews::SCHEMA,
        ];
        let mut schemas = [0; 3];
        for ((topic, text), id) in STREAMS.iter().zip(texts).zip(&mut schemas) {
            *id = schema_id(&registry, &topic_name(&context.settings.kafka, topic), text).await?;
        }
        Ok(Self {
            context,
            base_ms,
            schemas,
        })
    }

    fn send(&self, numbers: std::ops::Range<u32>) -> Result<()> {
        let kafka = &self.context.settings.kafka;
        let producer = send::producer(kafka, &[])?;
        let put = |topic: &str, key: &str, value: &[u8]| {
            let name = topic_name(kafka, topic);
            let sent = producer.send(BaseRecord::to(&name).key(key).payload(value));
            sent.map_err(|(error, _)| error).context("sending")
        };
        for number in numbers {
            for aggregate in self.aggregates(number)? {
                let mut value = Vec::new();
                codec::aggregate::encode_framed(self.schemas[0], &aggregate, &mut value);
                put(AGGREGATES, &aggregate.merchant_id.to_string(), &value)?;
            }
            for (anomaly, detected_ms) in self.anomalies(number)? {
                let mut value = Vec::new();
                codec::anomaly::encode_framed(self.schemas[1], &anomaly, detected_ms, &mut value);
                put(ANOMALIES, &anomaly.entity.to_string(), &value)?;
            }
            if number.is_multiple_of(4) {
                let (views, mut value) = (self.views(number)?, Vec::new());
                views.encode_framed(self.schemas[2], &mut value);
                put(PAGE_VIEWS, views.page.as_str(), &value)?;
            }
            if number.is_multiple_of(50) {
                for topic in STREAMS {
                    put(topic, "nobody", &[0, 1, 2])?;
                }
            }
        }
        send::flush(&producer)
    }

    /// Results of one window, in an order that no job writes them in.
    fn aggregates(&self, number: u32) -> Result<Vec<MerchantAggregate>> {
        let back = if number % OLD == 7 { 100 * DAY_MS } else { 0 };
        let start_ms = self.base_ms - i64::from(number / 80) * MINUTE_MS - back;
        let of = |revision: i32, more: i128| {
            anyhow::Ok(MerchantAggregate {
                merchant_id: ShortId::new(&format!("m-{}", number % 40), "test")?,
                currency: Currency::parse(if (number / 40).is_multiple_of(2) { b"EUR" } else { b"NOK" })?,
                window_start_ms: start_ms,
                window_end_ms: start_ms + MINUTE_MS,
                totals: Totals {
                    purchase_count: u64::from(number) + 1,
                    purchase_sum: Sum::from_units(i128::from(number) * 1_234_567_890_123 + more),
                    refund_count: 1,
                    refund_sum: Sum::from_units(more),
                    min_amount: Amount::from_units(1).context("an amount")?,
                    max_amount: Amount::from_units(1_000_000).context("an amount")?,
                },
                distinct_users: u64::from(number % 9),
                revision,
            })
        };
        Ok(match number % 3 {
            0 => vec![of(0, 3)?, of(-30_000, 1)?],
            1 => vec![of(-10_000, 2)?, of(-30_000, 1)?],
            _ => vec![of(-30_000, 1)?, of(0, 3)?, of(0, 4)?],
        })
    }

    /// An alert, or the same with another time of detection after it.
    fn anomalies(&self, number: u32) -> Result<Vec<(Anomaly, i64)>> {
        if !number.is_multiple_of(3) {
            return Ok(Vec::new());
        }
        let entity = ShortId::new(&format!("u-{}", number % 50), "test")?;
        let transaction = TransactionId::from_bytes(u128::from(number).to_be_bytes());
        let time_ms = self.base_ms - i64::from(number) * 20 * MINUTE_MS;
        let alert = |score: f64| Anomaly {
            id: Anomaly::id_of("velocity", &entity, &transaction),
            rule: "velocity".into(),
            entity_type: EntityType::User,
            entity,
            severity: Severity::High,
            score,
            evidence: Evidence {
                transaction_ids: vec![transaction],
                figures: vec![("count".into(), f64::from(number))],
            },
            event_time_ms: time_ms,
            origin: None,
        };
        let times = if number.is_multiple_of(6) { 2 } else { 1 };
        let detected =
            (0..times).map(|at| (alert(0.25 + 0.25 * f64::from(at)), time_ms + 100 + i64::from(at)));
        Ok(detected.collect())
    }

    fn views(&self, number: u32) -> Result<PageViews> {
        let start_ms = self.base_ms - i64::from(number) * MINUTE_MS;
        Ok(PageViews {
            page: Page::new(&format!("shop.example/p/{}", number % 20)).context("a page")?,
            window_start_ms: start_ms,
            window_end_ms: start_ms + MINUTE_MS,
            views: i64::from(number) * 3,
            visitors: i64::from(number),
        })
    }
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
