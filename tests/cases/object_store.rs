//! Snapshots in an object store, against a real S3 server.

use anyhow::{Result, ensure};
use millrace_tests::pipeline::{self, LIMIT, Pipeline};
use millrace_tests::s3::S3Server;
use millrace_tests::service::Service;
use millrace_tests::{TestContext, wait_until};

/// Workers that are killed restore from S3. When the store is away, they go on without, and recover
/// from the log.
pub(super) async fn serves_a_recovery(mut context: TestContext) -> Result<()> {
    let server = S3Server::start(&context.path("server")).await?;
    let settings = &mut context.settings;
    settings.snapshots.url = server.url();
    settings.snapshots.store_options = server.options();
    settings.snapshots.interval_ms = 500;
    settings.aggregator.window_ms = 10_000;
    settings.aggregator.worker.idle_timeout_ms = 3_000;
    let mut pipeline = Pipeline::start(&context).await?;
    // It sends until it is stopped: a snapshot is written, and can fail, only where there is
    // something new.
    let producer = Service::start(&context, "producer", &["service", "producer", "--rate", "500"])?;
    for (service, job) in [("aggregator", "aggregate-partial"), ("detector", "detect")] {
        let folder = format!("{}{job}", context.settings.kafka.topic_prefix);
        wait_until(
            &format!("snapshots of every partition of {job}"),
            LIMIT,
            || async { Ok((server.objects(&folder)? >= 5).then_some(())) },
        )
        .await?;
        pipeline.crash(&context, service).await?;
        let restored = restored_snapshots(&pipeline.output(service)?);
        ensure!(restored > 0, "{service} restored no snapshot after the crash");
    }
    drop(server);
    let failures = |service| pipeline.metric(service, "millrace_snapshot_failures_total", None);
    wait_until("failures of the snapshot store", LIMIT, || async {
        Ok((failures("aggregator").await? > 0.0).then_some(()))
    })
    .await?;
    producer.stop().await?;
    pipeline.crash(&context, "aggregator").await?;
    pipeline::verify(&context).await?;
    pipeline.stop().await
}

/// How many partitions the log says were restored from a snapshot.
fn restored_snapshots(log: &str) -> usize {
    let restored = |line: &&str| line.contains("partition restored") && line.contains("\"snapshot\":");
    log.lines().filter(restored).count()
}
