//! Early results, through the whole pipeline.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use millrace_catalog::payments::topic;
use millrace_domain::codec::AggregateReader;
use millrace_settings::Emit;
use millrace_tests::checks::{check_aggregates, check_undisturbed};
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, elastic, topics, wait_until};
use serde_json::json;

const COUNT: u64 = 60_000;

/// With results every second of a window of ten, and the aggregator killed in the middle: early
/// results reach Elasticsearch, they only grow, and what stays is the final results, which are the
/// naive sums to the cent.
pub(super) async fn results_grow_to_the_final_sums(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    settings.producer.duplicate_share = 0.01;
    settings.producer.disorder_share = 0.05;
    settings.producer.malformed_share = 0.005;
    settings.producer.users = 20_000;
    settings.producer.merchants = 200;
    settings.aggregator.window_ms = 10_000;
    settings.aggregator.allowed_lateness_ms = 2_000;
    settings.aggregator.emit = Emit::Every { seconds: 1 };
    settings.aggregator.worker.idle_timeout_ms = 3_000;
    let mut pipeline = Pipeline::start(&context).await?;
    let count = COUNT.to_string();
    let arguments = ["service", "producer", "--count", &count, "--rate", "2000"];
    let mut producer = Service::start(&context, "producer", &arguments)?;
    wait_until("an early result in Elasticsearch", LIMIT, || async {
        Ok((early_documents(&context).await? > 0).then_some(()))
    })
    .await?;
    topics::wait_for_records(&context.settings, topic::TRANSACTIONS, 25_000).await?;
    pipeline.crash(&context, "aggregator").await?;
    producer.succeed(LIMIT).await?;

    pipeline::verify(&context).await?;
    let expected = check_aggregates(&context, COUNT).await?;
    check_undisturbed(&context).await?;
    check_growth(&context).await?;
    let documents = elastic::count(&context.settings, "millrace-aggregates").await?;
    ensure!(
        documents == Some(expected.aggregates.len() as u64),
        "{documents:?} documents of {} aggregates",
        expected.aggregates.len()
    );
    let early = early_documents(&context).await?;
    ensure!(early == 0, "{early} early results are left in Elasticsearch");
    pipeline.stop().await
}

async fn early_documents(context: &TestContext) -> Result<u64> {
    let query = json!({"size": 0, "track_total_hits": true, "query": {"range": {"revision": {"lt": 0}}}});
    let found = elastic::search(&context.settings, "millrace-aggregates", &query).await?;
    Ok(found["hits"]["total"]["value"].as_u64().unwrap_or_default())
}

/// In the log, revisions rise and nothing shrinks, up to a final result; all but a twentieth of
/// those had an early one, but for the last window's: silence closes it, as fast as the clock goes,
/// and a machine that stood still for that long comes to its end at once.
async fn check_growth(context: &TestContext) -> Result<()> {
    let records = topics::read(&context.settings, topic::AGGREGATES).await?;
    let reader = AggregateReader::new(pipeline::schemas(context));
    tokio::task::spawn_blocking(move || {
        let mut newest = BTreeMap::new();
        let (mut early, mut after_early) = (0, Vec::new());
        for record in &records {
            let next = reader.read(&record.payload)?;
            let key = (next.window_start_ms, next.merchant_id, next.currency);
            early += usize::from(!next.is_final());
            let Some(last) = newest.insert(key, next) else {
                continue;
            };
            let (before, after) = (&last.totals, &next.totals);
            ensure!(last.revision < next.revision, "{last:?}, then {next:?}");
            ensure!(
                before.purchase_count <= after.purchase_count
                    && before.purchase_sum <= after.purchase_sum
                    && before.refund_count <= after.refund_count
                    && before.refund_sum <= after.refund_sum
                    && before.min_amount >= after.min_amount
                    && before.max_amount <= after.max_amount
                    && last.distinct_users <= next.distinct_users,
                "{last:?}, then {next:?}"
            );
            if next.is_final() {
                after_early.push(next.window_start_ms);
            }
        }
        let last_ms = newest.keys().map(|(start_ms, ..)| *start_ms).max();
        let is_before = |start_ms: &&i64| Some(**start_ms) < last_ms;
        let starts = newest.keys().map(|(start_ms, ..)| start_ms);
        let (all, grown) = (
            starts.filter(is_before).count(),
            after_early.iter().filter(is_before).count(),
        );
        eprintln!(
            "early: {early} early results, {} of {} final ones after one, before the last window {grown} of {all}",
            after_early.len(),
            newest.len()
        );
        ensure!(
            newest.values().all(millrace_domain::MerchantAggregate::is_final),
            "each early result is followed by a final one"
        );
        // The watermark comes second by second, but for an idle partition's, which may come to a
        // window's end at once.
        ensure!(
            all > 0 && grown * 100 >= all * 95,
            "{grown} of {all} had an early result"
        );
        Ok(())
    })
    .await?
}
