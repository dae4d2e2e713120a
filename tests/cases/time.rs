//! Event time, idle partitions and late records, through the whole pipeline.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use millrace_catalog::{Installation, payments::topic, topics};
use millrace_domain::codec::TransactionReader;
use millrace_kafka::topic_name;
use millrace_settings::Settings;
use millrace_telemetry::exposition;
use millrace_tests::checks::{check_aggregates, check_undisturbed, source};
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, sample, send, topics, wait_until};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::Producer;

/// Records of each of the three runs of the producer.
const COUNT: u64 = 3_000;
/// Seconds of event time that a run covers.
const RUN_S: i64 = 30;

/// Idleness closes the windows of a stream that has stopped. Then the aggregator is killed, and its
/// state is made of the log alone, idle advances included: of records for the closed windows not
/// one is accepted, and each says how late it was; those for later windows are added up as ever.
pub(super) async fn idle_advances_are_repeated(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    settings.producer.disorder_share = 0.05;
    settings.producer.duplicate_share = 0.01;
    settings.producer.malformed_share = 0.01;
    settings.aggregator.window_ms = 10_000;
    settings.aggregator.allowed_lateness_ms = 1_000;
    settings.aggregator.worker.idle_timeout_ms = 3_000;
    settings.snapshots.enabled = false;
    let start_ms = now_ms()? - 600_000;

    // Runs that are to have nothing late are all there before they are read: of a run under way,
    // partitions that wait for a slow broker follow the others.
    pipeline::init(&context).await?;
    produce(&context, 1, start_ms).await?;
    let mut pipeline = Pipeline::start(&context).await?;
    pipeline::verify(&context).await?;
    // A window waits for every source partition, and none has a record beyond the last one's end.
    let advanced = advanced_partitions(&context).await?;
    ensure!(
        advanced == topics(Installation::default())[0].partitions.unsigned_abs() as usize,
        "{advanced} partitions were advanced to close the last windows"
    );
    let closed = check_aggregates(&context, 0).await?;
    let (name, port) = pipeline.kill("aggregator")?;

    // Its own later windows first, then what belongs to the closed ones.
    produce(&context, 2, start_ms + 10 * RUN_S * 1_000).await?;
    pipeline.start_part(&context, name, port).await?;
    produce(&context, 3, start_ms).await?;
    pipeline::verify(&context).await?;
    let all = check_aggregates(&context, 0).await?;
    ensure!(
        closed
            .aggregates
            .iter()
            .all(|(key, totals)| all.aggregates.get(key) == Some(totals)),
        "what was closed stays as it was"
    );
    check_undisturbed(&context).await?;
    let late = topics::read(&context.settings, topic::LATE).await?;
    // Every record of the third run but the dead letters, copies too, as ids so old are forgotten;
    // and none of the others.
    let third = last_run(&context).await?;
    let found: BTreeSet<_> = late.iter().map(source).collect::<Result<_>>()?;
    ensure!(
        found.len() == late.len() && found == third,
        "{} late records, of {} of the third run",
        late.len(),
        third.len()
    );
    for record in &late {
        let by_ms: i64 = record
            .header("late.by_ms")
            .context("a late record says how late")?
            .parse()?;
        ensure!(by_ms > 0, "late by {by_ms} ms");
        let source = topic_name(&context.settings.kafka, topic::TRANSACTIONS);
        ensure!(
            record.header("source.topic") == Some(source),
            "a late record's topic: {:?}",
            record.headers
        );
    }
    pipeline.stop().await
}

/// An upstream writes in transactions, and one of them stays open for longer than a partition may
/// be quiet: its records are in the log and cannot be seen, so their window stays open for them,
/// and it is told what holds the partition back.
pub(super) async fn open_transactions_keep_windows_open(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    settings.aggregator.window_ms = 10_000;
    settings.aggregator.event_time.max_disorder_ms = 0;
    settings.aggregator.worker.idle_timeout_ms = 1_000;
    let (kafka, port) = (settings.kafka.clone(), settings.aggregator.metrics_port);
    pipeline::init(&context).await?;
    // At the end of a window of a minute ago: it takes a second of idleness to close it.
    let time_ms = now_ms()? / 10_000 * 10_000 - 60_000 - 1_000;
    let in_partition =
        |partition: i32| (0..20).map(move |n| sample::transaction(100 * partition as u32 + n, time_ms));
    let id = format!("{}upstream", kafka.topic_prefix);
    let properties = [
        ("transactional.id", id.as_str()),
        ("transaction.timeout.ms", "600000"),
    ];
    let upstream = send::producer(&kafka, &properties)?;
    upstream.init_transactions(send::SEND)?;
    upstream.begin_transaction()?;
    for partition in 0..5 {
        send::send(
            &upstream,
            &kafka,
            in_partition(partition).take(10),
            Some(partition),
            None,
        )?;
    }
    upstream.commit_transaction(send::SEND)?;
    upstream.begin_transaction()?;
    for partition in 0..5 {
        send::send(
            &upstream,
            &kafka,
            in_partition(partition).skip(10),
            Some(partition),
            None,
        )?;
    }
    send::flush(&upstream)?;
    // Between the two transactions a partition would be idle, if only for long enough.
    let mut aggregator = Service::start(&context, "aggregator", &["service", "aggregator"])?;
    aggregator.ready(port).await?;
    told_of_open_transactions(port).await?;
    ensure!(advanced_partitions(&context).await? == 0, "no partition is idle");
    let said = aggregator.output();
    ensure!(said.contains("an open transaction"), "the log tells: {said}");
    upstream.commit_transaction(send::SEND)?;

    // Ten merchants; each partition of the results is committed by itself.
    topics::wait_for_records(&context.settings, topic::AGGREGATES, 10).await?;
    let expected = check_aggregates(&context, 0).await?;
    ensure!(
        expected.transactions.len() == 100,
        "{} records",
        expected.transactions.len()
    );
    let late = topics::read(&context.settings, topic::LATE).await?;
    ensure!(late.is_empty(), "{} records are late", late.len());
    aggregator.stop().await
}

/// Waits until an open transaction has held each partition back for three seconds.
async fn told_of_open_transactions(port: u16) -> Result<()> {
    wait_until(
        "the aggregator to tell of the open transaction",
        LIMIT,
        || async {
            let text = pipeline::metrics_text(port).await?;
            let held_back = exposition::samples(&text, "millrace_open_transaction_seconds")
                .filter(|sample| sample.label("operator") == Some("aggregate-partial"))
                .filter(|sample| sample.value > 3.0);
            Ok((held_back.count() == 5).then_some(()))
        },
    )
    .await
}

/// The source leaves its records' time to producers, and one that replays history stamps new
/// transactions with a time of a month ago: they are no records of the far future. Both services
/// and `status` say whose time it is.
pub(super) async fn producers_stamps_bound_nothing(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    settings.aggregator.window_ms = 10_000;
    settings.aggregator.worker.idle_timeout_ms = 1_000;
    let settings = context.settings.clone();
    pipeline::init(&context).await?;
    set_create_time(&settings).await?;
    let time_ms = now_ms()? - 60_000;
    let (stamped, all) = send_stamped(&settings, time_ms).await?;
    let services = [
        ("aggregator", settings.aggregator.metrics_port),
        ("detector", settings.detector.metrics_port),
    ];
    let mut running = Vec::new();
    for (name, port) in services {
        let mut service = Service::start(&context, name, &["service", name])?;
        service.ready(port).await?;
        wait_until("a count of what producers have stamped", LIMIT, || async {
            let text = pipeline::metrics_text(port).await?;
            let count = exposition::sum(&text, "millrace_create_time_records_total");
            // What is read again after a commit that failed counts again.
            Ok(count.filter(|count| *count >= stamped as f64).map(drop))
        })
        .await?;
        let said = service.output();
        ensure!(
            said.contains("message.timestamp.type is CreateTime"),
            "{name} warns at its start: {said}"
        );
        running.push(service);
    }
    let mut status = Service::start(&context, "status", &["status", "--json"])?;
    // It is not ready, as there is no sink.
    status.fail(LIMIT).await?;
    ensure!(
        status.output().contains("message.timestamp.type is CreateTime"),
        "status tells: {}",
        status.output()
    );
    topics::wait_for_records(&settings, topic::AGGREGATES, 10).await?;
    let expected = check_aggregates(&context, 0).await?;
    ensure!(
        expected.dead.is_empty() && expected.transactions.len() == all,
        "nothing is of the far future"
    );
    for service in running {
        service.stop().await?;
    }
    Ok(())
}

/// Sends transactions that their producer has stamped with a time of a month before theirs, from
/// when on every broker keeps such stamps; how many are kept, and of how many.
async fn send_stamped(settings: &Settings, time_ms: i64) -> Result<(usize, usize)> {
    let producer = send::producer(&settings.kafka, &[])?;
    let send = |numbers: std::ops::Range<u32>, partition| {
        let transactions = numbers.map(|number| sample::transaction(number, time_ms));
        let created_ms = Some(time_ms - 30 * 86_400_000);
        send::send(&producer, &settings.kafka, transactions, partition, created_ms)?;
        send::flush(&producer)
    };
    let mut number = 200;
    wait_until("every partition to keep its records' time", LIMIT, || {
        number += 5;
        let sent = (0..5).try_for_each(|n| send(number + n..number + n + 1, Some(n.cast_signed())));
        async move {
            sent?;
            let records = topics::read(settings, topic::TRANSACTIONS).await?;
            let last: BTreeMap<_, _> = records
                .iter()
                .map(|it| (it.partition, it.is_append_time))
                .collect();
            Ok((!last.values().any(|is_append_time| *is_append_time)).then_some(()))
        }
    })
    .await?;
    send(0..200, None)?;
    let records = topics::read(settings, topic::TRANSACTIONS).await?;
    let stamped = records.iter().filter(|record| !record.is_append_time).count();
    ensure!(stamped >= 200, "producers' stamps are kept: {stamped}");
    Ok((stamped, records.len()))
}

async fn set_create_time(settings: &Settings) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &settings.kafka.bootstrap_servers)
        .create()?;
    let name = topic_name(&settings.kafka, topic::TRANSACTIONS);
    // Records of a month ago are older than topics keep them, which brokers look for now and then.
    let config = AlterConfig::new(ResourceSpecifier::Topic(&name))
        .set("message.timestamp.type", "CreateTime")
        .set("retention.ms", "-1");
    for changed in admin.alter_configs([&config], &AdminOptions::new()).await? {
        changed.map_err(|(_, code)| code)?;
    }
    Ok(())
}

fn now_ms() -> Result<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(now.as_millis())?)
}

/// Sends one run's records as fast as it goes.
async fn produce(context: &TestContext, seed: u64, start_ms: i64) -> Result<()> {
    let event_rate = i64::try_from(COUNT)? / RUN_S;
    let values = [
        COUNT.to_string(),
        seed.to_string(),
        start_ms.to_string(),
        event_rate.to_string(),
    ];
    let names = ["--count", "--seed", "--start-time", "--event-rate"];
    let mut arguments = vec!["service", "producer", "--threads", "1", "--rate", "0"];
    arguments.extend(
        names
            .iter()
            .zip(&values)
            .flat_map(|(name, value)| [*name, value.as_str()]),
    );
    let mut producer = Service::start(context, "producer", &arguments)?;
    producer.succeed(LIMIT).await
}

/// Partitions with idle advances on the control topic.
async fn advanced_partitions(context: &TestContext) -> Result<usize> {
    let records = topics::read(&context.settings, topic::AGGREGATES_CONTROL).await?;
    let is_advance = |payload: &[u8]| String::from_utf8_lossy(payload).contains("\"kind\":\"advance\"");
    let advances = records.iter().filter(|record| is_advance(&record.payload));
    let partitions: BTreeSet<i32> = advances.map(|record| record.partition).collect();
    Ok(partitions.len())
}

/// Places of the records that can be taken of the run that sent the log's last one.
async fn last_run(context: &TestContext) -> Result<BTreeSet<(i32, i64)>> {
    let records = topics::read(&context.settings, topic::TRANSACTIONS).await?;
    let reader = TransactionReader::new(pipeline::schemas(context));
    tokio::task::spawn_blocking(move || {
        let mut runs = BTreeMap::new();
        for record in &records {
            // Those that cannot be read, or lie in the far future, are dead letters.
            let Ok(transaction) = reader.read(&record.payload) else {
                continue;
            };
            let id = transaction.transaction_id;
            let is_dead = transaction
                .check_not_far_future(record.timestamp_ms, 60_000)
                .is_err();
            if !is_dead {
                let run: [u8; 4] = id.as_bytes()[..4].try_into()?;
                let (last_ms, places) = runs.entry(run).or_insert((0, BTreeSet::new()));
                *last_ms = record.timestamp_ms.max(*last_ms);
                places.insert((record.partition, record.offset));
            }
        }
        ensure!(runs.len() == 3, "{} runs", runs.len());
        let last = runs.into_values().max_by_key(|(last_ms, _)| *last_ms);
        Ok(last.map(|(_, places)| places).unwrap_or_default())
    })
    .await?
}
