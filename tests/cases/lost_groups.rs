//! The offsets of the detector's and the sink's groups, lost and set back: what comes twice is what
//! it was.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::payments::topic;
use millrace_domain::codec::DecodedAnomaly;
use millrace_settings::LostPosition;
use millrace_telemetry::exposition;
use millrace_tests::pipeline::{LIMIT, hasten, metrics_text};
use millrace_tests::service::Service;
use millrace_tests::sink::{self, INDEX, Sink, send};
use millrace_tests::{TestContext, elastic, groups, sample, topics, wait_until};
use serde_json::{Value, json};

use super::positions::{commit, delete_groups, refusal_of};

pub(super) const DETECT: &str = "millrace-detect";
const SINK: &str = "millrace-elastic-sink";
const ANOMALIES: &str = "millrace-anomalies";
/// Users of a round, and how many payments each makes, of which the last ones are too many.
pub(super) const USERS: u32 = 10;
pub(super) const EACH: u32 = 5;
const ROUND: u32 = USERS * EACH;

/// A detector is killed and its group's offsets are gone: it refuses, and says what is proven; told
/// to go on, it loses nothing, and what comes twice is what it was. So it is where offsets are set
/// back by hand, and with the sink, whose documents stay what they are.
pub(super) async fn repeat_and_lose_nothing(mut context: TestContext) -> Result<()> {
    sink::prepare(&mut context.settings);
    hasten(&mut context.settings);
    context.settings.snapshots.interval_ms = 500;
    let detector = &mut context.settings.detector;
    detector.worker.threads = 1;
    detector.rules.velocity.max_count = EACH - 2;
    let sink = Sink::start(&context).await?;
    let detector = start(&context, "detector").await?;
    round(&context, 0).await?;
    let first = alerts(&context, USERS).await?;
    let documents = documents_of(&context, ROUND, &first).await?;
    a_snapshot_of_all(&context).await?;
    detector.kill()?;
    sink.stop().await?;
    delete_groups(&context.settings, &[DETECT, SINK]).await?;

    let sink = Sink::again(&context)?;
    read_again(&sink, ROUND).await?;
    let found = documents_of(&context, ROUND, &first).await?;
    ensure!(found == documents, "documents have changed: {found:?}");
    let said = refusal_of(&context, "detector", "forgotten").await?;
    ensure!(
        said.contains("has no committed offset any more") && said.contains("--to-offset"),
        "what is proven: {said}"
    );
    context.settings.detector.worker.lost_position = LostPosition::Continue;
    let detector = start(&context, "goes-on").await?;
    ensure!(lost(&context).await? > 0.0, "a doubt is counted");
    round(&context, 1).await?;
    let second = alerts(&context, 2 * USERS).await?;
    are_there(&first, &second)?;
    let documents = documents_of(&context, 2 * ROUND, &second).await?;
    a_snapshot_of_all(&context).await?;
    detector.stop().await?;
    sink.stop().await?;
    are_set_back(&mut context).await?;

    let detector = start(&context, "goes-on-again").await?;
    ensure!(lost(&context).await? > 0.0, "a doubt is counted");
    groups::wait_until_read(&context.settings, DETECT, topic::TRANSACTIONS).await?;
    let third = alerts(&context, 2 * USERS).await?;
    are_there(&second, &third)?;
    ensure!(third.len() == second.len(), "no other alerts: {third:?}");
    let count = |alerts: &Alerts| alerts.values().sum::<usize>();
    ensure!(
        count(&third) >= count(&second) + USERS as usize,
        "what is between comes twice: {} alerts, and {} before",
        count(&third),
        count(&second)
    );
    let sink = Sink::again(&context)?;
    read_again(&sink, 2 * ROUND).await?;
    let found = documents_of(&context, 2 * ROUND, &third).await?;
    ensure!(found == documents, "documents have changed: {found:?}");
    detector.stop().await?;
    sink.stop().await
}

/// Sets the offsets of both groups back by hand: the detector refuses, and is told to go on.
async fn are_set_back(context: &mut TestContext) -> Result<()> {
    context.settings.detector.worker.lost_position = LostPosition::Stop;
    let ends = groups::ends(&context.settings, topic::TRANSACTIONS).await?;
    for (partition, end) in (0..).zip(ends) {
        commit(&context.settings, DETECT, partition, end / 2).await?;
        commit(&context.settings, SINK, partition, 0).await?;
    }
    let said = refusal_of(context, "detector", "set-back").await?;
    ensure!(said.contains("it was set back"), "what has happened: {said}");
    context.settings.detector.worker.lost_position = LostPosition::Continue;
    Ok(())
}

pub(super) async fn start(context: &TestContext, name: &str) -> Result<Service> {
    let mut detector = Service::start(context, name, &["service", "detector"])?;
    detector.ready(context.settings.detector.metrics_port).await?;
    Ok(detector)
}

/// How many restores of the detector were in doubt.
async fn lost(context: &TestContext) -> Result<f64> {
    let text = metrics_text(context.settings.detector.metrics_port).await?;
    exposition::sum(&text, "millrace_lost_positions_total").context("the detector counts doubts")
}

/// Sends a round's payments, and waits until the detector has judged them.
async fn round(context: &TestContext, number: u32) -> Result<()> {
    pay(context, number).await?;
    groups::wait_until_read(&context.settings, DETECT, topic::TRANSACTIONS).await
}

/// Sends a round's payments, each user's in their order.
pub(super) async fn pay(context: &TestContext, number: u32) -> Result<()> {
    let now_ms = millrace_kafka::clock::now_ms();
    for nth in 0..EACH {
        let users = number * USERS..(number + 1) * USERS;
        let payments = users.map(|user| sample::transaction(user + 1_000 * nth, now_ms + i64::from(nth)));
        send(&context.settings, payments).await?;
    }
    Ok(())
}

/// What there is of each alert but the time of its detection, and how often it is there.
pub(super) type Alerts = BTreeMap<String, usize>;

/// The alerts by now, which are of so many users; no two that differ have one id.
pub(super) async fn alerts(context: &TestContext, users: u32) -> Result<Alerts> {
    let found: Vec<DecodedAnomaly> = topics::values(context, topic::ANOMALIES).await?;
    let (mut alerts, mut ids, mut entities) = (Alerts::new(), BTreeSet::new(), BTreeSet::new());
    for anomaly in found {
        ids.insert(anomaly.id);
        entities.insert(anomaly.entity.text().as_str().to_owned());
        let timeless = DecodedAnomaly {
            detection_time_ms: 0,
            ..anomaly
        };
        *alerts.entry(format!("{timeless:?}")).or_default() += 1;
    }
    ensure!(entities.len() == users as usize, "alerts of {entities:?}");
    ensure!(ids.len() == alerts.len(), "one id, two contents: {alerts:?}");
    Ok(alerts)
}

/// Whether all that was there is there.
fn are_there(before: &Alerts, after: &Alerts) -> Result<()> {
    for (alert, count) in before {
        ensure!(after.get(alert) >= Some(count), "{alert} has gone");
    }
    Ok(())
}

/// Waits until a partition has a snapshot of all its records.
pub(super) async fn a_snapshot_of_all(context: &TestContext) -> Result<()> {
    let ends = groups::ends(&context.settings, topic::TRANSACTIONS).await?;
    let job = format!("{}detect", context.settings.kafka.topic_prefix);
    let folder = context.settings.snapshots.url.join(job);
    wait_until("a snapshot of all records", LIMIT, || async {
        let mut partitions = (0..).zip(&ends).filter(|(_, end)| **end > 0);
        let is_there = |(partition, end): (i32, &i64)| {
            folder
                .join(partition.to_string())
                .join(format!("{end:020}.snap"))
                .exists()
        };
        Ok(partitions.any(is_there).then_some(()))
    })
    .await
}

/// Waits until the sink has found so many documents as they were.
async fn read_again(sink: &Sink, count: u32) -> Result<()> {
    wait_until("the sink to have read all again", LIMIT, || async {
        // Not there yet while the sink starts.
        let unchanged = sink.metric("millrace_sink_documents_total", "unchanged").await;
        Ok((unchanged.unwrap_or(0.0) >= f64::from(count)).then_some(()))
    })
    .await
}

/// Waits until the documents of so many transactions and of each of these alerts are there, and no
/// others; by their id.
async fn documents_of(
    context: &TestContext,
    transactions: u32,
    alerts: &Alerts,
) -> Result<BTreeMap<String, Value>> {
    let wanted = [(INDEX, transactions as usize), (ANOMALIES, alerts.len())];
    let query = json!({ "size": 1_000 });
    wait_until(&format!("documents, {wanted:?}"), LIMIT, || async {
        let mut documents = BTreeMap::new();
        for (index, count) in wanted {
            let found = elastic::search(&context.settings, index, &query).await?;
            let Some(hits) = found["hits"]["hits"].as_array() else {
                return Ok(None);
            };
            ensure!(
                hits.len() <= count,
                "{} documents in {index}, of {count}",
                hits.len()
            );
            if hits.len() < count {
                return Ok(None);
            }
            let by_id = |hit: &Value| (hit["_id"].to_string(), hit["_source"].clone());
            documents.extend(hits.iter().map(by_id));
        }
        Ok(Some(documents))
    })
    .await
}
