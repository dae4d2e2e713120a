//! Faults of the servers: brokers, controllers, Elasticsearch, registry.

use std::time::Duration;

use anyhow::{Context as _, Result};
use millrace_catalog::Service;
use millrace_stack::Node;

use crate::chaos::cluster::nodes;
use crate::chaos::pipeline::{LIMIT, Pipeline};
use crate::harness::group::Group;
use crate::harness::worker::{DETECTOR, readers};
use crate::wait::wait_until;

/// How long the commits must have ceased to say that they wait.
const QUIET: Duration = Duration::from_secs(5);
/// What a worker may take beyond its drain to give up: its abort, and closing clients that get no
/// answer.
const GIVING_UP: Duration = Duration::from_secs(10);
/// Seconds of the stream that must be processed while a server is away.
const WITHOUT_S: i64 = 10;

fn records(pipeline: &Pipeline, seconds: i64) -> Result<i64> {
    Ok(i64::try_from(pipeline.settings.producer.rate_per_s)?.max(1) * seconds)
}

/// A broker dies and stays away until all goes on; then it comes back.
pub(super) async fn kill_broker(pipeline: &mut Pipeline) -> Result<()> {
    let broker = Node::Broker(2);
    let before = pipeline.mark();
    pipeline.cluster.kill(broker).await?;
    pipeline
        .recovered(format!("SIGKILL of {broker}"), before, &pipeline.groups(), None)
        .await?;
    let before = pipeline.mark();
    pipeline.cluster.start(broker).await?;
    pipeline
        .recovered(format!("return of {broker}"), before, &pipeline.groups(), None)
        .await?;
    Ok(())
}

/// With two of three brokers away, nothing can be written safely: all must wait, and go on when
/// they are back. A worker that is told to stop meanwhile does not wait longer than its drain may
/// take.
pub(super) async fn kill_two_brokers(pipeline: &mut Pipeline) -> Result<()> {
    for broker in [Node::Broker(2), Node::Broker(3)] {
        pipeline.cluster.kill(broker).await?;
    }
    pipeline.monitor.stalled(Group::Detect, QUIET, LIMIT).await?;
    let drain = Duration::from_millis(pipeline.settings.detector.worker.drain_timeout_ms);
    let took = pipeline.fleet.stop_within(DETECTOR, drain + GIVING_UP).await?;
    tracing::info!(
        seconds = took.as_secs_f64(),
        "the detector has stopped without brokers"
    );
    pipeline.fleet.start(DETECTOR, &[])?;
    let before = pipeline.mark();
    for broker in [Node::Broker(2), Node::Broker(3)] {
        pipeline.cluster.start(broker).await?;
    }
    pipeline
        .recovered("return of two brokers", before, &pipeline.groups(), None)
        .await?;
    Ok(())
}

/// The controller that leads dies: another is elected, and the stream does not notice.
pub(super) async fn kill_controller(pipeline: &mut Pipeline) -> Result<()> {
    let cluster = pipeline.cluster.clone();
    let active = wait_until("an active controller", LIMIT, || cluster.active_controller()).await?;
    let before = pipeline.mark();
    cluster.kill(active).await?;
    wait_until("another active controller", LIMIT, || async {
        let elected = cluster.active_controller().await?;
        Ok(elected.filter(|elected| *elected != active))
    })
    .await?;
    pipeline
        .recovered(
            format!("SIGKILL of {active}, which was active"),
            before,
            &pipeline.groups(),
            None,
        )
        .await?;
    cluster.start(active).await
}

/// Elasticsearch dies: the jobs go on, and the sink catches up when it is back.
pub(super) async fn kill_elasticsearch(pipeline: &mut Pipeline) -> Result<()> {
    let while_away = pipeline.mark();
    pipeline.cluster.kill(Node::Elasticsearch).await?;
    let enough = records(pipeline, WITHOUT_S)?;
    pipeline.monitor.advanced(Group::Detect, enough, LIMIT).await?;
    // At the head without Elasticsearch: it holds back the sink alone.
    pipeline
        .recovered(
            "loss of Elasticsearch, the jobs",
            while_away.clone(),
            &Group::jobs(&pipeline.settings),
            None,
        )
        .await?;
    // What the detector has caught up with, the sink may have read before.
    let monitor = &pipeline.monitor;
    wait_until(
        "a sink that commits nothing without Elasticsearch",
        LIMIT,
        || async { Ok((monitor.lag(Group::Sink) > enough / 2).then_some(())) },
    )
    .await
    .with_context(|| format!("it lags {} records", monitor.lag(Group::Sink)))?;
    let away = pipeline.monitor.mark();
    let before = (
        away.with_levels_of(&while_away.0),
        crate::harness::processor::Busy::now(),
    );
    pipeline.cluster.start(Node::Elasticsearch).await?;
    pipeline
        .recovered("return of Elasticsearch, the sink", before, &[Group::Sink], None)
        .await?;
    Ok(())
}

/// The registry dies: what runs knows its schemas. What is started meanwhile waits, and says for
/// what.
pub(super) async fn kill_registry(pipeline: &mut Pipeline) -> Result<()> {
    let away = pipeline.mark();
    pipeline.cluster.kill(Node::Registry).await?;
    let enough = records(pipeline, WITHOUT_S)?;
    pipeline.monitor.advanced(Group::Detect, enough, LIMIT).await?;
    pipeline
        .recovered("loss of the registry", away, &pipeline.groups(), None)
        .await?;
    let before = pipeline.mark();
    pipeline.fleet.stop(DETECTOR).await?;
    pipeline.fleet.start(DETECTOR, &[])?;
    let fleet = &pipeline.fleet;
    wait_until("a detector that waits for the registry", LIMIT, || async {
        Ok(fleet
            .log(DETECTOR)
            .contains("waiting for the schema registry")
            .then_some(()))
    })
    .await?;
    if let Some(ended) = pipeline.fleet.ended(DETECTOR)? {
        return Err(ended).context("the detector was to wait for the registry");
    }
    pipeline.cluster.start(Node::Registry).await?;
    pipeline.fleet.ready(DETECTOR).await?;
    pipeline
        .recovered(
            "a restart that waited for the registry",
            before,
            &pipeline.groups(),
            Some(Service::Detector),
        )
        .await?;
    Ok(())
}

/// Everything but the producer is stopped in good order and started again, one by one.
pub(super) async fn restart_all(pipeline: &mut Pipeline) -> Result<()> {
    for worker in readers(&pipeline.settings) {
        let before = pipeline.mark();
        pipeline.fleet.stop(worker).await?;
        pipeline.fleet.start(worker, &[])?;
        pipeline.fleet.ready(worker).await?;
        pipeline
            .recovered(format!("restart of {worker}"), before, &pipeline.groups(), None)
            .await?;
    }
    for node in nodes() {
        let before = pipeline.mark();
        pipeline.cluster.stop(node).await?;
        pipeline.cluster.start(node).await?;
        pipeline
            .recovered(format!("restart of {node}"), before, &pipeline.groups(), None)
            .await?;
        in_sync(pipeline).await?;
    }
    Ok(())
}

/// Waits until every replica of the transactions is in sync: the next broker may go.
async fn in_sync(pipeline: &Pipeline) -> Result<()> {
    use millrace_catalog::topics;
    use millrace_kafka::{admin::Lookup, topic_name};
    wait_until("every replica in sync", LIMIT, || async {
        let kafka = pipeline.settings.kafka.clone();
        let installation = pipeline.settings.installation();
        let look = move || {
            let lookup = Lookup::connect(&kafka)?;
            let mut behind = 0;
            for spec in topics(installation) {
                let partitions = lookup.topic(&topic_name(&kafka, spec.name))?.partitions;
                let lags = |it: &&millrace_kafka::admin::PartitionState| it.in_sync < it.replicas;
                behind += partitions.iter().filter(lags).count();
            }
            anyhow::Ok(behind)
        };
        // In the middle of a restart the brokers may not answer.
        let behind = tokio::task::spawn_blocking(look).await?.unwrap_or(usize::MAX);
        Ok((behind == 0).then_some(()))
    })
    .await
}
