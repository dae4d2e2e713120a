//! Batches that have become others on a broker's disk: one whose checksum is wrong, and one of a
//! codec that nobody knows, which no broker takes from a producer.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::payments::topic;
use millrace_kafka::topic_name;
use millrace_stack::Node;
use millrace_telemetry::exposition;
use millrace_tests::pipeline::{self, LIMIT};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, groups, sample, topics, wait_until};

use super::unreadable::{PARTITIONS, now_ms, send_to_all, wait_for_all_windows};

/// Records of a partition before the batch that is changed, in it, and after it.
const EACH: i64 = 10;
/// The first number of the records in it.
const CHANGED: u32 = 1_000;
/// The partition whose batch has another amount than its checksum is of, and the one whose batch is
/// of another codec.
const CHECKSUM: i32 = 0;
const CODEC: i32 = 1;

/// Where things are in a batch (KIP-98), from its start.
const LENGTH_AT: usize = 8;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
/// The first that no codec has.
const NO_CODEC: u8 = 5;

/// Aggregator and detector stop at such batches, say so, and go on with the other partitions; a
/// sink ends at a wrong checksum. With the bytes that were written, nothing is missing.
pub(super) async fn batches_are_no_records(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    settings.kafka.replication_factor = 1;
    settings.kafka.min_insync_replicas = 1;
    settings.aggregator.window_ms = 10_000;
    settings.aggregator.worker.idle_timeout_ms = 1_000;
    for worker in [&mut settings.aggregator.worker, &mut settings.detector.worker] {
        worker.threads = 1;
    }
    let statistics = ("statistics.interval.ms".to_owned(), "500".to_owned());
    settings.elastic_sink.consumer_properties.extend([statistics]);
    let ports = [settings.aggregator.metrics_port, settings.detector.metrics_port];
    if context.cluster.data(Node::Broker(1)).await.is_none() {
        eprintln!("corrupt: skipped, as the brokers' logs cannot be changed here");
        return Ok(());
    }
    pipeline::init(&context).await?;
    let time_ms = now_ms()? - 30_000;
    for first in [0, CHANGED, 2 * CHANGED] {
        send_to_all(&context, first, time_ms)?;
    }
    let checksum = changed(&context, CHECKSUM, another_amount).await?;
    let codec = changed(&context, CODEC, another_codec).await?;
    for (name, port) in ["aggregator", "detector"].into_iter().zip(ports) {
        goes_on_with_the_others(&context, name, port).await?;
    }
    let mut sink = start(&context, "elastic-sink")?;
    sink.fail(LIMIT).await?;
    let said = sink.output();
    ensure!(said.contains("its checksum is wrong"), "why it ends: {said}");

    checksum.undo(&context).await?;
    let sink = start(&context, "elastic-sink")?;
    let port = context.settings.elastic_sink.metrics_port;
    says(port, &format!("partition {CODEC} of"))
        .await
        .with_context(|| sink.output())?;
    sink.stop().await?;
    codec.undo(&context).await?;
    for (name, port) in ["aggregator", "detector"].into_iter().zip(ports) {
        let mut service = start(&context, name)?;
        service.ready(port).await?;
        if name == "aggregator" {
            wait_for_all_windows(&context).await?;
        }
        service.stop().await?;
    }
    Ok(())
}

fn start(context: &TestContext, name: &str) -> Result<Service> {
    Service::start(context, name, &["service", name])
}

/// The service reads, and commits, all but the batches and what is behind them, and tells of both.
async fn goes_on_with_the_others(context: &TestContext, name: &str, port: u16) -> Result<()> {
    let service = start(context, name)?;
    let wanted = i64::from(PARTITIONS) * 3 * EACH - 2 * 2 * EACH;
    wait_until("what can be read", LIMIT, || async {
        let Ok(text) = pipeline::metrics_text(port).await else {
            return Ok(None);
        };
        let consumed: f64 = exposition::samples(&text, "millrace_records_consumed_total")
            .filter(|sample| sample.label("operator") != Some("aggregate-merge"))
            .map(|sample| sample.value)
            .sum();
        let unreadable: Vec<_> = exposition::samples(&text, "millrace_unreadable_seconds").collect();
        let has = |number: i32| {
            let mut labels = unreadable.iter().filter_map(|sample| sample.label("partition"));
            labels.any(|label| label == number.to_string())
        };
        ensure!(
            consumed <= wanted as f64,
            "{consumed} records, of {wanted} that can be read"
        );
        let is_told = unreadable.len() == 2 && has(CHECKSUM) && has(CODEC);
        Ok((consumed == wanted as f64 && is_told).then_some(()))
    })
    .await
    .with_context(|| service.output())?;
    says(port, &format!("cannot be read at offset {EACH}")).await?;
    let group = match name {
        "aggregator" => "millrace-aggregate-partial",
        _ => "millrace-detect",
    };
    let others = |number: i32| number != CHECKSUM && number != CODEC;
    groups::wait_until_read_of(&context.settings, group, topic::TRANSACTIONS, others).await?;
    service.stop().await
}

/// Waits until a service is not ready for a reason with these words.
async fn says(port: u16, words: &str) -> Result<()> {
    wait_until(&format!("a service to say {words:?}"), LIMIT, || async {
        let Ok(answer) = reqwest::get(format!("http://127.0.0.1:{port}/health/ready")).await else {
            return Ok(None);
        };
        let (is_ready, body) = (answer.status().is_success(), answer.text().await?);
        Ok((!is_ready && body.contains(words)).then_some(()))
    })
    .await
}

/// A segment that was changed.
struct Changed {
    broker: Node,
    path: PathBuf,
    before: Vec<u8>,
}

impl Changed {
    /// Puts the bytes back that were written.
    async fn undo(&self, context: &TestContext) -> Result<()> {
        context.cluster.stop(self.broker).await?;
        fs::write(&self.path, &self.before)?;
        context.cluster.start(self.broker).await?;
        topics::known_to_all_brokers(&context.settings).await
    }
}

/// Changes the batch of a partition, on the only broker that has it, while that does not run.
async fn changed(
    context: &TestContext,
    partition: i32,
    change: impl Fn(&mut [u8]) -> Result<()>,
) -> Result<Changed> {
    let log = format!(
        "{}-{partition}",
        topic_name(&context.settings.kafka, topic::TRANSACTIONS)
    );
    for broker in Node::brokers() {
        let data = context.cluster.data(broker).await.context("the broker's data")?;
        let path = data.join(&log).join(format!("{:020}.log", 0));
        if !path.exists() {
            continue;
        }
        context.cluster.stop(broker).await?;
        let before = fs::read(&path)?;
        let mut after = before.clone();
        change(batch_of(&mut after, partition)?)?;
        ensure!(after != before, "nothing was changed");
        fs::write(&path, after)?;
        context.cluster.start(broker).await?;
        topics::known_to_all_brokers(&context.settings).await?;
        return Ok(Changed { broker, path, before });
    }
    anyhow::bail!("no broker has {log}")
}

/// The batch that is to be changed.
fn batch_of(segment: &mut [u8], partition: i32) -> Result<&mut [u8]> {
    let first = sample::transaction(CHANGED + 100 * partition.cast_unsigned(), 0);
    let id = first.transaction_id.to_text();
    let mut at = 0;
    while let Some(batch) = segment.get(at..) {
        let length = batch
            .get(LENGTH_AT..LENGTH_AT + 4)
            .context("no batch has the record")?;
        let end = at + LENGTH_AT + 4 + u32::from_be_bytes(length.try_into()?) as usize;
        let bytes = segment.get(at..end).context("a whole batch")?;
        if find(bytes, &id).is_some() {
            return Ok(&mut segment[at..end]);
        }
        at = end;
    }
    anyhow::bail!("no batch has the record")
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// The first amount is another one, as a disk may make it.
fn another_amount(batch: &mut [u8]) -> Result<()> {
    let name = b"\"amount\":";
    let at = find(batch, name).context("an amount")? + name.len();
    ensure!(batch[at].is_ascii_digit(), "an amount");
    batch[at] = if batch[at] == b'9' { b'8' } else { b'9' };
    Ok(())
}

fn another_codec(batch: &mut [u8]) -> Result<()> {
    let low = ATTRIBUTES_AT + 1;
    batch[low] = batch[low] & !7 | NO_CODEC;
    let crc = crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}

/// Castagnoli's, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}
