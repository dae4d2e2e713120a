//! Committed offsets that are lost, or set by hand.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use millrace_catalog::{dead_letter, payments::topic};
use millrace_engine::snapshot::{Header, SnapshotWriter, container};
use millrace_kafka::client::{Properties, consumer_config};
use millrace_kafka::topic_name;
use millrace_settings::{LostPosition, Settings};
use millrace_tests::checks::check_aggregates;
use millrace_tests::pipeline::{self, LIMIT, metrics_text};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, send, topics, wait_until};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

pub(super) const PARTIAL: &str = "millrace-aggregate-partial";
const MERGE: &str = "millrace-aggregate-merge";

/// The groups' offsets are gone, as when they have expired. The aggregator, which had stopped in
/// good order, goes on where it was: nothing comes twice, nothing is late, no snapshot is deleted.
/// The snapshots are another cluster's, as where records and offsets were copied from one: the log
/// serves. Then the offset is set back by hand: it refuses, and says which offset is right.
pub(super) async fn lost_offsets_are_recovered_and_set_ones_refused(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    settings.aggregator.window_ms = 10_000;
    settings.aggregator.worker.threads = 1;
    // For as long, a broker may keep a part of a run back.
    settings.aggregator.worker.idle_timeout_ms = 10_000;
    // What each deletion of a group waits for.
    settings.aggregator.worker.session_timeout_ms = 25_000;
    settings.aggregator.worker.transaction_timeout_ms = 20_000;
    settings.aggregator.worker.drain_timeout_ms = 10_000;
    settings.snapshots.interval_ms = 500;
    let port = settings.aggregator.metrics_port;
    pipeline::init(&context).await?;
    let mut aggregator = Service::start(&context, "aggregator", &["service", "aggregator"])?;
    aggregator.ready(port).await?;
    produce_and_verify(&context, "1").await?;
    aggregator.stop().await?;
    let before = check_aggregates(&context, 0).await?;
    let left = snapshots(&context)?;
    ensure!(!left.is_empty(), "there are snapshots");

    delete_groups(&context.settings, &[PARTIAL, MERGE]).await?;
    let mut aggregator = Service::start(&context, "recovers", &["service", "aggregator"])?;
    aggregator.ready(port).await?;
    all_are_recovered(port).await?;
    ensure!(left.iter().all(|file| file.exists()), "a snapshot was deleted");
    produce_and_verify(&context, "2").await?;
    let after = check_aggregates(&context, 0).await?;
    ensure!(
        after.transactions.len() > before.transactions.len(),
        "new records are aggregated"
    );
    ensure!(
        topics::read(&context.settings, topic::LATE).await?.is_empty(),
        "nothing is late"
    );

    // Killed, it leaves no mark of its last commit; but each commit of outputs is in its control
    // topics.
    aggregator.kill()?;
    delete_groups(&context.settings, &[PARTIAL, MERGE]).await?;
    let mut aggregator = Service::start(&context, "recovers-too", &["service", "aggregator"])?;
    aggregator.ready(port).await?;
    all_are_recovered(port).await?;
    produce_and_verify(&context, "3").await?;
    let last = check_aggregates(&context, 0).await?;
    ensure!(
        last.transactions.len() > after.transactions.len(),
        "new records are aggregated"
    );
    ensure!(
        topics::read(&context.settings, topic::LATE).await?.is_empty(),
        "nothing is late"
    );
    aggregator.stop().await?;
    of_another_cluster(&context).await?;

    let committed = committed(&context.settings, PARTIAL, 0)?;
    commit(&context.settings, PARTIAL, 0, committed - 5).await?;
    let said = refusal(&context, "set-back").await?;
    ensure!(
        said.contains("it was set back") && said.contains(&format!("--to-offset {committed}")),
        "what is right: {said}"
    );
    commit(&context.settings, PARTIAL, 0, committed).await?;
    context.settings.aggregator.worker.lost_position = LostPosition::Continue;
    let mut aggregator = Service::start(&context, "goes-on", &["service", "aggregator"])?;
    aggregator.ready(port).await?;
    let lost =
        millrace_telemetry::exposition::sum(&metrics_text(port).await?, "millrace_lost_positions_total");
    ensure!(
        lost == Some(0.0),
        "with the right offset nothing is lost: {lost:?}"
    );
    aggregator.stop().await
}

/// A transaction that is open holds back what the control topic shows, as one does whose end the
/// broker of that log has not been told yet: the offset that was committed with its records can be
/// seen already. A restore waits for them, as a replay without them would close windows again.
pub(super) async fn a_replay_waits_for_what_its_control_topic_hides(mut context: TestContext) -> Result<()> {
    let settings = &mut context.settings;
    settings.aggregator.window_ms = 10_000;
    settings.aggregator.worker.threads = 1;
    // For as long, a broker may keep a part of a run back.
    settings.aggregator.worker.idle_timeout_ms = 10_000;
    settings.snapshots.enabled = false;
    let (kafka, port) = (settings.kafka.clone(), settings.aggregator.metrics_port);
    pipeline::init(&context).await?;
    let mut aggregator = Service::start(&context, "aggregator", &["service", "aggregator"])?;
    aggregator.ready(port).await?;
    let id = format!("{}other", kafka.topic_prefix);
    let properties = [
        ("transactional.id", id.as_str()),
        ("transaction.timeout.ms", "600000"),
    ];
    let other = send::producer(&kafka, &properties)?;
    other.init_transactions(send::SEND)?;
    other.begin_transaction()?;
    let control = topic_name(&kafka, topic::AGGREGATES_CONTROL);
    for partition in 0..5 {
        let record = BaseRecord::<[u8], [u8]>::to(&control).partition(partition);
        let told = record.payload(br#"{"kind":"watermark","offset":0,"watermark_ms":0}"#);
        other.send(told).map_err(|(error, _)| error)?;
    }
    send::flush(&other)?;
    // The last windows close by idle advances, which nobody can see.
    produce_and_verify(&context, "1").await?;
    aggregator.kill()?;

    let mut aggregator = Service::start(&context, "waits", &["service", "aggregator"])?;
    wait_until("a restore to wait, or to be done", LIMIT, || async {
        let said = aggregator.output();
        let is_over = said.contains("a transaction is open in partition") || said.contains("partition live");
        Ok(is_over.then_some(()))
    })
    .await?;
    other.abort_transaction(send::SEND)?;
    aggregator.ready(port).await?;
    produce_and_verify(&context, "2").await?;
    for name in [topic::LATE.to_owned(), dead_letter(topic::PARTIALS)] {
        let found = topics::read(&context.settings, &name).await?;
        ensure!(found.is_empty(), "{} records in {name}", found.len());
    }
    aggregator.stop().await
}

/// Every partition of both stages was found again, and none given up.
async fn all_are_recovered(port: u16) -> Result<()> {
    let text = metrics_text(port).await?;
    let sum = |name: &str| millrace_telemetry::exposition::sum(&text, name);
    // A restore that had to wait, for a broker or a transaction's end, counts once more.
    let recovered = sum("millrace_recovered_positions_total");
    ensure!(
        recovered.is_some_and(|count| count >= 8.0),
        "{recovered:?} partitions were recovered"
    );
    let lost = sum("millrace_lost_positions_total");
    ensure!(lost == Some(0.0), "{lost:?} partitions were lost");
    Ok(())
}

/// Produces, and compares all that there is with the aggregates.
async fn produce_and_verify(context: &TestContext, seed: &str) -> Result<()> {
    let produce = [
        "service", "producer", "--count", "2000", "--rate", "0", "--seed", seed,
    ];
    Service::start(context, "producer", &produce)?
        .succeed(LIMIT)
        .await?;
    wait_until("every window to close", LIMIT, || async {
        let aggregates = topics::read(&context.settings, topic::AGGREGATES).await?;
        if aggregates.is_empty() {
            return Ok(None);
        }
        Ok(check_aggregates(context, 0).await.ok().map(drop))
    })
    .await
}

/// What an aggregator says that refuses to start.
pub(super) async fn refusal(context: &TestContext, name: &str) -> Result<String> {
    refusal_of(context, "aggregator", name).await
}

/// What a service says that refuses to start.
pub(super) async fn refusal_of(context: &TestContext, service: &str, name: &str) -> Result<String> {
    let mut service = Service::start(context, name, &["service", service])?;
    service.fail(LIMIT).await?;
    let said = service.output();
    ensure!(
        said.contains("has lost its position") && said.contains("worker.lost_position"),
        "what to do: {said}"
    );
    Ok(said)
}

/// The files of the aggregator's snapshots.
fn snapshots(context: &TestContext) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for job in ["aggregate-partial", "aggregate-merge"] {
        let folder = format!("{}{job}", context.settings.kafka.topic_prefix);
        for partition in std::fs::read_dir(context.settings.snapshots.url.join(folder))? {
            for file in std::fs::read_dir(partition?.path())? {
                files.push(file?.path());
            }
        }
    }
    files.retain(|file| file.extension().is_some_and(|it| it == "snap"));
    Ok(files)
}

/// The snapshots are made those of another cluster. They are refused, the log serves up to what is
/// committed, and nothing comes twice or late.
async fn of_another_cluster(context: &TestContext) -> Result<()> {
    for file in snapshots(context)? {
        let bytes = std::fs::read(&file)?;
        let snapshot = container::read_any(&bytes)?;
        let (_, rest) = snapshot.header.fingerprint.split_once(' ').context("a cluster")?;
        let header = Header {
            fingerprint: &format!("cluster=another {rest}"),
            ..snapshot.header
        };
        let mut writer = SnapshotWriter::new(&header);
        writer.state().extend_from_slice(snapshot.state);
        std::fs::write(&file, writer.finish())?;
    }
    let mut aggregator = Service::start(context, "copied", &["service", "aggregator"])?;
    aggregator.ready(context.settings.aggregator.metrics_port).await?;
    let said = aggregator.output();
    ensure!(
        said.contains("a snapshot is refused") && said.contains("cluster=another"),
        "they are refused: {said}"
    );
    produce_and_verify(context, "4").await?;
    for name in [topic::LATE.to_owned(), dead_letter(topic::PARTIALS)] {
        let found = topics::read(&context.settings, &name).await?;
        ensure!(found.is_empty(), "{} records in {name}", found.len());
    }
    aggregator.stop().await
}

/// Deletes consumer groups once their members have gone.
pub(super) async fn delete_groups(settings: &Settings, names: &[&str]) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &settings.kafka.bootstrap_servers)
        .create()?;
    for name in names {
        let group = topic_name(&settings.kafka, name);
        wait_until("a group without members to be deleted", LIMIT, || async {
            let deleted = admin.delete_groups(&[&group], &AdminOptions::new()).await?;
            match deleted.into_iter().next() {
                Some(Ok(_)) => Ok(Some(())),
                // An attempt before has done it, and its answer was lost.
                Some(Err((_, RDKafkaErrorCode::GroupIdNotFound))) => Ok(Some(())),
                Some(Err((_, code))) if code == RDKafkaErrorCode::NonEmptyGroup || is_passing(code) => {
                    Ok(None)
                }
                None => Ok(None),
                Some(Err((_, code))) => Err(code.into()),
            }
        })
        .await?;
    }
    Ok(())
}

/// What a group's coordinator says that is elsewhere, or not there yet.
fn is_passing(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::RequestTimedOut
            | Code::OperationTimedOut
    )
}

pub(super) fn member(settings: &Settings, group: &str) -> Result<(BaseConsumer, String)> {
    let group = topic_name(&settings.kafka, group);
    let consumer = consumer_config(&settings.kafka, &group, &Properties::new())?.create()?;
    Ok((consumer, topic_name(&settings.kafka, topic::TRANSACTIONS)))
}

fn committed(settings: &Settings, group: &str, partition: i32) -> Result<i64> {
    let (consumer, topic) = member(settings, group)?;
    let mut list = TopicPartitionList::new();
    list.add_partition(&topic, partition);
    let list = consumer.committed_offsets(list, LIMIT)?;
    let found = list
        .find_partition(&topic, partition)
        .map(|element| element.offset());
    match found {
        Some(Offset::Offset(offset)) => Ok(offset),
        other => anyhow::bail!("{other:?} is committed"),
    }
}

/// Sets a group's offset by hand, once its members have gone.
pub(super) async fn commit(settings: &Settings, group: &str, partition: i32, offset: i64) -> Result<()> {
    let (consumer, topic) = member(settings, group)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, partition, Offset::Offset(offset))?;
    wait_until("a group without members to take an offset", LIMIT, || async {
        let committed = consumer.commit(&list, CommitMode::Sync);
        match committed.as_ref().map_err(KafkaError::rdkafka_error_code) {
            Ok(()) => Ok(Some(())),
            Err(Some(code)) if code == RDKafkaErrorCode::UnknownMemberId || is_passing(code) => Ok(None),
            Err(_) => Ok(Some(committed?)),
        }
    })
    .await
}
