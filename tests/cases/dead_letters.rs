//! Dead letters and late records: what they keep, how large they may be, and how they are sent
//! again.

mod replayed;
mod unsent;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::{dead_letter, payments::topic};
use millrace_domain::codec::AggregateReader;
use millrace_kafka::topic_name;
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::Service;
use millrace_tests::topics::{self, Record};
use millrace_tests::{TestContext, send, wait_until};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, FutureProducer, FutureRecord, Producer as _};
use serde_json::json;

pub(super) use replayed::{are_replayed_once, dlq, sent};
pub(super) use unsent::that_cannot_be_sent_are_told;

/// The largest record that a topic of Kafka's own default takes, with its batch around it.
const TOPIC_DEFAULT_BYTES: usize = 1_048_588;
const SMALL_LIMIT: usize = 100_000;
/// Good purchases that come after the bad records.
const GOOD: u64 = 100;
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A sender that is not ours, with names before the prefix.
struct Writer {
    producer: FutureProducer,
    prefix: String,
}

impl Writer {
    fn new(context: &TestContext) -> Result<Self> {
        let kafka = &context.settings.kafka;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &kafka.bootstrap_servers)
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", "1100000")
            .set("linger.ms", "5")
            .create()?;
        Ok(Self {
            producer,
            prefix: kafka.topic_prefix.clone(),
        })
    }

    async fn send(
        &self,
        topic: &str,
        key: &str,
        value: &[u8],
        headers: &[(&str, Option<&[u8]>)],
    ) -> Result<()> {
        let name = format!("{}{topic}", self.prefix);
        let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: *value })
        });
        let record = FutureRecord::to(&name).key(key).payload(value).headers(headers);
        let sent = self.producer.send(record, Duration::from_secs(20)).await;
        sent.map_err(|(error, _)| error)
            .with_context(|| format!("{} bytes to {name}", value.len()))?;
        Ok(())
    }
}

/// A transaction as JSON, of the merchant m-1.
fn transaction(number: u32, time_ms: i64) -> Vec<u8> {
    json!({
        "transactionId": format!("00000000-0000-4000-8000-{number:012}"), "userId": format!("u-{number}"),
        "amount": 10.5, "transactionTime": time_ms, "merchantId": "m-1", "transactionType": "purchase",
        "location": "Oslo", "paymentMethod": "credit_card", "isInternational": false, "currency": "NOK",
    })
    .to_string()
    .into_bytes()
}

/// Bytes that neither decode nor compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = vec![0xff; len];
    for byte in bytes.iter_mut().skip(1) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = (state >> 32) as u8;
    }
    bytes
}

fn now_ms() -> Result<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_millis())?)
}

async fn letters(context: &TestContext, topic: &str, count: usize) -> Result<Vec<Record>> {
    topics::wait_for_records(&context.settings, topic, count).await?;
    topics::read(&context.settings, topic).await
}

fn admin(context: &TestContext) -> Result<AdminClient<DefaultClientContext>> {
    Ok(ClientConfig::new()
        .set("bootstrap.servers", &context.settings.kafka.bootstrap_servers)
        .create()?)
}

async fn limit_topic(context: &TestContext, topic: &str, bytes: usize) -> Result<()> {
    let (admin, name) = (admin(context)?, topic_name(&context.settings.kafka, topic));
    let bytes = bytes.to_string();
    let change = AlterConfig::new(ResourceSpecifier::Topic(&name)).set("max.message.bytes", &bytes);
    let results = admin.alter_configs([&change], &AdminOptions::new()).await?;
    for result in results {
        result.map_err(|(_, code)| code)?;
    }
    topics::known_to_all_brokers(&context.settings).await
}

/// A copy keeps the headers of its record, beside those that say why it was made, and the record's
/// time.
pub(super) async fn keep_headers_and_time(context: TestContext) -> Result<()> {
    pipeline::init(&context).await?;
    let mut aggregator = Service::start(&context, "aggregator", &["service", "aggregator"])?;
    aggregator.ready(context.settings.aggregator.metrics_port).await?;
    let (writer, now_ms) = (Writer::new(&context)?, now_ms()?);
    let own: [(&str, Option<&[u8]>); 4] = [
        ("traceparent", Some(TRACE.as_bytes())),
        ("tenant", Some(b"acme")),
        ("error", Some(b"theirs")),
        ("none", None),
    ];
    let source = topic::TRANSACTIONS;
    writer.send(source, "u-1", b"\xffbad", &own).await?;
    writer.send(source, "u-1", &transaction(1, now_ms), &[]).await?;
    writer
        .send(source, "u-1", &transaction(2, now_ms - 3_600_000), &own)
        .await?;
    let dead = letters(&context, &dead_letter(source), 1).await?;
    let late = letters(&context, topic::LATE, 1).await?;
    let sent = topics::read(&context.settings, source).await?;
    for (copies, original, said) in [
        (dead, &sent[0], &["error", "error.code", "service"][..]),
        (late, &sent[2], &["late.by_ms"][..]),
    ] {
        let [copy] = &copies[..] else {
            anyhow::bail!("one copy, not {copies:?}");
        };
        ensure!(
            copy.payload == original.payload && copy.key == original.key,
            "{copy:?}"
        );
        let names: Vec<&str> = copy.headers.iter().map(|(name, _)| name.as_str()).collect();
        let place = [
            "source.topic",
            "source.partition",
            "source.offset",
            "source.timestamp_ms",
        ];
        let theirs = ["traceparent", "tenant", "original.error", "none"];
        let wanted: Vec<&str> = [said, &place[..], &theirs[..]].concat();
        ensure!(names == wanted, "{names:?} in place of {wanted:?}");
        for (name, value) in [
            ("traceparent", TRACE.to_owned()),
            ("tenant", "acme".to_owned()),
            ("original.error", "theirs".to_owned()),
            ("none", String::new()),
            ("source.partition", original.partition.to_string()),
            ("source.offset", original.offset.to_string()),
            ("source.timestamp_ms", original.timestamp_ms.to_string()),
        ] {
            ensure!(
                copy.header(name) == Some(value),
                "{name}: {:?}",
                copy.header(name)
            );
        }
        ensure!(
            copy.header("error") != Some("theirs".to_owned()),
            "ours keeps its name"
        );
    }
    aggregator.stop().await
}

/// The largest record that a topic takes becomes a dead letter, whole or cut, of aggregator and of
/// sink, and everything goes on.
pub(super) async fn are_cut_and_never_the_end(mut context: TestContext) -> Result<()> {
    context.settings.aggregator.window_ms = 10_000;
    context.settings.aggregator.worker.idle_timeout_ms = 3_000;
    let pipeline = Pipeline::start(&context).await?;
    let writer = Writer::new(&context)?;
    what_fits_is_whole(&context, &writer).await?;
    what_does_not_is_cut(&context, &writer).await?;

    let source = topic::TRANSACTIONS;
    send_good(&context)?;
    wait_until("the aggregates of 100 purchases", LIMIT, || async {
        let late = topics::read(&context.settings, topic::LATE).await?.len();
        ensure!(late == 0, "{late} are late");
        let found = topics::read(&context.settings, topic::AGGREGATES).await?;
        let reader = AggregateReader::new(pipeline::schemas(&context));
        let count = tokio::task::spawn_blocking(move || {
            let good = found
                .iter()
                .filter_map(|record| reader.read(&record.payload).ok());
            good.map(|aggregate| aggregate.totals.purchase_count).sum::<u64>()
        })
        .await?;
        ensure!(count <= GOOD, "{count} purchases of {GOOD}");
        Ok((count == GOOD).then_some(()))
    })
    .await?;
    for (service, topic) in [("aggregator", source), ("elastic-sink", topic::AGGREGATES)] {
        let letters = topics::read(&context.settings, &dead_letter(topic)).await?;
        let is_cut = |letter: &&Record| {
            let mut names = letter.headers.iter().map(|(name, _)| name);
            names.any(|name| name.starts_with("truncated"))
        };
        let cut = letters.iter().filter(is_cut).count();
        let counted = pipeline
            .metric(service, "millrace_truncated_copies_total", None)
            .await?;
        // One whose transaction was aborted, as its topic took less than was known, was cut once
        // more.
        ensure!(
            cut > 0 && counted >= cut as f64,
            "{service} has counted {counted} of {cut}"
        );
    }
    pipeline.stop().await
}

/// Sends the good ones in one transaction, so that they are seen at once: of those that a busy
/// machine's sender holds back for longer than a partition may be idle, some would be late.
fn send_good(context: &TestContext) -> Result<()> {
    let kafka = &context.settings.kafka;
    let id = format!("{}good", kafka.topic_prefix);
    let producer = send::producer(kafka, &[("transactional.id", &id)])?;
    producer.init_transactions(send::SEND)?;
    producer.begin_transaction()?;
    let (name, now_ms) = (topic_name(kafka, topic::TRANSACTIONS), now_ms()?);
    for number in 0..GOOD as u32 {
        let (key, value) = (format!("u-{number}"), transaction(number, now_ms));
        let record = BaseRecord::to(&name).key(&key).payload(&value);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    Ok(producer.commit_transaction(send::SEND)?)
}

/// As large as Kafka's own default lets in, with all of that in the value, or much of it in
/// headers.
async fn what_fits_is_whole(context: &TestContext, writer: &Writer) -> Result<()> {
    let (source, results) = (topic::TRANSACTIONS, topic::AGGREGATES);
    let largest = noise(TOPIC_DEFAULT_BYTES - 100);
    writer.send(source, "u-1", &largest, &[]).await?;
    writer.send(source, "u-1", &noise(999_900), &[]).await?;
    let header = noise(400_000);
    let own: [(&str, Option<&[u8]>); 2] = [("big", Some(&header)), ("tenant", Some(b"acme"))];
    writer.send(source, "u-1", &noise(600_000), &own).await?;
    writer.send(results, "m-1", &noise(1_040_000), &own[1..]).await?;
    for (topic, count) in [(source, 3), (results, 1)] {
        let found = letters(context, &dead_letter(topic), count).await?;
        for letter in &found {
            ensure!(
                letter.header("truncated").is_none(),
                "{topic}: {:?}",
                letter.headers
            );
        }
        let last = found.last().context("a letter")?;
        ensure!(last.header("tenant") == Some("acme".to_owned()), "{topic}");
        ensure!(
            topic == results || found[0].payload == largest,
            "every byte of the largest"
        );
    }
    Ok(())
}

/// Somebody makes the topics of letters take less, while the services run.
async fn what_does_not_is_cut(context: &TestContext, writer: &Writer) -> Result<()> {
    let source = topic::TRANSACTIONS;
    let dead = dead_letter(source);
    for topic in [&dead, &dead_letter(topic::AGGREGATES)] {
        limit_topic(context, topic, SMALL_LIMIT).await?;
    }
    let cut = cut_letter(context, writer, source, "u-1").await?;
    ensure!(
        cut.header("truncated") == Some("900000".to_owned()),
        "{:?}",
        cut.headers
    );
    let len = cut.payload.len();
    ensure!((80_000..SMALL_LIMIT).contains(&len), "{len} bytes");
    ensure!(noise(900_000).starts_with(&cut.payload), "its first bytes");
    cut_letter(context, writer, topic::AGGREGATES, "m-1").await?;
    // Each of these fits, and a batch of all does not.
    let before = topics::read(&context.settings, &dead).await?.len();
    let many = noise(30_000);
    let sending = (0..20).map(|_| writer.send(source, "u-1", &many, &[]));
    futures::future::try_join_all(sending).await?;
    let after = letters(context, &dead, before + 20).await?;
    let count = after.iter().filter(|letter| letter.payload == many).count();
    ensure!(count == 20, "each once, not {count}");
    // Headers are left out by name.
    let header = noise(400_000);
    let own: [(&str, Option<&[u8]>); 2] = [("big", Some(&header)), ("tenant", Some(b"acme"))];
    writer.send(source, "u-1", b"\xffbad", &own).await?;
    let after = letters(context, &dead, before + 21).await?;
    let last = after.last().context("a letter")?;
    ensure!(
        last.header("truncated.headers") == Some("big".to_owned())
            && last.header("tenant") == Some("acme".to_owned())
            && last.payload == b"\xffbad",
        "{last:?}"
    );
    Ok(())
}

/// Sends a large record until one of its letters was cut: brokers take a while to hear of a topic's
/// new limit.
async fn cut_letter(context: &TestContext, writer: &Writer, source: &str, key: &str) -> Result<Record> {
    let dead = dead_letter(source);
    wait_until("a letter that was cut", LIMIT, || async {
        let before = topics::read(&context.settings, &dead).await?.len();
        writer.send(source, key, &noise(900_000), &[]).await?;
        let found = letters(context, &dead, before + 1).await?;
        Ok(found
            .into_iter()
            .find(|letter| letter.header("truncated").is_some()))
    })
    .await
}
