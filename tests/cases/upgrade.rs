//! A schema that grows while everything runs.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use millrace_catalog::{dead_letter, payments::topic};
use millrace_domain::codec::{AggregateReader, transaction};
use millrace_domain::{Transaction, schema};
use millrace_registry::Registry;
use millrace_tests::pipeline::{self, LIMIT, Pipeline, registry_config};
use millrace_tests::{TestContext, sample, topics, wait_until};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::registry::with_field;

/// Records of each of the two writers.
const COUNT: u32 = 600;
/// Within one window each, three windows apart.
const WINDOW_MS: i64 = 10_000;

/// Producers of an older and a newer release write side by side, the newer with one more optional
/// field: the running consumers take both, and no record is lost or refused.
pub(super) async fn a_new_field_passes_through(mut context: TestContext) -> Result<()> {
    context.settings.aggregator.window_ms = WINDOW_MS;
    context.settings.aggregator.worker.idle_timeout_ms = 3_000;
    let pipeline = Pipeline::start(&context).await?;
    let registry = Registry::new(registry_config(&context))?;
    let name = format!("{}{}", context.settings.kafka.topic_prefix, topic::TRANSACTIONS);
    let subject = format!("{name}-value");
    let ours = registry.register(&subject, schema::TRANSACTION).await?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let start_ms = i64::try_from(now.as_millis())? / WINDOW_MS * WINDOW_MS - 60_000;

    send(&context, &name, &encode(0..COUNT, start_ms, ours, &[]))?;
    wait_for_count(&pipeline, f64::from(COUNT)).await?;
    let newer = registry
        .register(&subject, &with_field("channel", "\"string\"", "\"web\"")?)
        .await?;
    // Each newer record between two of the older release, with the new field at its end.
    let channel = [6, b'a', b'p', b'p'];
    let mut mixed = encode(COUNT..2 * COUNT, start_ms + 3 * WINDOW_MS, newer, &channel);
    mixed.extend(encode(2 * COUNT..3 * COUNT, start_ms + 3 * WINDOW_MS, ours, &[]));
    mixed.sort_by(|one, other| one.0.cmp(&other.0));
    send(&context, &name, &mixed)?;
    wait_for_count(&pipeline, f64::from(3 * COUNT)).await?;

    wait_until("the aggregates of all records", LIMIT, || async {
        let aggregates = topics::read(&context.settings, topic::AGGREGATES).await?;
        let reader = AggregateReader::new(pipeline::schemas(&context));
        let count = tokio::task::spawn_blocking(move || {
            let mut count = 0;
            for record in &aggregates {
                count += reader.read(&record.payload)?.totals.purchase_count;
            }
            anyhow::Ok(count)
        })
        .await??;
        ensure!(
            count <= u64::from(3 * COUNT),
            "{count} transactions in the aggregates"
        );
        Ok((count == u64::from(3 * COUNT)).then_some(()))
    })
    .await?;
    let dead = topics::read(&context.settings, &dead_letter(topic::TRANSACTIONS)).await?;
    ensure!(dead.is_empty(), "{} dead letters", dead.len());
    pipeline.stop().await
}

/// Key and value of the transactions with these numbers, as a writer with that schema and these
/// further bytes writes them.
fn encode(
    numbers: std::ops::Range<u32>,
    start_ms: i64,
    schema_id: u32,
    further: &[u8],
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let record = |number: u32| {
        let sent: Transaction = sample::transaction(number, start_ms + i64::from(number % 100));
        let mut value = Vec::new();
        transaction::encode_framed(schema_id, &sent, &mut value);
        value.extend_from_slice(further);
        (sent.user_id.text().as_bytes().to_vec(), value)
    };
    numbers.map(record).collect()
}

fn send(context: &TestContext, topic: &str, records: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &context.settings.kafka.bootstrap_servers)
        .set("partitioner", "murmur2_random")
        .set("enable.idempotence", "true")
        .create()?;
    for (key, value) in records {
        let record = BaseRecord::to(topic).key(key).payload(value);
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .context("sending a sample")?;
    }
    Ok(producer.flush(Duration::from_secs(60))?)
}

/// Waits until both services have read that many records.
async fn wait_for_count(pipeline: &Pipeline, count: f64) -> Result<()> {
    for (service, operator) in [("aggregator", "aggregate-partial"), ("detector", "detect")] {
        let metric = "millrace_records_consumed_total";
        wait_until(&format!("{count} records in {service}"), LIMIT, || async {
            Ok((pipeline.metric(service, metric, Some(operator)).await? >= count).then_some(()))
        })
        .await?;
    }
    Ok(())
}
