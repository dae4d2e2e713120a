//! A log whose beginning retention has deleted, and with it what a recovery needs.

use anyhow::{Result, ensure};
use millrace_catalog::payments::topic;
use millrace_settings::LostPosition;
use millrace_telemetry::exposition;
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, sample, send, topics, wait_until};

/// The detector's snapshots are gone and so is the log's beginning. By default it stops and says
/// what is missing; told to continue, it goes on from what is left, and counts the loss.
pub(super) async fn a_lost_beginning_is_no_silent_loss(mut context: TestContext) -> Result<()> {
    context.settings.snapshots.enabled = false;
    context.settings.aggregator.window_ms = 10_000;
    context.settings.aggregator.worker.idle_timeout_ms = 3_000;
    let pipeline = Pipeline::start(&context).await?;
    let produce = ["service", "producer", "--count", "5000", "--rate", "0"];
    Service::start(&context, "producer", &produce)?
        .succeed(LIMIT)
        .await?;
    pipeline::verify(&context).await?;
    pipeline.stop().await?;
    let deleted = delete_beginnings(&context).await?;
    ensure!(deleted > 0, "no partition has more than one record");

    let mut stopped = Service::start(&context, "detector-stops", &["service", "detector"])?;
    stopped.fail(LIMIT).await?;
    let said = stopped.output();
    ensure!(
        said.contains("has lost its position") && said.contains("worker.lost_position"),
        "what is lost and what to do: {said}"
    );

    context.settings.detector.worker.lost_position = LostPosition::Continue;
    let port = context.settings.detector.metrics_port;
    let mut detector = Service::start(&context, "detector-continues", &["service", "detector"])?;
    detector.ready(port).await?;
    wait_until("the counted loss", LIMIT, || async {
        let text = pipeline::metrics_text(port).await?;
        let lost = exposition::sum(&text, "millrace_lost_positions_total");
        Ok(lost.filter(|lost| *lost > 0.0).map(drop))
    })
    .await?;
    detector.stop().await
}

/// Retention goes on while the sink is away: it says which offsets are not in Elasticsearch, and
/// counts them.
pub(super) async fn an_overtaken_sink_tells_what_it_missed(context: TestContext) -> Result<()> {
    pipeline::init(&context).await?;
    let (settings, port) = (&context.settings, context.settings.elastic_sink.metrics_port);
    let producer = send::producer(&settings.kafka, &[])?;
    let transactions =
        |range: std::ops::Range<u32>| range.map(|number| sample::transaction(number, 1_790_000_000_000));
    send::send(&producer, &settings.kafka, transactions(0..200), None, None)?;
    send::flush(&producer)?;
    let mut sink = Service::start(&context, "elastic-sink", &["service", "elastic-sink"])?;
    sink.ready(port).await?;
    wait_until("the sink to have read all", LIMIT, || async {
        let text = pipeline::metrics_text(port).await?;
        let consumed = exposition::sum(&text, "millrace_records_consumed_total");
        Ok(consumed.filter(|consumed| *consumed >= 200.0).map(drop))
    })
    .await?;
    sink.stop().await?;
    let read = topics::read(settings, topic::TRANSACTIONS).await?.len();

    send::send(&producer, &settings.kafka, transactions(200..1_000), None, None)?;
    send::flush(&producer)?;
    let partitions = delete_beginnings(&context).await?;
    let left = topics::read(settings, topic::TRANSACTIONS).await?.len();
    ensure!(
        left == partitions,
        "one record a partition is left, not {left} of {partitions}"
    );
    let missed = 1_000 - read - left;

    let mut sink = Service::start(&context, "elastic-sink", &["service", "elastic-sink"])?;
    sink.ready(port).await?;
    wait_until("the count of what the sink has missed", LIMIT, || async {
        let text = pipeline::metrics_text(port).await?;
        let overtaken = exposition::sum(&text, "millrace_overtaken_offsets_total");
        Ok((overtaken == Some(missed as f64)).then_some(()))
    })
    .await?;
    let said = sink.output();
    ensure!(
        said.contains("retention has deleted"),
        "the log names the offsets: {said}"
    );
    sink.stop().await
}

/// Deletes all but the last record of each partition of the transactions; how many partitions had
/// more.
async fn delete_beginnings(context: &TestContext) -> Result<usize> {
    let settings = &context.settings;
    let mut last = std::collections::BTreeMap::new();
    for record in topics::read(settings, topic::TRANSACTIONS).await? {
        last.insert(record.partition, record.offset);
    }
    last.retain(|_, offset| *offset > 0);
    let deleted = last.len();
    topics::delete_before(settings, topic::TRANSACTIONS, last).await?;
    Ok(deleted)
}
