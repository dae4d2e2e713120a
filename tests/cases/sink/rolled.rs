//! An administrator's alias in a month's place that is rolled over.

use anyhow::{Result, ensure};
use millrace_domain::MerchantAggregate;
use millrace_tests::TestContext;
use millrace_tests::results::{minute, send_minutes};
use millrace_tests::sink::{self, MINUTES, Sink, indexed_in, must};
use reqwest::Method;
use serde_json::json;

use super::{month, now_ms};

/// Every document is behind the alias once, whatever is read again or corrected: it stays in the
/// index that has it, and is corrected there. That index may take no more writes, as long as
/// nothing in it changes.
pub(in crate::cases) async fn a_rolled_over_alias_doubles_nothing(mut context: TestContext) -> Result<()> {
    sink::prepare(&mut context.settings);
    let settings = &context.settings;
    let now = now_ms()?;
    let start_ms = now - now.rem_euclid(60_000);
    let current = month(start_ms)?;
    let [first, second] = ["000001", "000002"].map(|number| format!("{current}-{number}"));
    let alias = format!("{}{MINUTES}-{current}", settings.elasticsearch.index_prefix);
    let mut sink = Sink::start(&context).await?;
    let body = json!({ "aliases": { &alias: { "is_write_index": true } } });
    must(settings, Method::PUT, &format!("{MINUTES}-{first}"), Some(&body)).await?;

    let final_ones =
        |numbers: std::ops::Range<u32>| numbers.map(move |number| minute(number, start_ms, 10_0000));
    let early = (0..5).map(|number| {
        Ok(MerchantAggregate {
            revision: MerchantAggregate::FINAL - 1,
            ..minute(number, start_ms, 5_0000)?
        })
    });
    send_minutes(&context, early.chain(final_ones(5..50))).await?;
    indexed_in(settings, MINUTES, &first, 50).await?;
    must(
        settings,
        Method::POST,
        &format!("{MINUTES}-{current}/_rollover"),
        None,
    )
    .await?;

    // Five are corrected, the others are read again, and ten are new.
    send_minutes(&context, final_ones(0..60)).await?;
    indexed_in(settings, MINUTES, &second, 10).await?;
    indexed_in(settings, MINUTES, &first, 50).await?;
    let query = json!({ "query": { "term": { "purchaseSumUnits": 10_0000 } }, "track_total_hits": true });
    let path = format!("{MINUTES}-{current}/_search");
    let found = must(settings, Method::POST, &path, Some(&query)).await?;
    let corrected = &found["hits"]["total"]["value"];
    ensure!(*corrected == 60, "{corrected} of 60 have the final sum");

    let blocked = json!({ "index.blocks.write": true });
    must(
        settings,
        Method::PUT,
        &format!("{MINUTES}-{first}/_settings"),
        Some(&blocked),
    )
    .await?;
    sink.stop().await?;
    sink = Sink::again(&context)?;
    send_minutes(&context, final_ones(0..61)).await?;
    indexed_in(settings, MINUTES, &second, 11).await?;
    indexed_in(settings, MINUTES, &current, 61).await?;
    sink.ready().await?;
    let unchanged = sink.metric("millrace_sink_documents_total", "unchanged").await?;
    ensure!(unchanged >= 60.0, "{unchanged} were there already");
    sink.stop().await
}
