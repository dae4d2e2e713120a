//! The topic of transactions is deleted and made anew, between runs of a job and under it: what
//! comes of the new log is neither lost nor doubled.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::{Service as Known, dead_letter, payments::topic};
use millrace_domain::codec::TransactionReader;
use millrace_kafka::clock::now_ms;
use millrace_lake_sink::store::Lake;
use millrace_lake_sink::verify as lake_verify;
use millrace_settings::LostPosition;
use millrace_tests::pipeline::{self, LIMIT, hasten};
use millrace_tests::service::Service;
use millrace_tests::sink::{self, Sink};
use millrace_tests::{TestContext, groups, sample, send, topics, wait_until};

use super::lost_groups::{self, DETECT, EACH, USERS, a_snapshot_of_all, alerts, pay};
use super::moved::{are_apart, make_anew};
use super::positions::refusal_of;
use super::rekeying::rekey;

const REKEY: &str = "millrace-rekey";
const LAKE: &str = "lake-sink";
const ANEW: &str = "the topic was made anew";

/// A detector that finds each user of a round.
fn prepare(context: &mut TestContext) {
    hasten(&mut context.settings);
    context.settings.snapshots.interval_ms = 500;
    let detector = &mut context.settings.detector;
    detector.worker.threads = 1;
    detector.rules.velocity.max_count = EACH - 2;
}

/// Waits until the detector has read all, and checks that there is an alert of each user of
/// so many rounds, once.
async fn each_alert_once(context: &TestContext, rounds: u32) -> Result<()> {
    groups::wait_until_at_the_end(&context.settings, DETECT, topic::TRANSACTIONS).await?;
    let found = alerts(context, rounds * USERS).await?;
    let doubled: Vec<_> = found.iter().filter(|(_, count)| **count != 1).collect();
    ensure!(doubled.is_empty(), "alerts that came again: {doubled:?}");
    Ok(())
}

/// Killed, a detector leaves its snapshots, and a control record of its start. The new log passes
/// the snapshots' offsets: it refuses all the same. Told to go on, it reads the new log whole.
pub(super) async fn a_killed_detector_begins_the_new_log(mut context: TestContext) -> Result<()> {
    prepare(&mut context);
    pipeline::init(&context).await?;
    let detector = lost_groups::start(&context, "detector").await?;
    pay(&context, 0).await?;
    each_alert_once(&context, 1).await?;
    a_snapshot_of_all(&context).await?;
    detector.kill()?;
    let killed_ms = now_ms();
    make_anew(&context).await?;
    are_apart(killed_ms).await?;
    pay(&context, 1).await?;
    pay(&context, 2).await?;

    let said = refusal_of(&context, "detector", "longer").await?;
    ensure!(said.contains(ANEW), "what has happened: {said}");
    context.settings.detector.worker.lost_position = LostPosition::Continue;
    let detector = lost_groups::start(&context, "goes-on").await?;
    each_alert_once(&context, 3).await?;
    detector.stop().await?;

    // It needs to be told so once.
    context.settings.detector.worker.lost_position = LostPosition::Stop;
    let detector = lost_groups::start(&context, "as-ever").await?;
    pay(&context, 3).await?;
    each_alert_once(&context, 4).await?;
    detector.stop().await
}

/// The topic goes from under a detector, and comes back with more records than it had read: told to
/// go on, it reads all of them; else, as where there are fewer, it ends and says what has happened.
pub(super) async fn a_running_detector_begins_the_new_log(mut context: TestContext) -> Result<()> {
    prepare(&mut context);
    context.settings.detector.worker.lost_position = LostPosition::Continue;
    pipeline::init(&context).await?;
    let detector = lost_groups::start(&context, "detector").await?;
    pay(&context, 0).await?;
    each_alert_once(&context, 1).await?;
    let read_ms = now_ms();
    make_anew(&context).await?;
    are_apart(read_ms).await?;
    pay(&context, 1).await?;
    pay(&context, 2).await?;
    each_alert_once(&context, 3).await?;
    detector.stop().await?;

    context.settings.detector.worker.lost_position = LostPosition::Stop;
    let mut detector = lost_groups::start(&context, "stops").await?;
    let read_ms = now_ms();
    make_anew(&context).await?;
    are_apart(read_ms).await?;
    pay(&context, 3).await?;
    detector.fail(LIMIT).await?;
    let said = detector.output();
    ensure!(said.contains(ANEW), "what has happened: {said}");
    context.settings.detector.worker.lost_position = LostPosition::Continue;
    let detector = lost_groups::start(&context, "goes-on").await?;
    each_alert_once(&context, 4).await?;
    detector.stop().await
}

/// Each record of either log is rekeyed, once.
pub(super) async fn the_rekeying_job_begins_the_new_log(mut context: TestContext) -> Result<()> {
    hasten(&mut context.settings);
    rekey(&mut context);
    context.settings.rekey.worker.threads = 1;
    pipeline::init(&context).await?;
    let mut job = start_rekeying(&context, "rekey").await?;
    transactions(&context, 0..100)?;
    groups::wait_until_read(&context.settings, REKEY, topic::TRANSACTIONS).await?;
    job.is_running()?;
    job.kill()?;
    let killed_ms = now_ms();
    make_anew(&context).await?;
    are_apart(killed_ms).await?;
    transactions(&context, 100..300)?;
    let said = refusal_of(&context, "rekey", "longer").await?;
    ensure!(said.contains(ANEW), "what has happened: {said}");

    context.settings.rekey.worker.lost_position = LostPosition::Continue;
    let job = start_rekeying(&context, "goes-on").await?;
    are_rekeyed(&context, 300).await?;
    // And under it.
    make_anew(&context).await?;
    transactions(&context, 300..310)?;
    are_rekeyed(&context, 310).await?;
    job.stop().await?;
    let letters = topics::read(&context.settings, &dead_letter(topic::TRANSACTIONS)).await?;
    ensure!(letters.is_empty(), "{letters:?}");
    Ok(())
}

/// The lake's files are of the old log, and have the offsets of the new one: nothing is passed over
/// as if it were in them. With a folder of its own, each record of the new log has a row.
pub(super) async fn the_lake_passes_over_no_new_log(mut context: TestContext) -> Result<()> {
    context.settings.lake_sink.enabled = true;
    context.settings.lake_sink.max_age_ms = 200;
    let (group, port) = (Known::LakeSink.group(), context.settings.lake_sink.metrics_port);
    pipeline::init(&context).await?;
    let mut sink = Service::start(&context, LAKE, &["service", LAKE])?;
    sink.ready(port).await?;
    transactions(&context, 0..100)?;
    groups::wait_until_read(&context.settings, &group, topic::TRANSACTIONS).await?;
    sink.stop().await?;
    let stopped_ms = now_ms();
    make_anew(&context).await?;
    are_apart(stopped_ms).await?;
    transactions(&context, 100..140)?;

    let sink = Service::start(&context, LAKE, &["service", LAKE])?;
    wait_until("the lake to say that it takes nothing", LIMIT, || async {
        let Ok(answer) = reqwest::get(format!("http://127.0.0.1:{port}/health/ready")).await else {
            return Ok(None);
        };
        let is_ready = answer.status().is_success();
        let said = answer.text().await?;
        let is_told = said.contains(ANEW) && said.contains("lake_sink.url");
        Ok((!is_ready && is_told).then_some(()))
    })
    .await
    .with_context(|| sink.output())?;
    sink.kill()?;

    context.settings.lake_sink.url = context.path("another-lake");
    let mut sink = Service::start(&context, LAKE, &["service", LAKE])?;
    sink.ready(port).await?;
    groups::wait_until_at_the_end(&context.settings, &group, topic::TRANSACTIONS).await?;
    let lake = Lake::open(&context.settings.lake_sink)?;
    let found = lake_verify::verify(&context.settings, &lake).await?;
    let rows = found.first().context("the transactions")?;
    ensure!(rows.is_well() && rows.rows == 40, "{rows:?}");
    sink.stop().await
}

/// Between its runs: documents of both logs, and none twice.
pub(super) async fn elasticsearch_has_both_logs(mut context: TestContext) -> Result<()> {
    sink::prepare(&mut context.settings);
    let group = Known::ElasticSink.group();
    let sink = Sink::start(&context).await?;
    transactions(&context, 0..100)?;
    groups::wait_until_read(&context.settings, &group, topic::TRANSACTIONS).await?;
    sink.stop().await?;
    for (first, last) in [(100, 125), (125, 300)] {
        make_anew(&context).await?;
        transactions(&context, first..last)?;
        let sink = Sink::again(&context)?;
        groups::wait_until_at_the_end(&context.settings, &group, topic::TRANSACTIONS).await?;
        sink.stop().await?;
        sink::indexed(&context.settings, "*", u64::from(last)).await?;
    }
    let letters = topics::read(&context.settings, &dead_letter(topic::TRANSACTIONS)).await?;
    ensure!(letters.is_empty(), "{letters:?}");
    Ok(())
}

async fn start_rekeying(context: &TestContext, name: &str) -> Result<Service> {
    let mut job = Service::start(context, name, &["service", "rekey"])?;
    job.ready(context.settings.rekey.metrics_port).await?;
    Ok(job)
}

fn transactions(context: &TestContext, numbers: std::ops::Range<u32>) -> Result<()> {
    let (kafka, time_ms) = (&context.settings.kafka, now_ms());
    let producer = send::producer(kafka, &[])?;
    let payments = numbers.map(|number| sample::transaction(number, time_ms));
    send::send(&producer, kafka, payments, None, None)?;
    send::flush(&producer)
}

/// Waits until the first so many transactions are rekeyed, and checks that each is once.
async fn are_rekeyed(context: &TestContext, count: u32) -> Result<()> {
    let settings = &context.settings;
    groups::wait_until_at_the_end(settings, REKEY, topic::TRANSACTIONS).await?;
    topics::wait_for_records(settings, topic::KEYED, count as usize).await?;
    let records = topics::read(settings, topic::KEYED).await?;
    let reader = TransactionReader::new(pipeline::schemas(context));
    let found = tokio::task::spawn_blocking(move || {
        let mut found: BTreeMap<_, u32> = BTreeMap::new();
        for record in &records {
            *found
                .entry(reader.read(&record.payload)?.transaction_id)
                .or_default() += 1;
        }
        anyhow::Ok(found)
    })
    .await??;
    let expected: BTreeMap<_, u32> = (0..count)
        .map(|number| (sample::transaction(number, 0).transaction_id, 1))
        .collect();
    ensure!(
        found == expected,
        "{} of {count} are rekeyed: {found:?}",
        found.len()
    );
    Ok(())
}
