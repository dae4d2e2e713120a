//! Compressed batches: of every codec, and one that a client cannot read.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::payments::topic;
use millrace_domain::Transaction;
use millrace_kafka::topic_name;
use millrace_settings::Settings;
use millrace_telemetry::exposition;
use millrace_tests::checks::check_aggregates;
use millrace_tests::pipeline::{self, LIMIT};
use millrace_tests::results::{alert, send_alerts};
use millrace_tests::service::Service;
use millrace_tests::sink::{self, ALERTS, INDEX, Sink, indexed_in};
use millrace_tests::{TestContext, groups, sample, send, topics, wait_until};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseRecord, Producer as _};

/// Partitions of the source.
pub(super) const PARTITIONS: i32 = 5;

/// Records of zstd are read like any other: from a client, by the topic's own setting, and from
/// Millrace's producer.
pub(super) async fn zstd_is_read_and_written(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    settings.aggregator.window_ms = 10_000;
    settings.aggregator.worker.idle_timeout_ms = 1_000;
    let properties = &mut settings.producer.properties;
    properties.insert("compression.type".to_owned(), "zstd".to_owned());
    pipeline::init(&context).await?;
    let produce = ["service", "producer", "--count", "1000", "--rate", "0"];
    Service::start(&context, "producer", &produce)?
        .succeed(LIMIT)
        .await?;
    set_compression(&context.settings, "zstd").await?;
    let settings = &context.settings;
    let time_ms = now_ms()?;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer = send::producer(&settings.kafka, &[("compression.type", codec)])?;
        let first = 1_000 * codec.len() as u32 + u32::from(codec.as_bytes()[0]);
        let transactions = (first..first + 20).map(|number| sample::transaction(number, time_ms));
        send::send(&producer, &settings.kafka, transactions, None, None)?;
        send::flush(&producer)?;
    }
    let mut aggregator = Service::start(&context, "aggregator", &["service", "aggregator"])?;
    aggregator.ready(settings.aggregator.metrics_port).await?;
    wait_for_all_windows(&context).await?;
    // A roll-back has other reasons too, as a coordinator that is still loading.
    let output = aggregator.output();
    let is_of_reading = |line: &&str| line.contains("cannot be read") || line.contains("reading partition");
    let failed: Vec<_> = output.lines().filter(is_of_reading).collect();
    ensure!(failed.is_empty(), "a batch was not read: {failed:?}");
    aggregator.stop().await
}

/// One batch is larger, once it is decompressed, than the services' clients take. Its partition
/// waits, the others go on and commit, readiness and log name the place and what to do; with the
/// limit raised, nothing is missing.
pub(super) async fn one_partition_holds_up_no_other(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    settings.aggregator.window_ms = 10_000;
    settings.aggregator.worker.idle_timeout_ms = 1_000;
    for worker in [&mut settings.aggregator.worker, &mut settings.detector.worker] {
        worker.threads = 1;
    }
    for properties in consumer_properties(settings) {
        for (name, value) in [
            ("fetch.max.bytes", "1000000"),
            ("receive.message.max.bytes", "1500000"),
        ] {
            properties.insert(name.to_owned(), value.to_owned());
        }
    }
    // By it the sink finds the place.
    let statistics = ("statistics.interval.ms".to_owned(), "500".to_owned());
    settings.elastic_sink.consumer_properties.extend([statistics]);
    // The sink first, as long as there is nothing else for it to read.
    let services = [
        ("elastic-sink", settings.elastic_sink.metrics_port),
        ("aggregator", settings.aggregator.metrics_port),
        ("detector", settings.detector.metrics_port),
    ];
    pipeline::init(&context).await?;
    let time_ms = now_ms()? - 30_000;
    send_to_all(&context, 0, time_ms)?;
    send_large(&context, sample::transaction(9_999, time_ms), 0)?;
    send_to_all(&context, 1_000, time_ms)?;

    for (name, port) in services {
        tells_of_the_place(&context, name, port).await?;
    }
    for properties in consumer_properties(&mut context.settings) {
        properties.clear();
    }
    for (name, port) in services {
        let mut service = Service::start(&context, &format!("{name}-again"), &["service", name])?;
        service.ready(port).await?;
        // The batch, and what is after it.
        wait_until("what could not be read", LIMIT, || async {
            let text = pipeline::metrics_text(port).await?;
            let consumed = exposition::sum(&text, "millrace_records_consumed_total");
            Ok((consumed >= Some(11.0)).then_some(()))
        })
        .await?;
        if name == "aggregator" {
            wait_for_all_windows(&context).await?;
        }
        service.stop().await?;
    }
    Ok(())
}

/// A topic is deleted under a running sink, and made again: until then the sink is not ready, names
/// the topic and the partitions that it had, and reads the others.
pub(super) async fn a_deleted_topic_holds_up_no_other(mut context: TestContext) -> Result<()> {
    sink::prepare(&mut context.settings);
    let settings = &context.settings;
    let mut sink = Sink::start(&context).await?;
    send_alerts(&context, std::iter::once(alert(1, now_ms()?))).await?;
    indexed_in(settings, ALERTS, "*", 1).await?;
    super::moved::delete(&context, topic::ANOMALIES).await?;
    let name = topic_name(&settings.kafka, topic::ANOMALIES);
    wait_until("the sink to name the topic", LIMIT, || async {
        let (is_ready, body) = readiness(settings.elastic_sink.metrics_port).await?;
        let said = format!("partitions 0, 1, 2 of {name} cannot be read");
        Ok((!is_ready && body.contains(&said)).then_some(()))
    })
    .await?;
    let text = pipeline::metrics_text(settings.elastic_sink.metrics_port).await?;
    let unreadable: Vec<_> = exposition::samples(&text, "millrace_unreadable_seconds").collect();
    let is_of_it = |label: &str| {
        label
            .strip_prefix(&name)
            .is_some_and(|rest| rest.starts_with('-'))
    };
    ensure!(
        unreadable.len() == 3
            && unreadable
                .iter()
                .all(|it| it.label("partition").is_some_and(is_of_it)),
        "its three partitions: {unreadable:?}"
    );
    sink::send(settings, std::iter::once(sample::transaction(1, now_ms()?))).await?;
    indexed_in(settings, INDEX, "*", 1).await?;
    let (is_ready, _) = readiness(settings.elastic_sink.metrics_port).await?;
    ensure!(!is_ready, "the topic is not there yet");

    pipeline::init(&context).await?;
    topics::known_to_all_brokers(settings).await?;
    sink.ready().await?;
    send_alerts(&context, std::iter::once(alert(2, now_ms()?))).await?;
    indexed_in(settings, ALERTS, "*", 2).await?;
    wait_until("its series to be gone", LIMIT, || async {
        let text = pipeline::metrics_text(settings.elastic_sink.metrics_port).await?;
        let left = exposition::samples(&text, "millrace_unreadable_seconds").count();
        Ok((left == 0).then_some(()))
    })
    .await?;
    sink.stop().await
}

async fn readiness(port: u16) -> Result<(bool, String)> {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/health/ready")).await?;
    Ok((answer.status().is_success(), answer.text().await?))
}

/// Those of the three services that read transactions.
fn consumer_properties(settings: &mut Settings) -> [&mut BTreeMap<String, String>; 3] {
    [
        &mut settings.aggregator.worker.consumer_properties,
        &mut settings.detector.worker.consumer_properties,
        &mut settings.elastic_sink.consumer_properties,
    ]
}

/// The service `name` reads all but what follows the batch, says so, and stops in good order.
async fn tells_of_the_place(context: &TestContext, name: &str, port: u16) -> Result<()> {
    let service = Service::start(context, name, &["service", name])?;
    // All of four partitions, and of the fifth what is before the batch.
    wait_until("what can be read", LIMIT, || async {
        let Ok(text) = pipeline::metrics_text(port).await else {
            return Ok(None);
        };
        let consumed: f64 = exposition::samples(&text, "millrace_records_consumed_total")
            .filter(|sample| sample.label("operator") != Some("aggregate-merge"))
            .map(|sample| sample.value)
            .sum();
        Ok((consumed == 90.0).then_some(()))
    })
    .await?;
    wait_until("the service to be not ready", LIMIT, || async {
        let (is_ready, body) = readiness(port).await?;
        let names = [
            "financial_transactions cannot be read at offset 10",
            "receive.message.max.bytes",
        ];
        Ok((!is_ready && names.iter().all(|name| body.contains(name))).then_some(()))
    })
    .await?;
    if let Some(group) = match name {
        "aggregator" => Some("millrace-aggregate-partial"),
        "detector" => Some("millrace-detect"),
        _ => None,
    } {
        groups::wait_until_read_of(&context.settings, group, topic::TRANSACTIONS, |number| {
            number != 0
        })
        .await?;
    }
    let text = pipeline::metrics_text(port).await?;
    let unreadable: Vec<_> = exposition::samples(&text, "millrace_unreadable_seconds").collect();
    // The sink reads three topics, and says which.
    let is_first = |label: &str| label == "0" || label.ends_with("financial_transactions-0");
    ensure!(
        unreadable.len() == 1 && unreadable[0].label("partition").is_some_and(is_first),
        "one partition: {unreadable:?}"
    );
    let tries = service.output().matches("The other partitions go on").count();
    ensure!(
        (1..=10).contains(&tries),
        "told {tries} times: {}",
        service.output()
    );
    service.stop().await
}

/// Ten records for each partition.
pub(super) fn send_to_all(context: &TestContext, first: u32, time_ms: i64) -> Result<()> {
    let producer = send::producer(&context.settings.kafka, &[])?;
    for partition in 0..PARTITIONS {
        let first = first + 100 * partition.cast_unsigned();
        let transactions = (first..first + 10).map(|number| sample::transaction(number, time_ms));
        send::send(
            &producer,
            &context.settings.kafka,
            transactions,
            Some(partition),
            None,
        )?;
    }
    send::flush(&producer)
}

/// A transaction with three million blanks in its JSON.
fn send_large(context: &TestContext, transaction: Transaction, partition: i32) -> Result<()> {
    let kafka = &context.settings.kafka;
    let mut value = Vec::new();
    millrace_domain::codec::json::encode(&transaction, &mut value);
    let end = value
        .iter()
        .rposition(|byte| *byte == b'}')
        .context("an object")?;
    value.splice(end..end, std::iter::repeat_n(b' ', 3_000_000));
    let properties = [("compression.type", "zstd"), ("message.max.bytes", "10000000")];
    let producer = send::producer(kafka, &properties)?;
    let name = topic_name(kafka, topic::TRANSACTIONS);
    let user_id = transaction.user_id.text();
    let record = BaseRecord::to(&name)
        .key(user_id.as_bytes())
        .payload(&value)
        .partition(partition);
    producer.send(record).map_err(|(error, _)| error)?;
    Ok(producer.flush(send::SEND)?)
}

/// Waits until every transaction is in a final aggregate, and compares them.
pub(super) async fn wait_for_all_windows(context: &TestContext) -> Result<()> {
    let sent = topics::read(&context.settings, topic::TRANSACTIONS).await?.len();
    wait_until("every window to close", LIMIT, || async {
        // It fails as long as a window is open.
        Ok(check_aggregates(context, 0).await.ok().map(drop))
    })
    .await?;
    let expected = check_aggregates(context, 0).await?;
    ensure!(
        expected.dead.is_empty() && expected.transactions.len() + expected.duplicates == sent,
        "each record is accepted"
    );
    let late = topics::read(&context.settings, topic::LATE).await?;
    ensure!(late.is_empty(), "{} records are late", late.len());
    Ok(())
}

async fn set_compression(settings: &Settings, codec: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &settings.kafka.bootstrap_servers)
        .create()?;
    let name = topic_name(&settings.kafka, topic::TRANSACTIONS);
    let config = AlterConfig::new(ResourceSpecifier::Topic(&name))
        .set("compression.type", codec)
        .set("message.timestamp.type", "LogAppendTime");
    for changed in admin.alter_configs([&config], &AdminOptions::new()).await? {
        changed.map_err(|(_, code)| code)?;
    }
    Ok(())
}

pub(super) fn now_ms() -> Result<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_millis())?)
}
