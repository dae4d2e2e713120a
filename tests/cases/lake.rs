//! The lake's sink, killed again and again while it writes: its files are what the topics are.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::{Service as Known, dead_letter};
use millrace_kafka::clock::now_ms;
use millrace_lake_sink::store::Lake;
use millrace_lake_sink::tables::{TABLES, there};
use millrace_lake_sink::verify::{Found, verify};
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::{Service, Simulated};
use millrace_tests::streams::generate_carelessly;
use millrace_tests::{TestContext, topics, wait_until};

const SINK: &str = "lake-sink";
/// Transactions the producer makes, and how many a second: it outlasts most of the kills.
const COUNT: u64 = 60_000;
const RATE: u64 = 500;
const KILLS: u32 = 20;
const DAY_MS: i64 = 86_400_000;
/// Of each other stream, records a second.
const PER_S: u64 = 100;
const WINDOW_MS: i64 = 10_000;
const GAP_MS: i64 = 5_000;
/// Nobody need have given cause for an alert.
const MAY_BE_EMPTY: [&str; 3] = ["anomalies", "device_alerts", "incidents"];

/// Twenty kills while transactions of two days come: each record is in one file, to the cent; and
/// again when small files were put together beside the running sink.
pub(super) async fn is_what_the_topics_are(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    pipeline::hasten(settings);
    settings.lake_sink.enabled = true;
    settings.lake_sink.max_rows = 1_000;
    settings.lake_sink.max_age_ms = 200;
    let mut pipeline = Pipeline::start(&context).await?;

    // Half of the event time lies before midnight.
    let event_rate_per_s = 400;
    let midnight = now_ms() / DAY_MS * DAY_MS;
    let half_ms = (COUNT * 1_000 / event_rate_per_s / 2).cast_signed();
    let stream = Simulated {
        count: COUNT,
        rate_per_s: RATE,
        start_time_ms: midnight - half_ms,
        event_rate_per_s,
    };
    let mut producer = Service::start_simulated(&context, &stream)?;
    kill_while_it_writes(&context, &mut pipeline, &mut producer, KILLS).await?;
    producer.succeed(LIMIT).await?;
    pipeline::verify(&context).await?;

    let lake = Lake::open(&context.settings.lake_sink)?;
    let found = all_is_there(&context, &lake).await?;
    ensure!(found[0].rows == COUNT, "{:?}", found[0]);
    let days = std::fs::read_dir(context.settings.lake_sink.url.join("transactions"))?.count();
    ensure!(days == 2, "{days} days of transactions");

    Service::start(&context, "compact", &["lake", "compact"])?
        .succeed(LIMIT)
        .await?;
    let compacted = all_is_there(&context, &lake).await?;
    for (before, after) in found.iter().zip(&compacted) {
        // A day's only file of a partition, as of the few anomalies, stays.
        ensure!(after.files <= before.files, "{before:?} became {after:?}");
        ensure!(
            (after.rows, &after.sums) == (before.rows, &before.sums),
            "{after:?}"
        );
    }
    ensure!(
        compacted[0].files < found[0].files,
        "transactions were not compacted: {compacted:?}"
    );
    Service::start(&context, "verify-lake", &["lake", "verify"])?
        .succeed(LIMIT)
        .await?;
    pipeline.stop().await
}

/// Every stream's records and results are rows, each once, through kills of the sink while all are
/// generated, bad ones and copies among them.
pub(super) async fn has_every_stream(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    pipeline::hasten(settings);
    for service in [
        Known::Clickstream,
        Known::Iot,
        Known::Commerce,
        Known::Incidents,
        Known::LakeSink,
    ] {
        settings.enable(service);
    }
    settings.lake_sink.max_rows = 500;
    settings.lake_sink.max_age_ms = 200;
    settings.clickstream.window_ms = WINDOW_MS;
    settings.iot.window_ms = WINDOW_MS;
    settings.commerce.window_ms = WINDOW_MS;
    settings.clickstream.session_gap_ms = GAP_MS;
    settings.commerce.session_gap_ms = GAP_MS;
    generate_carelessly(settings);
    settings.producer.clicks_per_s = PER_S;
    settings.producer.iot_per_s = PER_S;
    settings.producer.commerce_per_s = PER_S;
    let mut pipeline = Pipeline::start(&context).await?;
    let mut producer = Service::start(&context, "producer", &["service", "producer", "--for", "25s"])?;
    kill_while_it_writes(&context, &mut pipeline, &mut producer, 5).await?;
    producer.succeed(LIMIT).await?;
    pipeline::verify(&context).await?;

    let lake = Lake::open(&context.settings.lake_sink)?;
    let found = all_is_there(&context, &lake).await?;
    let empty = found.iter().filter(|of| of.rows == 0).map(|of| of.table);
    let empty: Vec<_> = empty.filter(|table| !MAY_BE_EMPTY.contains(table)).collect();
    ensure!(empty.is_empty(), "{empty:?} have no rows: {found:?}");
    let all: Vec<_> = found.iter().map(|of| of.table).collect();
    let tables: Vec<_> = TABLES.iter().map(|table| table.name).collect();
    ensure!(all == tables, "{all:?}");
    Service::start(&context, "compact", &["lake", "compact"])?
        .succeed(LIMIT)
        .await?;
    let compacted = all_is_there(&context, &lake).await?;
    for (before, after) in found.iter().zip(&compacted) {
        ensure!(
            after.rows == before.rows && after.files <= before.files && after.sums == before.sums,
            "{before:?} became {after:?}"
        );
    }
    pipeline.stop().await
}

/// Kills the sink so often while it writes what the producer makes.
async fn kill_while_it_writes(
    context: &TestContext,
    pipeline: &mut Pipeline,
    producer: &mut Service,
    kills: u32,
) -> Result<()> {
    for kill in 0..kills {
        // Another number of files each time: killed while it writes some of the next.
        let files = f64::from(1 + kill % 7);
        let producer = std::cell::RefCell::new(&mut *producer);
        wait_until("files of the lake", LIMIT, || async {
            let written = pipeline.metric(SINK, "millrace_lake_files_total", None).await?;
            let is_over = !producer.borrow_mut().is_running()?;
            Ok((written >= files || is_over).then_some(()))
        })
        .await?;
        pipeline.crash(context, SINK).await?;
    }
    Ok(())
}

/// Waits until the sink has committed everything; then files and topics are the same: each record
/// is a row, but for those that are dead letters.
async fn all_is_there(context: &TestContext, lake: &Lake) -> Result<Vec<Found>> {
    let settings = &context.settings;
    let mut expected = Vec::new();
    for table in there(settings) {
        let records = topics::read(settings, table.topic).await?.len();
        let letters = topics::read(settings, &dead_letter(table.topic)).await?.len();
        expected.push((records - letters) as u64);
    }
    wait_until("everything to be committed", Duration::from_secs(120), || async {
        let found = verify(settings, lake).await?;
        let is_wrong = found.iter().find(|of| !of.is_well());
        ensure!(is_wrong.is_none(), "{is_wrong:?}");
        let records = found.iter().map(|of| of.records);
        Ok(records.eq(expected.iter().copied()).then_some(found))
    })
    .await
    .with_context(|| format!("{expected:?} records"))
}
