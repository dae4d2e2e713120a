//! Event time, idle partitions and late records, through the whole pipeline.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use millrace_codec::TransactionReader;
use millrace_domain::topic;
use millrace_tests::checks::{check_aggregates, check_undisturbed, source};
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
    // A window waits for every source partition, and none has a record beyond the last one's end.
    let advanced = advanced_partitions(&context).await?;
    ensure!(
        advanced == topic::ALL[0].partitions.unsigned_abs() as usize,
        "{advanced} partitions were advanced to close the last windows"
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
    check_undisturbed(&context).await?;
    let late = topics::read(&context.settings, topic::LATE).await?;
    // Every record of the third run but the dead letters, copies too, as ids so old are forgotten; and none of the others.
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
        ensure!(
            record.header("source.topic").is_some(),
            "a late record without its topic"
        );
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
