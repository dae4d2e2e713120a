//! The lake's sink, killed again and again while it writes: its files are what the topics are.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::payments::topic;
use millrace_kafka::clock::now_ms;
use millrace_lake_sink::store::Lake;
use millrace_lake_sink::verify::{Found, verify};
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::{Service, Simulated};
use millrace_tests::{TestContext, topics, wait_until};

const SINK: &str = "lake-sink";
/// Transactions the producer makes, and how many a second: it outlasts most of the kills.
const COUNT: u64 = 60_000;
const RATE: u64 = 500;
const KILLS: u32 = 20;
const DAY_MS: i64 = 86_400_000;

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
    for kill in 0..KILLS {
        // Another number of files each time: killed while it writes some of the next.
        let files = f64::from(1 + kill % 7);
        let producer = std::cell::RefCell::new(&mut producer);
        wait_until("files of the lake", LIMIT, || async {
            let written = pipeline.metric(SINK, "millrace_lake_files_total", None).await?;
            let is_over = !producer.borrow_mut().is_running()?;
            Ok((written >= files || is_over).then_some(()))
        })
        .await?;
        pipeline.crash(&context, SINK).await?;
    }
    producer.succeed(LIMIT).await?;
    pipeline::verify(&context).await?;

    let lake = Lake::open(&context.settings.lake_sink)?;
    let found = all_is_there(&context, &lake).await?;
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

/// Waits until the sink has committed everything; then files and topics are the same.
async fn all_is_there(context: &TestContext, lake: &Lake) -> Result<Vec<Found>> {
    let settings = &context.settings;
    let mut expected = vec![COUNT];
    for name in [topic::AGGREGATES, topic::ANOMALIES] {
        expected.push(topics::read(settings, name).await?.len() as u64);
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
