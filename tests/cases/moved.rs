//! Offsets set forward by hand, and a topic that was made anew.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use millrace_catalog::Service as Known;
use millrace_catalog::payments::topic;
use millrace_domain::codec::AggregateReader;
use millrace_kafka::topic_name;
use millrace_settings::LostPosition;
use millrace_telemetry::exposition;
use millrace_tests::pipeline::{self, LIMIT};
use millrace_tests::service::Service;
use millrace_tests::{TestContext, groups, sample, send, topics, wait_until};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::positions::{PARTIAL, commit, member, refusal};

const WINDOW_MS: i64 = 10_000;
/// The windows of a test lie as far apart.
const STEP_MS: i64 = 60_000;
const PARTITIONS: i32 = 5;

/// One window's payments: in every partition, and of all ten merchants.
#[derive(Debug, Clone, Copy)]
struct Set {
    number: u32,
    count: u32,
}

const FIRST: Set = Set::of(0, 100);

impl Set {
    const fn of(number: u32, count: u32) -> Self {
        Self { number, count }
    }

    fn start_ms(self, begin_ms: i64) -> i64 {
        begin_ms + i64::from(self.number) * STEP_MS
    }

    fn send(self, context: &TestContext, begin_ms: i64) -> Result<()> {
        let kafka = &context.settings.kafka;
        let producer = send::producer(kafka, &[])?;
        let first = self.number * 1_000;
        let payments =
            (first..first + self.count).map(|number| sample::transaction(number, self.start_ms(begin_ms)));
        send::send(&producer, kafka, payments, None, None)?;
        send::flush(&producer)
    }
}

/// Purchases by the start of their window, of all final aggregates.
async fn purchases(context: &TestContext) -> Result<BTreeMap<i64, u64>> {
    let records = topics::read(&context.settings, topic::AGGREGATES).await?;
    let reader = AggregateReader::new(pipeline::schemas(context));
    tokio::task::spawn_blocking(move || {
        let mut sums = BTreeMap::new();
        for record in records {
            let aggregate = reader.read(&record.payload)?;
            if aggregate.is_final() {
                *sums.entry(aggregate.window_start_ms).or_default() += aggregate.totals.purchase_count;
            }
        }
        Ok(sums)
    })
    .await?
}

/// Waits until just these have come out, each payment once, and nothing was late.
async fn wait_for(context: &TestContext, begin_ms: i64, sets: &[Set]) -> Result<()> {
    let expected = sets
        .iter()
        .map(|set| (set.start_ms(begin_ms), u64::from(set.count)))
        .collect::<BTreeMap<_, _>>();
    let last = sets.last().context("a window")?;
    let (last, count) = (last.start_ms(begin_ms), u64::from(last.count));
    wait_until("the last window to close", LIMIT, || async {
        let is_closed = purchases(context)
            .await?
            .get(&last)
            .is_some_and(|found| *found >= count);
        Ok(is_closed.then_some(()))
    })
    .await?;
    let found = purchases(context).await?;
    ensure!(found == expected, "found {found:?}, expected {expected:?}");
    let late = topics::read(&context.settings, topic::LATE).await?;
    ensure!(late.is_empty(), "{} records are late", late.len());
    Ok(())
}

/// An aggregator that has worked off the first window and has stopped; the begin of that window.
async fn stopped_after_the_first(context: &mut TestContext) -> Result<i64> {
    let settings = &mut context.settings;
    settings.aggregator.window_ms = WINDOW_MS;
    settings.aggregator.worker.threads = 1;
    settings.aggregator.worker.idle_timeout_ms = 2_000;
    settings.snapshots.interval_ms = 500;
    let now_ms = millrace_kafka::clock::now_ms();
    let begin_ms = now_ms / WINDOW_MS * WINDOW_MS - 10 * STEP_MS;
    pipeline::init(context).await?;
    FIRST.send(context, begin_ms)?;
    let aggregator = start(context, "aggregator").await?;
    wait_for(context, begin_ms, &[FIRST]).await?;
    aggregator.stop().await?;
    Ok(begin_ms)
}

async fn start(context: &TestContext, name: &str) -> Result<Service> {
    let mut aggregator = Service::start(context, name, &["service", "aggregator"])?;
    aggregator.ready(context.settings.aggregator.metrics_port).await?;
    Ok(aggregator)
}

/// The group's offsets are set forward while the job is stopped: to a time, with a window behind it
/// that is still open, and to the log's end, with a window behind it that was closed since. What is
/// passed over is in the state, so that the open window comes out whole once it closes; what would
/// have come out of it on the way does not.
pub(super) async fn offsets_set_forward_are_taken(mut context: TestContext) -> Result<()> {
    let begin_ms = stopped_after_the_first(&mut context).await?;
    let (behind, ahead) = (Set::of(1, 100), Set::of(2, 100));
    behind.send(&context, begin_ms)?;
    // The next window's records have later stamps of the brokers.
    let records = topics::read(&context.settings, topic::TRANSACTIONS).await?;
    let newest_ms = records.iter().map(|record| record.timestamp_ms).max();
    let passed_ms = newest_ms.context("records")? + 1;
    wait_until("the clock to go on", LIMIT, || async {
        Ok((millrace_kafka::clock::now_ms() > passed_ms).then_some(()))
    })
    .await?;
    ahead.send(&context, begin_ms)?;
    for (partition, offset) in offsets_at(&context, passed_ms)? {
        commit(&context.settings, PARTIAL, partition, offset).await?;
    }
    let aggregator = start(&context, "from-a-time").await?;
    wait_for(&context, begin_ms, &[FIRST, behind, ahead]).await?;
    aggregator.stop().await?;

    let (closed, open) = (Set::of(3, 100), Set::of(4, 100));
    closed.send(&context, begin_ms)?;
    open.send(&context, begin_ms)?;
    let ends = groups::ends(&context.settings, topic::TRANSACTIONS).await?;
    for (partition, end) in (0..).zip(ends) {
        commit(&context.settings, PARTIAL, partition, end).await?;
    }
    let aggregator = start(&context, "from-the-end").await?;
    wait_for(&context, begin_ms, &[FIRST, behind, ahead, open]).await?;
    aggregator.stop().await
}

/// The first offset of each partition whose record the broker has stamped at `time_ms` or later.
fn offsets_at(context: &TestContext, time_ms: i64) -> Result<Vec<(i32, i64)>> {
    let (consumer, topic) = member(&context.settings, PARTIAL)?;
    let mut times = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        times.add_partition_offset(&topic, partition, Offset::Offset(time_ms))?;
    }
    let found = consumer.offsets_for_times(times, LIMIT)?;
    let offset = |partition| match found.find_partition(&topic, partition).map(|it| it.offset()) {
        Some(Offset::Offset(offset)) => Ok((partition, offset)),
        other => anyhow::bail!("{other:?} is partition {partition}'s offset at {time_ms}"),
    };
    (0..PARTITIONS).map(offset).collect()
}

/// How much later than the job's last word a log's records must be to be told apart by it.
const CLOCKS_MS: i64 = 10_000;

/// The topic was deleted and made anew, and has more records than were committed, of a later time,
/// or fewer: the job refuses, and says so. Told to go on, it takes the new log from its start, with
/// an empty state, and needs to be told so once.
pub(super) async fn a_topic_made_anew_is_told_apart(mut context: TestContext) -> Result<()> {
    let begin_ms = stopped_after_the_first(&mut context).await?;
    let stopped_ms = millrace_kafka::clock::now_ms();
    let (few, last) = (Set::of(1, 25), Set::of(2, 100));
    make_anew(&context).await?;
    are_apart(stopped_ms).await?;
    FIRST.send(&context, begin_ms)?;
    few.send(&context, begin_ms)?;
    refused_as_anew(&context, "longer").await?;
    make_anew(&context).await?;
    few.send(&context, begin_ms)?;
    refused_as_anew(&context, "shorter").await?;

    context.settings.aggregator.worker.lost_position = LostPosition::Continue;
    let aggregator = start(&context, "goes-on").await?;
    wait_for(&context, begin_ms, &[FIRST, few]).await?;
    aggregator.stop().await?;

    context.settings.aggregator.worker.lost_position = LostPosition::Stop;
    let aggregator = start(&context, "as-ever").await?;
    last.send(&context, begin_ms)?;
    wait_for(&context, begin_ms, &[FIRST, few, last]).await?;
    aggregator.stop().await
}

/// The topic is deleted and made anew under a sink that runs: the new log is read from its start,
/// and what is committed is of it.
pub(super) async fn a_running_sink_goes_on_in_a_new_log(context: TestContext) -> Result<()> {
    let (settings, group) = (&context.settings, Known::ElasticSink.group());
    let begin_ms = millrace_kafka::clock::now_ms() / WINDOW_MS * WINDOW_MS;
    pipeline::init(&context).await?;
    let mut sink = Service::start(&context, "elastic-sink", &["service", "elastic-sink"])?;
    sink.ready(settings.elastic_sink.metrics_port).await?;
    FIRST.send(&context, begin_ms)?;
    groups::wait_until_read(settings, &group, topic::TRANSACTIONS).await?;
    make_anew(&context).await?;
    Set::of(1, 25).send(&context, begin_ms)?;
    groups::wait_until_at_the_end(settings, &group, topic::TRANSACTIONS).await?;
    let said = sink.output();
    ensure!(said.contains("the topic was made anew"), "{said}");
    let text = pipeline::metrics_text(settings.elastic_sink.metrics_port).await?;
    let counted = exposition::sum(&text, "millrace_new_logs_total");
    let partitions = f64::from(PARTITIONS);
    ensure!(
        counted.is_some_and(|counted| (1.0..=partitions).contains(&counted)),
        "{counted:?} of {partitions} partitions are counted"
    );
    sink.stop().await
}

/// Waits until what comes is so much later than what a job wrote before `stopped_ms`.
pub(super) async fn are_apart(stopped_ms: i64) -> Result<()> {
    wait_until("clocks that differ to tell the logs apart", LIMIT, || async {
        let apart_ms = millrace_kafka::clock::now_ms() - stopped_ms;
        Ok((apart_ms > CLOCKS_MS).then_some(()))
    })
    .await
}

async fn refused_as_anew(context: &TestContext, name: &str) -> Result<()> {
    let said = refusal(context, name).await?;
    ensure!(
        said.contains("the topic was made anew"),
        "{name}: what has happened: {said}"
    );
    Ok(())
}

pub(super) async fn make_anew(context: &TestContext) -> Result<()> {
    delete(context, topic::TRANSACTIONS).await?;
    pipeline::init(context).await?;
    topics::known_to_all_brokers(&context.settings).await
}

/// Deletes a topic, and waits until it is gone.
pub(super) async fn delete(context: &TestContext, topic: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &context.settings.kafka.bootstrap_servers)
        .create()?;
    let name = topic_name(&context.settings.kafka, topic);
    wait_until("the topic to be deleted", LIMIT, || async {
        let deleted = admin.delete_topics(&[&name], &AdminOptions::new()).await?;
        let is_gone = |answer| matches!(answer, Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)));
        Ok(deleted.into_iter().all(is_gone).then_some(()))
    })
    .await
}
