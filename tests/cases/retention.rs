//! A log whose beginning retention has deleted, and with it what a recovery needs.

use anyhow::{Result, ensure};
use millrace::metrics;
use millrace_domain::topic;
use millrace_settings::LostPosition;
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, topics, wait_until};

/// The detector's snapshots are gone and so is the log's beginning. By default it stops and says what is missing; told
/// to continue, it goes on from what is left, and counts the loss.
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
    ensure!(
        stopped.succeed(LIMIT).await.is_err(),
        "the detector goes on by default"
    );
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
        let lost = metrics::sum(&text, "millrace_lost_positions_total");
        Ok(lost.filter(|lost| *lost > 0.0).map(drop))
    })
    .await?;
    detector.stop().await
}

/// Deletes all but the last record of each partition of the transactions; how many partitions had more.
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
