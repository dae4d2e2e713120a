//! Transactions that are refused because of the registry's word, which it takes back.

use anyhow::{Result, ensure};
use millrace_catalog::{dead_letter, payments::topic};
use millrace_domain::{Transaction, schema};
use millrace_tests::pipeline::{LIMIT, Pipeline};
use millrace_tests::registry_proxy::RegistryProxy;
use millrace_tests::service::Service;
use millrace_tests::topics::{self, Record};
use millrace_tests::verification::{Report, verified};
use millrace_tests::{TestContext, sample, wait_until};
use serde_json::{Value, json};

use super::dead_letters::{dlq, sent};
use super::writers::{framed, register, send};

/// Transactions of a writer with a schema of its own.
const COUNT: usize = 20;
/// Transactions of the producer.
const GENERATED: &str = "500";
/// The row of what is lost.
const LOST: &str = "good transactions among the dead letters";

/// A pipeline behind a registry whose word can be changed, with a writer's schema in it.
struct Scene {
    context: TestContext,
    registry: RegistryProxy,
    schema_id: u32,
    start_ms: i64,
}

impl Scene {
    async fn new(mut context: TestContext) -> Result<Self> {
        context.settings.aggregator.window_ms = 10_000;
        context.settings.aggregator.worker.idle_timeout_ms = 3_000;
        context.settings.producer.malformed_share = 0.05;
        let url = context.settings.schema_registry.url.clone();
        let registry = RegistryProxy::start(&url).await?;
        context.settings.schema_registry.url = registry.url.clone();
        let mut other: Value = serde_json::from_str(schema::TRANSACTION)?;
        other["doc"] = "Of another writer.".into();
        let subject = format!("{}other-value", context.settings.kafka.topic_prefix);
        let other = json!({"schema": other.to_string()});
        let schema_id = register(&url, &subject, &other).await?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        Ok(Self {
            context,
            registry,
            schema_id,
            start_ms: i64::try_from(now.as_millis())?,
        })
    }

    /// Sends this many transactions in the writer's schema, beginning with the one of this number.
    fn write(&self, first: usize, count: usize) -> Result<()> {
        let values: Vec<(Transaction, Vec<u8>)> = (first..first + count)
            .map(|number| sample::transaction(number as u32, self.start_ms + number as i64))
            .map(|transaction| (transaction, framed(self.schema_id, &transaction)))
            .collect();
        send(&self.context, values.iter(), |_| None)
    }

    /// Waits until so many transactions in the writer's schema are dead letters.
    async fn letters(&self, count: usize) -> Result<Vec<Record>> {
        let dead = dead_letter(topic::TRANSACTIONS);
        wait_until(&format!("{count} refused transactions"), LIMIT, || async {
            let mut found = topics::read(&self.context.settings, &dead).await?;
            found.retain(|letter| letter.header("error.code").as_deref() == Some("refused_schema"));
            ensure!(found.len() <= count, "{} letters", found.len());
            Ok((found.len() == count).then_some(found))
        })
        .await
    }

    /// A run of the generator, so that there is a ledger, and so that windows close.
    async fn generate(&self) -> Result<()> {
        let arguments = ["service", "producer", "--count", GENERATED, "--rate", "0"];
        Service::start(&self.context, "producer", &arguments)?
            .succeed(LIMIT)
            .await
    }
}

/// What was refused and could be read is lost, until it was sent again and taken: not when it was
/// sent again alone.
pub(super) async fn transactions_are_lost_until_they_are_taken(context: TestContext) -> Result<()> {
    let scene = Scene::new(context).await?;
    let context = &scene.context;
    scene.registry.refuse(scene.schema_id);
    let pipeline = Pipeline::start(context).await?;
    scene.write(0, COUNT)?;
    scene.letters(COUNT).await?;
    scene.generate().await?;
    let again = dlq(
        context,
        "too-early",
        &["replay", "--code", "refused_schema"],
        false,
    )
    .await?;
    ensure!(sent(&again) == COUNT as u64, "{again}");
    scene.letters(2 * COUNT).await?;
    pipeline.stop().await?;

    scene.registry.allow(scene.schema_id);
    let pipeline = Pipeline::start(context).await?;
    let report = verified(context, 1).await?;
    ensure!(report.failed() == [LOST], "{report:?}");
    ensure!(report.row(LOST)? == COUNT.to_string(), "{report:?}");

    let again = dlq(context, "again", &["replay", "--code", "refused_schema"], false).await?;
    ensure!(
        sent(&again) == COUNT as u64 && again["sent_before"] == json!(COUNT),
        "{again}"
    );
    let report = verified(context, 0).await?;
    for (row, count) in [
        ("records that were sent again", 2 * COUNT),
        ("good transactions refused, and taken when sent again", COUNT),
        (LOST, 0),
    ] {
        ensure!(report.row(row)? == count.to_string(), "{row}: {report:?}");
    }
    ensure!(report.0["counts"]["lost"] == json!(0), "{report:?}");
    ensure!(report.0["counts"]["doubled"] == json!(0), "{report:?}");
    pipeline.stop().await
}

/// A replay does as was done: what was refused stays refused although the registry gives its schema
/// by now, and what was taken is not left out although the registry refuses it by now.
pub(super) async fn a_replay_does_what_was_done(mut context: TestContext) -> Result<()> {
    // Everything is made anew from the log.
    context.settings.snapshots.interval_ms = 3_600_000;
    let scene = Scene::new(context).await?;
    let context = &scene.context;
    scene.registry.refuse(scene.schema_id);
    let mut pipeline = Pipeline::start(context).await?;
    scene.write(0, COUNT)?;
    scene.letters(COUNT).await?;
    skipped(&pipeline, COUNT).await?;

    scene.registry.allow(scene.schema_id);
    for name in ["aggregator", "detector"] {
        pipeline.crash(context, name).await?;
    }
    scene.generate().await?;
    let report = verified_again(context, 1).await?;
    ensure!(report.failed() == [LOST], "{report:?}");
    ensure!(report.row(LOST)? == COUNT.to_string(), "{report:?}");
    let again = dlq(context, "again", &["replay", "--code", "refused_schema"], false).await?;
    ensure!(sent(&again) == COUNT as u64, "{again}");
    verified_again(context, 0).await?;

    scene.registry.refuse(scene.schema_id);
    let mut killed = Vec::new();
    for name in ["aggregator", "detector"] {
        killed.push(stops_and_says_why(&scene, &mut pipeline, name).await?);
    }
    scene.registry.allow(scene.schema_id);
    for (name, port) in killed {
        pipeline.start_part(context, name, port).await?;
    }
    scene.write(COUNT, COUNT)?;
    verified_again(context, 0).await?;
    pipeline.stop().await
}

/// Waits until the detector has passed over so many records.
async fn skipped(pipeline: &Pipeline, count: usize) -> Result<()> {
    wait_until("the detector to pass over what it cannot read", LIMIT, || async {
        let metric = "millrace_skipped_records_total";
        let found = pipeline.metric("detector", metric, None).await?;
        Ok((found >= count as f64).then_some(()))
    })
    .await
}

/// A verification with the jobs once more over the whole log.
async fn verified_again(context: &TestContext, code: i32) -> Result<Report> {
    let arguments = ["verify", "--json", "--repeat", "--timeout", "120s"];
    Report::of(context, &arguments, code).await
}

/// A service that is killed, and has to replay what the registry refuses by now, ends and names it.
async fn stops_and_says_why(
    scene: &Scene,
    pipeline: &mut Pipeline,
    name: &str,
) -> Result<(&'static str, u16)> {
    let killed = pipeline.kill(name)?;
    let mut service = Service::start(&scene.context, name, &["service", name])?;
    let (code, output) = service.end(LIMIT).await?;
    ensure!(code.is_some_and(|code| code != 0), "{name} ended with {code:?}");
    let refused = format!("refuses schema id {}", scene.schema_id);
    for part in ["was processed before", &refused] {
        ensure!(output.contains(part), "{name} does not say {part:?}:\n{output}");
    }
    Ok(killed)
}
