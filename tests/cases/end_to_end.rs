//! The whole pipeline: every service as a process, against the real stack.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result, ensure};
use millrace_catalog::payments::topic;
use millrace_domain::TransactionId;
use millrace_domain::codec::{AnomalyReader, LabelReader};
use millrace_tests::checks::{check_aggregates, check_undisturbed};
use millrace_tests::oracle::Expected;
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::{Service, Simulated};
use millrace_tests::topics;
use millrace_tests::{TestContext, elastic, wait_until};

/// Transactions the producer makes.
const COUNT: u64 = 200_000;

/// Sends 200,000 transactions with duplicates, disorder, malformed records and fraud; checks every
/// sum, every dead letter and every document.
pub(super) async fn sums_to_the_cent(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    settings.producer.duplicate_share = 0.01;
    settings.producer.disorder_share = 0.05;
    settings.producer.malformed_share = 0.005;
    settings.producer.fraud_share = 0.002;
    settings.producer.users = 20_000;
    settings.producer.merchants = 500;
    settings.elastic_sink.transaction_share = 1.0;
    settings.aggregator.window_ms = 10_000;
    settings.aggregator.worker.idle_timeout_ms = 3_000;

    let pipeline = Pipeline::start(&context).await?;
    // Four minutes of event time, as fast as it goes: an outlier needs a user with a past.
    let stream = Simulated {
        count: COUNT,
        rate_per_s: 0,
        start_time_ms: i64::try_from(now_ms()?)? - 600_000,
        event_rate_per_s: 800,
    };
    let producer = Service::start_simulated(&context, &stream);
    producer?.succeed(LIMIT).await?;

    // Verification waits for the windows to close, and compares with the producer's own ledger.
    pipeline::verify(&context).await?;
    let expected = check_aggregates(&context, COUNT).await?;
    check_undisturbed(&context).await?;
    check_anomalies(&context).await?;
    check_documents(&context, &expected).await?;
    check_dashboard(&context).await?;
    pipeline.stop().await
}

fn now_ms() -> Result<u128> {
    Ok(std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_millis())
}

/// What each rule finds of the transactions that were injected for it. A burst is found when it is
/// complete enough, and the evidence of its anomaly are those of its span that are kept: three
/// quarters of it. The others are single transactions; of habits and journeys one may be cut short,
/// of copies none.
const LEAST_SHARES: [(&str, f64); 4] = [
    ("velocity", 0.65),
    ("amount_outlier", 0.9),
    ("impossible_travel", 0.9),
    ("replay", 1.0),
];

/// No anomaly twice; each rule finds its share of what was injected for it.
async fn check_anomalies(context: &TestContext) -> Result<()> {
    let anomalies = topics::read(&context.settings, topic::ANOMALIES).await?;
    let labels = topics::read(&context.settings, topic::FRAUD_LABELS).await?;
    let fetcher = pipeline::schemas(context);
    tokio::task::spawn_blocking(move || {
        let (reader, mut ids) = (AnomalyReader::new(fetcher.clone()), HashSet::new());
        let mut found: BTreeMap<String, HashSet<TransactionId>> = BTreeMap::new();
        for record in &anomalies {
            let anomaly = reader.read(&record.payload)?;
            ensure!(
                record.key.as_deref() == Some(anomaly.entity.text().as_bytes()),
                "the key is the entity: {anomaly:?}"
            );
            ensure!(
                ids.insert(anomaly.id),
                "the anomaly {} is there twice",
                anomaly.id
            );
            found
                .entry(anomaly.rule)
                .or_default()
                .extend(anomaly.transaction_ids);
        }
        let reader = LabelReader::new(fetcher);
        let mut injected: BTreeMap<String, Vec<TransactionId>> = BTreeMap::new();
        for record in &labels {
            let label = reader.read(&record.payload)?;
            injected.entry(label.rule).or_default().push(label.transaction_id);
        }
        for (rule, least_share) in LEAST_SHARES {
            let injected = injected
                .get(rule)
                .with_context(|| format!("nothing was injected for {rule}"))?;
            let none = HashSet::new();
            let found = found.get(rule).unwrap_or(&none);
            let hits = injected.iter().filter(|id| found.contains(id)).count();
            eprintln!(
                "end_to_end: {rule}: {hits} of {} labelled transactions are evidence",
                injected.len()
            );
            let share = hits as f64 / injected.len() as f64;
            ensure!(share >= least_share, "{rule} found {hits} of {}", injected.len());
        }
        Ok(())
    })
    .await?
}

/// As many documents as there are results, with the same sums.
async fn check_documents(context: &TestContext, expected: &Expected) -> Result<()> {
    let anomalies = topics::read(&context.settings, topic::ANOMALIES).await?.len() as u64;
    let aggregates = expected.aggregates.len() as u64;
    let transactions = expected.transactions.len() as u64;
    for (index, wanted) in [
        ("millrace-aggregates", aggregates),
        ("millrace-anomalies", anomalies),
        ("millrace-transactions", transactions),
    ] {
        wait_until(&format!("{wanted} documents in {index}"), LIMIT, || async {
            let Some(count) = elastic::count(&context.settings, index).await? else {
                return Ok(None);
            };
            ensure!(
                count <= wanted,
                "{count} documents in {index}, more than {wanted}"
            );
            Ok((count == wanted).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Every query of the Kibana dashboard runs and finds something.
async fn check_dashboard(context: &TestContext) -> Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../kibana/queries");
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let query: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        let index = query["index"].as_str().and_then(|index| index.strip_suffix("-*"));
        let index = index.with_context(|| format!("{} names no index", path.display()))?;
        let mut body = query["body"].clone();
        body["track_total_hits"] = true.into();
        let found = elastic::search(&context.settings, index, &body).await?;
        let hits = found["hits"]["total"]["value"].as_u64().unwrap_or_default();
        ensure!(hits > 0, "{} finds nothing: {found}", path.display());
    }
    Ok(())
}
