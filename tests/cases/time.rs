//! Event time, idle partitions and late records, through the whole pipeline.

use anyhow::{Context, Result, ensure};
use millrace_domain::topic;
use millrace_tests::checks::check_aggregates;
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, topics};

/// Records of each of the three runs of the producer.
const COUNT: u64 = 3_000;
/// Seconds of event time that a run covers.
const RUN_S: i64 = 30;

/// Idleness closes the windows of a stream that has stopped. Then the aggregator is killed, and its state is made of the
/// log alone, idle advances included: of records for the closed windows not one is accepted, and each says how late it
/// was; those for later windows are added up as ever.
pub(super) async fn idle_advances_are_repeated(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    settings.producer.disorder_share = 0.05;
    settings.producer.duplicate_share = 0.01;
    settings.producer.malformed_share = 0.01;
    settings.aggregator.window_ms = 10_000;
    settings.aggregator.allowed_lateness_ms = 1_000;
    settings.aggregator.worker.idle_timeout_ms = 3_000;
    settings.snapshots.enabled = false;
    let mut pipeline = Pipeline::start(&context).await?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let start_ms = i64::try_from(now.as_millis())? - 600_000;

    produce(&context, 1, start_ms).await?;
    pipeline::verify(&context).await?;
    ensure!(
        advances(&context).await? > 0,
        "idle partitions have closed the last windows"
    );
    let closed = check_aggregates(&context, 0).await?;
    pipeline.crash(&context, "aggregator").await?;

    // Its own later windows first, then what belongs to the closed ones.
    produce(&context, 2, start_ms + 10 * RUN_S * 1_000).await?;
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
    let late = topics::read(&context.settings, topic::LATE).await?;
    ensure!(
        late.len() as u64 > COUNT * 9 / 10,
        "{} late records of {COUNT} but for the malformed ones",
        late.len()
    );
    for record in &late {
        let by_ms: i64 = record
            .header("late.by_ms")
            .context("a late record says how late")?
            .parse()?;
        ensure!(by_ms > 0, "late by {by_ms} ms");
        for name in ["source.topic", "source.partition", "source.offset"] {
            ensure!(record.header(name).is_some(), "a late record without {name}");
        }
    }
    pipeline.stop().await
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

/// Idle advances recorded on the control topic.
async fn advances(context: &TestContext) -> Result<usize> {
    let records = topics::read(&context.settings, topic::AGGREGATES_CONTROL).await?;
    let advance = |payload: &[u8]| String::from_utf8_lossy(payload).contains("\"kind\":\"advance\"");
    Ok(records.iter().filter(|record| advance(&record.payload)).count())
}
