//! Users, merchants and places of up to 64 bytes, from the topic to Elasticsearch and over a kill:
//! by their full texts, as nothing else tells whether they came back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::payments::topic;
use millrace_domain::codec::{AggregateReader, AnomalyReader};
use millrace_domain::{ShortId, Transaction};
use millrace_settings::Settings;
use millrace_tests::checks::check_undisturbed;
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::{TestContext, elastic, sample, send, topics, wait_until};
use serde_json::{Value, json};

const WINDOW_MS: i64 = 20_000;
/// Payments before the kill, and as many after it.
const HALF: u32 = 1_200;
/// Of event time between two payments. The first window's are all sent before the kill, and its
/// end is passed after it.
const STEP_MS: i64 = 20;
/// Two of these are one in their first twelve bytes, and two in their first 35.
const MERCHANTS: [&str; 6] = [
    "m-1",
    "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11",
    "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a12",
    "123456789012345",
    "Bäckerei zur Mühle, Königstraße 5",
    "ééééééééééééééééééééééééééééééé64",
];
/// A listed city, one of GeoNames of more than twelve bytes, and one that is in no table.
const PLACES: [&str; 4] = [
    "London",
    "Ciudad Nezahualcoyotl",
    "  SÃO   PAULO  ",
    "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch",
];

/// Users: short ones, UUIDs that differ in the last digits, and 64 bytes with accents.
fn user(number: u32) -> String {
    match number % 3 {
        0 => format!("u-{number}"),
        1 => format!("01890a5d-ac96-774b-bcce-b302099a{number:04}"),
        _ => format!("{}{number:04}", "ü".repeat(30)),
    }
}

fn id(text: &str) -> Result<ShortId> {
    Ok(ShortId::new(text, "test")?)
}

/// The payment `number`: each user pays seldom, in one place.
fn payment(number: u32, start_ms: i64) -> Result<Transaction> {
    let at = number % 240;
    Ok(Transaction {
        user_id: id(&user(at))?,
        merchant_id: id(MERCHANTS[(number / 7) as usize % MERCHANTS.len()])?,
        location: id(PLACES[at as usize % PLACES.len()])?,
        ..sample::transaction(number, start_ms + i64::from(number) * STEP_MS)
    })
}

/// A payment in London of somebody who was in Mexico a few seconds before.
fn journey(who: u32, start_ms: i64) -> Result<Transaction> {
    Ok(Transaction {
        user_id: id(&user(who))?,
        location: id(PLACES[0])?,
        ..payment(2 * HALF + who, start_ms)?
    })
}

/// Window start and merchant: count, sum in units, users.
type Sums = BTreeMap<(i64, String), (u64, i128, BTreeSet<String>)>;

fn add(sums: &mut Sums, sent: &Transaction) {
    let start_ms = sent.transaction_time_ms.div_euclid(WINDOW_MS) * WINDOW_MS;
    let (count, units, users) = sums.entry((start_ms, sent.merchant_id.to_string())).or_default();
    *count += 1;
    *units += i128::from(sent.amount.units());
    users.insert(sent.user_id.to_string());
}

fn set(settings: &mut Settings) {
    settings.aggregator.window_ms = WINDOW_MS;
    settings.snapshots.interval_ms = 500;
    settings.elastic_sink.transaction_share = 1.0;
    for worker in [&mut settings.aggregator.worker, &mut settings.detector.worker] {
        // Nothing closes a window but records, as long as one of the jobs may be down.
        worker.idle_timeout_ms = 600_000;
        worker.threads = 1;
        worker.commit_interval_ms = 400;
    }
}

/// All of the first window is sent before a kill, and its end is passed after it, when only a
/// snapshot has its merchants' texts: each sum, each anomaly and each document names its ids in
/// full.
pub(super) async fn come_back_in_full(mut context: TestContext) -> Result<()> {
    set(&mut context.settings);
    let mut pipeline = Pipeline::start(&context).await?;
    let now_ms = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let start_ms = now_ms.div_euclid(WINDOW_MS) * WINDOW_MS - 6 * WINDOW_MS;
    // One of each kind of id, all of them in Mexico.
    let travellers = [1, 5, 9];
    let mut sums = Sums::new();
    let mut send = |numbers: std::ops::Range<u32>, last: &[u32]| -> Result<()> {
        let payments = numbers.map(|number| payment(number, start_ms));
        let journeys = last.iter().map(|who| journey(*who, start_ms));
        let sent = payments.chain(journeys).collect::<Result<Vec<_>>>()?;
        sent.iter().for_each(|sent| add(&mut sums, sent));
        let producer = send::producer(&context.settings.kafka, &[])?;
        send::send(&producer, &context.settings.kafka, sent, None, None)?;
        send::flush(&producer)
    };
    let before = SystemTime::now();
    send(0..HALF, &[])?;
    wait_for_snapshots(&context, &pipeline, before).await?;
    crash(&context, &mut pipeline).await?;
    send(HALF..2 * HALF, &travellers)?;
    check_texts_are_counted(&pipeline).await?;
    // Silence closes the last windows.
    for worker in [
        &mut context.settings.aggregator.worker,
        &mut context.settings.detector.worker,
    ] {
        worker.idle_timeout_ms = 3_000;
    }
    crash(&context, &mut pipeline).await?;
    let travellers = travellers.map(user);
    let found = wait_for_results(&context, &sums).await?;
    check_anomalies(&context, &travellers).await?;
    check_undisturbed(&context).await?;
    check_documents(&context, &sums, found, &travellers).await?;
    pipeline.stop().await
}

/// Waits until aggregator and detector have read the first half, and have a snapshot of each
/// partition.
async fn wait_for_snapshots(context: &TestContext, pipeline: &Pipeline, since: SystemTime) -> Result<()> {
    for (service, job) in [("aggregator", "aggregate-partial"), ("detector", "detect")] {
        wait_until(&format!("{job} to have read the first half"), LIMIT, || async {
            let read = pipeline
                .metric(service, "millrace_records_consumed_total", Some(job))
                .await?;
            Ok((read >= f64::from(HALF)).then_some(()))
        })
        .await?;
        let folder = format!("{}{job}", context.settings.kafka.topic_prefix);
        let folder = context.settings.snapshots.url.join(folder);
        wait_until(&format!("snapshots of {job}"), LIMIT, || async {
            let mut newer = 0;
            for partition in std::fs::read_dir(&folder).into_iter().flatten() {
                let files = std::fs::read_dir(partition?.path())?;
                let times = files.map(|file| anyhow::Ok(file?.metadata()?.modified()?));
                newer += u32::from(times.flatten().any(|time| time > since));
            }
            Ok((newer == 5).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Kills aggregator and detector and starts them again, which restores snapshots.
async fn crash(context: &TestContext, pipeline: &mut Pipeline) -> Result<()> {
    for service in ["aggregator", "detector"] {
        pipeline.crash(context, service).await?;
        let log = pipeline.output(service)?;
        let restored = |line: &str| line.contains("partition restored") && line.contains("\"snapshot\":");
        ensure!(log.lines().any(restored), "{service} restored no snapshot");
    }
    Ok(())
}

/// The five merchants of more than twelve bytes, at least, while a window has them.
async fn check_texts_are_counted(pipeline: &Pipeline) -> Result<()> {
    wait_until("the texts that the aggregator keeps", LIMIT, || async {
        let count = pipeline.metric("aggregator", "millrace_id_texts", None).await?;
        let bytes = pipeline
            .metric("aggregator", "millrace_id_text_bytes", None)
            .await?;
        Ok((count >= 5.0 && bytes >= 13.0 * count && bytes <= 64.0 * count).then_some(()))
    })
    .await
}

/// Waits until every window has its result; gives their number.
async fn wait_for_results(context: &TestContext, sums: &Sums) -> Result<usize> {
    // The journeys are the last: nothing else closes their window but silence.
    wait_until("each result in full", LIMIT, || async {
        let results = topics::read(&context.settings, topic::AGGREGATES).await?;
        let reader = AggregateReader::new(pipeline::schemas(context));
        let found = tokio::task::spawn_blocking(move || {
            let mut found = BTreeMap::new();
            for record in &results {
                let result = reader.read(&record.payload)?;
                let merchant = result.merchant_id.to_string();
                ensure!(
                    record.key.as_deref() == Some(merchant.as_bytes()),
                    "{record:?} is of {merchant}"
                );
                let sum = (
                    result.totals.purchase_count,
                    result.totals.purchase_sum.units(),
                    result.distinct_users,
                );
                let before = found.insert((result.window_start_ms, merchant), sum);
                ensure!(before.is_none(), "two results: {result:?}");
            }
            anyhow::Ok(found)
        })
        .await??;
        if found.len() < sums.len() {
            return Ok(None);
        }
        let expected: BTreeMap<_, _> = sums
            .iter()
            .map(|(key, (count, units, users))| (key.clone(), (*count, *units, users.len() as u64)))
            .collect();
        ensure!(found == expected, "found {found:?}, expected {expected:?}");
        Ok(Some(found.len()))
    })
    .await
}

/// Each traveller once, by the full name.
async fn check_anomalies(context: &TestContext, travellers: &[String]) -> Result<()> {
    wait_until("the journeys", LIMIT, || async {
        let records = topics::read(&context.settings, topic::ANOMALIES).await?;
        let reader = AnomalyReader::new(pipeline::schemas(context));
        let mut found = tokio::task::spawn_blocking(move || {
            let mut found = Vec::new();
            for record in &records {
                let anomaly = reader.read(&record.payload)?;
                let entity = anomaly.entity.to_string();
                ensure!(record.key.as_deref() == Some(entity.as_bytes()), "{record:?}");
                if anomaly.rule == "impossible_travel" {
                    found.push(entity);
                }
            }
            anyhow::Ok(found)
        })
        .await??;
        if found.len() < travellers.len() {
            return Ok(None);
        }
        found.sort();
        let mut expected = travellers.to_vec();
        expected.sort();
        ensure!(found == expected, "found {found:?}, expected {expected:?}");
        Ok(Some(()))
    })
    .await
}

async fn check_documents(
    context: &TestContext,
    sums: &Sums,
    results: usize,
    travellers: &[String],
) -> Result<()> {
    let settings = &context.settings;
    let transactions = 2 * u64::from(HALF) + travellers.len() as u64;
    for (index, wanted) in [
        ("millrace-aggregates", results as u64),
        ("millrace-transactions", transactions),
    ] {
        wait_until(&format!("{wanted} documents in {index}"), LIMIT, || async {
            let count = elastic::count(settings, index).await?;
            Ok(count.filter(|count| *count >= wanted).map(drop))
        })
        .await?;
        let count = elastic::count(settings, index).await?;
        ensure!(count == Some(wanted), "{count:?} documents in {index}");
    }
    for merchant in MERCHANTS {
        let of_merchant = sums.iter().filter(|((_, name), _)| name == merchant);
        let wanted: u64 = of_merchant.map(|(_, (count, ..))| count).sum();
        let body = json!({
            "size": 0,
            "query": {"term": {"merchantId": merchant}},
            "aggs": {"count": {"sum": {"field": "purchaseCount"}}},
        });
        let found = elastic::search(settings, "millrace-aggregates", &body).await?;
        let sum = found["aggregations"]["count"]["value"].as_f64();
        ensure!(sum == Some(wanted as f64), "{merchant}: {sum:?} of {wanted}");
    }
    for traveller in travellers {
        let journeys = json!({"bool": {"filter": [
            {"term": {"entity": traveller}},
            {"term": {"rule": "impossible_travel"}},
        ]}});
        wait_until(&format!("the journey of {traveller}"), LIMIT, || async {
            let Some(count) = hits(settings, "millrace-anomalies", journeys.clone()).await? else {
                return Ok(None);
            };
            ensure!(count <= 1, "{count} journeys of {traveller}");
            Ok((count == 1).then_some(()))
        })
        .await?;
        let payments = hits(
            settings,
            "millrace-transactions",
            json!({"term": {"userId": traveller}}),
        )
        .await?;
        ensure!(payments >= Some(2), "{payments:?} payments of {traveller}");
    }
    for place in PLACES {
        let payments = hits(
            settings,
            "millrace-transactions",
            json!({"term": {"location": place}}),
        )
        .await?;
        let least = Some(u64::from(HALF) / 2);
        ensure!(payments >= least, "{payments:?} payments in {place}");
    }
    Ok(())
}

/// How many documents a query finds; `None` while an index just made has no shard that can be
/// searched.
async fn hits(settings: &Settings, index: &str, query: Value) -> Result<Option<u64>> {
    let body = json!({"size": 0, "track_total_hits": true, "query": query});
    let found = elastic::search(settings, index, &body).await?;
    if found["status"] == 503 {
        return Ok(None);
    }
    let total = found["hits"]["total"]["value"].as_u64();
    Ok(Some(total.with_context(|| {
        format!("an answer without a total: {found}")
    })?))
}
