//! How long after a transaction its anomaly can be read.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use millrace_catalog::payments::topic;
use millrace_domain::TransactionId;
use millrace_domain::codec::{AnomalyReader, TransactionReader};
use millrace_kafka::client::{LogBridge, reader_config};
use millrace_kafka::clock::now_ms;
use millrace_kafka::topic_name;
use millrace_registry::SchemaFetcher;
use millrace_service::registry;
use millrace_settings::Settings;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use super::command::Options;
use super::figure::{Figure, Measure, Target};
use super::session::{Session, produced};
use crate::harness::group::Group;
use crate::harness::monitor::{Monitor, SELDOM};
use crate::harness::worker::{AGGREGATOR, DETECTOR, PRODUCER, Worker};
use millrace_kafka::log::TopicLog;

/// Longest wait for anything else.
const LIMIT: Duration = Duration::from_secs(300);
/// Share of the transactions that belong to a pattern, at least.
const FRAUD_SHARE: f64 = 0.002;
/// Between two commits of the detector, whose one thread has all partitions.
const COMMIT_INTERVAL_MS: u64 = 50;
/// What is read before is of a start: the brokers' code, which is compiled meanwhile, caches, first
/// fetches.
const WARM_UP: Duration = Duration::from_secs(60);

/// The detector alone, and then beside the aggregator, whose windows all close at once.
pub(super) async fn measure(session: &Session, options: &Options) -> Result<Vec<Figure>> {
    let alone = run(session, options, "latency", &[DETECTOR]).await?;
    let beside = run(session, options, "latency-beside", &[AGGREGATOR, DETECTOR]).await?;
    let [p50, p90, p99, most] = alone.measures();
    let figure = alone
        .figure
        .with(p50.to_be(Target::AtMost(80.0)))
        .with(p90)
        .with(p99.to_be(Target::AtMost(250.0)))
        .with(most);
    let measures = beside.measures();
    Ok(vec![
        figure,
        measures.into_iter().fold(beside.figure, Figure::with),
    ])
}

/// One run.
struct Run {
    figure: Figure,
    /// In milliseconds, from the least.
    latencies: Vec<i64>,
}

impl Run {
    fn measures(&self) -> [Measure; 4] {
        [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("most", 1.0)].map(|(name, share)| {
            let at = ((self.latencies.len() - 1) as f64 * share) as usize;
            Measure::new(name, self.latencies[at] as f64, "ms")
        })
    }
}

async fn run(session: &Session, options: &Options, name: &str, jobs: &[Worker]) -> Result<Run> {
    let mut settings = session.settings(name)?;
    settings.producer.rate_per_s = options.latency_rate;
    // As many transactions a second as two threads have by default.
    settings.detector.worker.threads = 1;
    settings.detector.worker.commit_interval_ms = COMMIT_INTERVAL_MS;
    // Enough anomalies for a percentile.
    settings.producer.fraud_share = settings.producer.fraud_share.max(FRAUD_SHARE);
    let mut fleet = session.pipeline(&settings, name).await?;
    for worker in jobs {
        fleet.start(*worker, &[])?;
        fleet.ready(*worker).await?;
    }
    let monitor = Monitor::start(&settings, SELDOM)?;
    let time = options.time.min(Duration::from_secs(60));
    let (read, whole) = (settings.clone(), time + WARM_UP);
    let reading = tokio::task::spawn_blocking(move || read_anomalies(&read, whole));
    let seconds = format!("{}s", whole.as_secs());
    fleet.start_with(PRODUCER, &[], &["--for".to_owned(), seconds])?;
    let watch = session.watch(&fleet, &[&[PRODUCER], jobs].concat())?;
    let sending = produced(&mut fleet, whole + LIMIT).await?;
    let wall_s = sending.elapsed()?.as_secs_f64();
    let usage = watch.stop();
    let seen = reading.await??;
    monitor.drained(Group::Detect, LIMIT).await?;
    let from_ms = i64::try_from(sending.duration_since(std::time::UNIX_EPOCH)?.as_millis())?
        + i64::try_from(WARM_UP.as_millis())?;
    let read = settings.clone();
    let (records, mut latencies) =
        tokio::task::spawn_blocking(move || latencies(&read, seen, from_ms)).await??;
    session.clear(&settings, &mut fleet).await?;
    if latencies.is_empty() {
        bail!("no anomaly came of {records} transactions: nothing to measure");
    }
    latencies.sort_unstable();
    let beside = if jobs.contains(&AGGREGATOR) {
        ", beside the aggregator"
    } else {
        ""
    };
    let figure = Figure {
        what: format!(
            "latency: {} a second{beside}, a commit every {COMMIT_INTERVAL_MS} ms, {} anomalies; from the append to the leader's log,\nwhich is before the acknowledgement, until a \
             read_committed consumer has it",
            options.latency_rate,
            latencies.len()
        ),
        records,
        wall_s,
        usage,
        ..Figure::default()
    };
    Ok(Run { figure, latencies })
}

/// When each anomaly was read, by the transaction that fired it.
fn read_anomalies(settings: &Settings, time: Duration) -> Result<HashMap<TransactionId, i64>> {
    let mut config = reader_config(&settings.kafka, &format!("{}bench", settings.kafka.topic_prefix))?;
    config.set("fetch.wait.max.ms", "10");
    let consumer: BaseConsumer<LogBridge> = config.create_with_context(LogBridge)?;
    let topic = topic_name(&settings.kafka, topic::ANOMALIES);
    let metadata = consumer.fetch_metadata(Some(&topic), LIMIT)?;
    let partitions = metadata.topics().first().context("no such topic")?.partitions();
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(&topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let reader = AnomalyReader::new(SchemaFetcher::new(registry::config(&settings.schema_registry)));
    let mut seen = HashMap::new();
    let end = Instant::now() + time;
    while Instant::now() < end {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let now = now_ms();
        let anomaly = reader.read(message.payload().unwrap_or_default())?;
        if let Some(id) = anomaly.transaction_ids.last() {
            seen.entry(*id).or_insert(now);
        }
    }
    Ok(seen)
}

/// The number of transactions, and in milliseconds how long after its append each that fired since
/// `from_ms` was seen to.
fn latencies(
    settings: &Settings,
    seen: HashMap<TransactionId, i64>,
    from_ms: i64,
) -> Result<(u64, Vec<i64>)> {
    let reader = TransactionReader::new(SchemaFetcher::new(registry::config(&settings.schema_registry)));
    let mut log = TopicLog::open(&settings.kafka, topic_name(&settings.kafka, topic::TRANSACTIONS))?;
    let (mut records, mut sent) = (0, HashMap::new());
    log.read_new(|message| {
        records += 1;
        let transaction = reader.read(message.payload().unwrap_or_default())?;
        if seen.contains_key(&transaction.transaction_id) {
            // Of several copies the last one fired: a replay is an anomaly of the later.
            sent.insert(
                transaction.transaction_id,
                message.timestamp().to_millis().unwrap_or(0),
            );
        }
        anyhow::Ok(())
    })?;
    let of = |(id, seen_ms): (TransactionId, i64)| Some((*sent.get(&id)?, seen_ms));
    let pairs = seen.into_iter().filter_map(of);
    let latencies = pairs.filter(|(sent_ms, _)| *sent_ms >= from_ms);
    Ok((
        records,
        latencies
            .map(|(sent_ms, seen_ms)| (seen_ms - sent_ms).max(0))
            .collect(),
    ))
}
