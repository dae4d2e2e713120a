//! Dead letters that are sent again.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use futures::executor::block_on;
use millrace_catalog::{dead_letter, payments::topic};
use millrace_kafka::topic_name;
use millrace_tests::pipeline::{self, LIMIT};
use millrace_tests::service::Service;
use millrace_tests::topics::{self, Record};
use millrace_tests::{TestContext, wait_until};
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use super::{SMALL_LIMIT, Writer, admin, letters, limit_topic, noise};

/// Runs `millrace dlq ARGUMENTS… --json`; what it says.
pub(in crate::cases) async fn dlq(
    context: &TestContext,
    name: &str,
    arguments: &[&str],
    fails: bool,
) -> Result<Value> {
    let mut service = Service::start(context, name, &[&["dlq"], arguments, &["--json"]].concat())?;
    match fails {
        true => service.fail(LIMIT).await?,
        false => service.succeed(LIMIT).await?,
    }
    let output = service.output();
    // A line of the log may come before, and none begins so.
    let mut lines = output.split_inclusive('\n');
    let before: usize = (lines.by_ref())
        .take_while(|line| !line.starts_with(['{', '[']))
        .map(str::len)
        .sum();
    let value = serde_json::Deserializer::from_str(&output[before..])
        .into_iter()
        .next();
    Ok(value.with_context(|| output.clone())??)
}

pub(in crate::cases) fn sent(report: &Value) -> u64 {
    let codes = report["sent"].as_object().into_iter().flatten();
    codes.filter_map(|(_, count)| count.as_u64()).sum()
}

/// Letters are sent again each once, whatever is asked for and killed between; those that were cut
/// are sent whole, or refused by name.
pub(in crate::cases) async fn are_replayed_once(context: TestContext) -> Result<()> {
    const COUNT: usize = 200;
    pipeline::init(&context).await?;
    let (source, dead) = (topic::TRANSACTIONS, dead_letter(topic::TRANSACTIONS));
    limit_topic(&context, &dead, SMALL_LIMIT).await?;
    let writer = Writer::new(&context)?;
    let mut aggregator = Service::start(&context, "aggregator", &["service", "aggregator"])?;
    aggregator.ready(context.settings.aggregator.metrics_port).await?;
    let own: [(&str, Option<&[u8]>); 2] = [("tenant", Some(b"acme")), ("error", Some(b"theirs"))];
    let values: Vec<(String, String)> = (0..COUNT)
        .map(|n| (format!("u-{n}"), format!("bad-{n}")))
        .collect();
    let sending = values
        .iter()
        .map(|(key, value)| writer.send(source, key, value.as_bytes(), &own));
    futures::future::try_join_all(sending).await?;
    writer.send(source, "u-large", &noise(300_000), &own).await?;
    let all = COUNT + 1;
    let found = letters(&context, &dead, all).await?;
    ensure!(
        found.iter().filter(|it| it.header("truncated").is_some()).count() == 1,
        "one is cut"
    );
    aggregator.stop().await?;

    let dry = dlq(&context, "dry", &["replay", "--dry-run"], false).await?;
    ensure!(sent(&dry) == all as u64, "{dry}");
    ensure!(replayed(&context).await?.is_empty(), "a dry run sends nothing");
    let killed = Service::start(&context, "killed", &["dlq", "replay", "--batch", "1"])?;
    wait_until("the first that are sent", LIMIT, || async {
        Ok((replayed(&context).await?.len() > 2).then_some(()))
    })
    .await?;
    // If it has ended by then, the rest of the test holds all the same.
    drop(killed);
    let part = dlq(&context, "part", &["replay", "--source-partition", "3"], false).await?;
    let rest = dlq(&context, "rest", &["replay"], false).await?;
    ensure!(sent(&part) + sent(&rest) <= all as u64, "{part} {rest}");
    let again = dlq(&context, "again", &["replay"], false).await?;
    ensure!(sent(&again) == 0 && again["sent_before"] == json!(all), "{again}");

    let originals = topics::read(&context.settings, source).await?;
    let of_key: BTreeMap<_, _> = originals
        .iter()
        .filter(|record| record.header("replayed.from").is_none())
        .map(|record| (record.key.clone(), record))
        .collect();
    let copies = replayed(&context).await?;
    ensure!(copies.len() == all, "{} of {all} were sent", copies.len());
    let mut keys = BTreeSet::new();
    for copy in &copies {
        let original = of_key.get(&copy.key).context("what was sent before")?;
        ensure!(keys.insert(&copy.key), "{:?} twice", copy.key);
        ensure!(
            copy.payload == original.payload && copy.partition == original.partition,
            "{copy:?}"
        );
        let (last, headers) = copy.headers.split_last().context("headers")?;
        ensure!(
            last.0 == "replayed.from" && headers == original.headers,
            "{headers:?}"
        );
    }
    let listed = dlq(&context, "list", &["list", "--limit", "1000"], false).await?;
    let listed = listed["letters"].as_array().context("letters")?;
    ensure!(
        listed.iter().all(|letter| letter["replayed"] == json!(true)),
        "{listed:?}"
    );
    let shown = dlq(&context, "show", &["show", "--limit", "1"], false).await?;
    ensure!(shown[0]["value"]["form"] == "text", "{shown}");
    refuses_what_is_gone(&context, &writer).await
}

/// A letter that was cut, whose source is deleted.
async fn refuses_what_is_gone(context: &TestContext, writer: &Writer) -> Result<()> {
    let (source, dead) = (topic::TRANSACTIONS, dead_letter(topic::TRANSACTIONS));
    let before = topics::read(&context.settings, &dead).await?.len();
    let mut aggregator = Service::start(context, "aggregator", &["service", "aggregator"])?;
    writer.send(source, "u-gone", &noise(300_000), &[]).await?;
    // What was sent again is as bad as it was.
    let found = wait_until("the letter of u-gone", LIMIT, || async {
        let found = topics::read(&context.settings, &dead).await?;
        Ok(found
            .into_iter()
            .skip(before)
            .find(|letter| letter.key.as_deref() == Some(b"u-gone")))
    })
    .await?;
    aggregator.ready(context.settings.aggregator.metrics_port).await?;
    aggregator.stop().await?;
    let mut offsets = TopicPartitionList::new();
    let partition: i32 = found.header("source.partition").context("a partition")?.parse()?;
    let name = topic_name(&context.settings.kafka, source);
    offsets.add_partition_offset(&name, partition, Offset::End)?;
    let (admin, options) = (admin(context)?, AdminOptions::new());
    tokio::task::spawn_blocking(move || block_on(admin.delete_records(&offsets, &options))).await??;
    let at = format!("{}:{}", found.partition, found.offset);
    let refused = dlq(context, "refused", &["replay", "--at", &at], true).await?;
    ensure!(
        refused["refused"][0]["letter"] == json!(at) && sent(&refused) == 0,
        "{refused}"
    );
    let reason = refused["refused"][0]["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("no longer has the whole record"), "{refused}");
    Ok(())
}

/// What was sent to the source topic again.
async fn replayed(context: &TestContext) -> Result<Vec<Record>> {
    let all = topics::read(&context.settings, topic::TRANSACTIONS).await?;
    Ok(all
        .into_iter()
        .filter(|record| record.header("replayed.from").is_some())
        .collect())
}
