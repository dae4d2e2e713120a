//! One run from start to end.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use indicatif::HumanCount;
use millrace_kafka::client::idempotent_producer_config;
use millrace_settings::Settings;
use millrace_telemetry::{Component, Health, Shutdown, serve};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer};
use tracing::info;

use crate::ledger::{Ledger, LedgerFile};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::plan;
use crate::progress::{Progress, Snapshot};
use crate::replay::ReplayCounts;
use crate::sender::{Counters, Deliveries, DeliveryContext, Sender, Stop, Topics};
use crate::source::Source;
use crate::stream::now_ms;

/// Records that one thread may have in flight.
const IN_FLIGHT_PER_THREAD: usize = 100_000;
/// Time between two looks at the threads.
const TICK: Duration = Duration::from_millis(250);
/// How long the brokers have to answer at the start.
const METADATA_TIMEOUT: Duration = Duration::from_secs(15);
/// Without any acknowledgement for so long while records wait for one, the producer is not ready.
const STALL: Duration = Duration::from_secs(10);

/// What became of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The run's name in the ledger.
    pub run_id: String,
    /// Where the ledger is.
    pub ledger: PathBuf,
    /// Records acknowledged, labels not counted.
    pub acknowledged: u64,
    /// Records and labels of unknown outcome.
    pub failed: u64,
    /// Acknowledged records whose transaction id had been sent before.
    pub duplicates: u64,
    /// Acknowledged records that no consumer can take.
    pub malformed: u64,
    /// Acknowledged labels.
    pub labels: u64,
    /// Rows of a file that are no transaction.
    pub rejected: u64,
    /// How long it took.
    pub elapsed: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate_per_s = self.acknowledged as f64 / self.elapsed.as_secs_f64().max(0.001);
        write!(
            f,
            "{} acknowledged ({} repeated, {} malformed), {} failed, {} rejected, {} labels in {:.1} s ({}/s); ledger {}",
            HumanCount(self.acknowledged),
            HumanCount(self.duplicates),
            HumanCount(self.malformed),
            HumanCount(self.failed),
            HumanCount(self.rejected),
            HumanCount(self.labels),
            self.elapsed.as_secs_f64(),
            HumanCount(rate_per_s.round() as u64),
            self.ledger.display()
        )
    }
}

/// Sends until the count, the time or the file is at its end, or `shutdown` is triggered, and then waits for every
/// record's outcome. Serves metrics and health meanwhile.
///
/// # Errors
/// A part that is needed to start is missing (a broker, a topic, the registry, the file, the ledger's folder), options
/// contradict each other, or sending cannot go on. What had been acknowledged by then is in the ledger. Records that
/// failed are no error: see [`Summary::failed`].
pub async fn run(settings: &Settings, options: Options, shutdown: Shutdown) -> anyhow::Result<Summary> {
    let metrics = Metrics::register()?;
    let health = Health::new("producer");
    let kafka_health = health.component("kafka");
    let telemetry = &settings.telemetry;
    let _server = serve(
        &telemetry.bind_host,
        settings.producer.metrics_port,
        health.clone(),
        shutdown.clone(),
    )?;

    let topics = plan::topics(settings);
    let counts = Arc::new(ReplayCounts::default());
    let encoder = plan::encoder(settings, &options, &topics).await?;
    let sources = plan::sources(settings, &options, encoder, &counts)?;
    let started_ms = now_ms();
    let ledger = Ledger::create(
        &settings.producer.ledger_dir,
        &run_id(started_ms),
        started_ms,
        &topics.transactions,
        settings.aggregator.window_ms,
    )?;
    metrics.target_rate.set(match options {
        Options::Generate(_) => settings.producer.rate_per_s as i64,
        Options::Replay(_) => 0,
    });
    let config = client_config(settings)?;
    let lanes = tokio::task::block_in_place(|| {
        start_lanes(&config, sources, &topics, &metrics, settings.aggregator.window_ms)
    })?;
    info!(
        threads = lanes.threads.len(),
        topic = topics.transactions,
        run = ledger.totals().run_id,
        "sending"
    );
    kafka_health.ready();
    let supervisor = Supervisor {
        started: Instant::now(),
        deadline: duration(&options).map(|duration| Instant::now() + duration),
        progress: Progress::start(count(&options)),
        ledger,
        metrics,
        counts,
        rejected: 0,
        sent: 0,
        kafka_health,
        last_acknowledgement: Instant::now(),
    };
    supervisor.watch(lanes, &shutdown).await
}

fn duration(options: &Options) -> Option<Duration> {
    match options {
        Options::Generate(options) => options.duration,
        Options::Replay(_) => None,
    }
}

fn count(options: &Options) -> Option<u64> {
    match options {
        Options::Generate(options) => options.count,
        Options::Replay(options) => options.count,
    }
}

/// As `20261009T123456Z-1a2b3c`: sorts by time, and two runs of the same second differ.
fn run_id(started_ms: i64) -> String {
    let second = jiff::Timestamp::from_second(started_ms / 1_000).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let unique = uuid::Uuid::new_v4().simple().to_string();
    format!("{}-{}", second.strftime("%Y%m%dT%H%M%SZ"), &unique[..6])
}

fn client_config(settings: &Settings) -> anyhow::Result<ClientConfig> {
    let mut properties = settings.producer.properties.clone();
    properties
        .entry("linger.ms".to_owned())
        .or_insert_with(|| settings.producer.linger_ms.to_string());
    Ok(idempotent_producer_config(&settings.kafka, &properties)?)
}

/// The sending threads and what they share with the supervisor.
struct Lanes {
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
    deliveries: Vec<Arc<Deliveries>>,
    counters: Vec<Arc<Counters>>,
    stop: Arc<Stop>,
}

fn start_lanes(
    config: &ClientConfig,
    sources: Vec<Box<dyn Source>>,
    topics: &Topics,
    metrics: &Metrics,
    window_ms: i64,
) -> anyhow::Result<Lanes> {
    let mut lanes = Lanes {
        threads: Vec::new(),
        deliveries: Vec::new(),
        counters: Vec::new(),
        stop: Arc::new(Stop::default()),
    };
    let mut senders = Vec::new();
    for source in sources {
        let deliveries = Arc::new(Deliveries::new(
            IN_FLIGHT_PER_THREAD,
            window_ms,
            metrics.durations.clone(),
        ));
        let counters = Arc::new(Counters::default());
        let producer: BaseProducer<DeliveryContext> =
            config.create_with_context(DeliveryContext(Arc::clone(&deliveries)))?;
        if senders.is_empty() {
            check_topic(&producer, &topics.transactions)?;
        }
        lanes.deliveries.push(Arc::clone(&deliveries));
        lanes.counters.push(Arc::clone(&counters));
        senders.push(Sender {
            producer,
            source,
            topics: topics.clone(),
            deliveries,
            counters,
            stop: Arc::clone(&lanes.stop),
        });
    }
    for (number, sender) in senders.into_iter().enumerate() {
        let thread = std::thread::Builder::new()
            .name(format!("sender-{number}"))
            .spawn(move || sender.run())
            .context("a sending thread could not be started")?;
        lanes.threads.push(thread);
    }
    Ok(lanes)
}

fn check_topic(producer: &BaseProducer<DeliveryContext>, topic: &str) -> anyhow::Result<()> {
    let metadata = producer
        .client()
        .fetch_metadata(Some(topic), METADATA_TIMEOUT)
        .context("no Kafka broker answers; is kafka.bootstrap_servers right, and the cluster up?")?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    match found {
        Some(found) if found.error().is_none() && !found.partitions().is_empty() => Ok(()),
        _ => Err(anyhow!("there is no topic {topic}: `millrace init` creates it")),
    }
}

struct Supervisor {
    started: Instant,
    deadline: Option<Instant>,
    progress: Progress,
    ledger: Ledger,
    metrics: Metrics,
    counts: Arc<ReplayCounts>,
    rejected: u64,
    sent: u64,
    kafka_health: Component,
    last_acknowledgement: Instant,
}

impl Supervisor {
    async fn watch(mut self, mut lanes: Lanes, shutdown: &Shutdown) -> anyhow::Result<Summary> {
        let mut failure = None;
        while lanes.threads.iter().any(|thread| !thread.is_finished()) {
            if shutdown.is_triggered() {
                lanes.stop.hurry();
                tokio::time::sleep(TICK).await;
            } else {
                tokio::select! {
                    () = tokio::time::sleep(TICK) => {}
                    () = shutdown.wait() => continue,
                }
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                lanes.stop.finish();
            }
            let (ended, going): (Vec<_>, Vec<_>) =
                lanes.threads.into_iter().partition(JoinHandle::is_finished);
            lanes.threads = going;
            failure = failure.or(first_failure(ended));
            if failure.is_some() {
                lanes.stop.finish();
            }
            let written = self
                .collect(&lanes)
                .and_then(|()| Ok(self.ledger.write_if_due()?));
            if let Err(error) = written {
                failure = failure.or(Some(error));
                lanes.stop.finish();
            }
        }
        let threads = std::mem::take(&mut lanes.threads);
        failure = failure.or(first_failure(threads));
        self.collect(&lanes)?;
        self.progress.finish();
        self.ledger.finish()?;
        let summary = self.summary();
        info!("{summary}");
        failure.map_or(Ok(summary), Err)
    }

    /// Takes what the threads counted into metrics, ledger and progress.
    fn collect(&mut self, lanes: &Lanes) -> anyhow::Result<()> {
        for counters in &lanes.counters {
            let (sent, _) = self.metrics.add_counters(counters);
            self.sent += sent;
        }
        let rejected = self.counts.rejected.load(Ordering::Relaxed);
        self.metrics.add_rejected(rejected - self.rejected);
        self.rejected = rejected;
        let (mut queue, mut acknowledged) = (0, 0);
        for deliveries in &lanes.deliveries {
            let tally = deliveries.take_tally();
            queue += deliveries.in_flight();
            acknowledged += tally.acknowledged;
            self.metrics.add_tally(&tally);
            self.ledger.add(&tally);
        }
        self.metrics.queue.set(queue as i64);
        if acknowledged > 0 || queue == 0 {
            self.last_acknowledgement = Instant::now();
            self.kafka_health.ready();
        } else if self.last_acknowledgement.elapsed() > STALL {
            self.kafka_health
                .not_ready(format!("no acknowledgement for {} s", STALL.as_secs()));
        }
        let totals = self.ledger.totals();
        self.progress.show(Snapshot {
            sent: self.sent,
            acknowledged: totals.acknowledged,
            failed: totals.failed + totals.failed_labels,
            rejected,
            queue: queue as u64,
        });
        Ok(())
    }

    fn summary(&self) -> Summary {
        let totals: &LedgerFile = self.ledger.totals();
        Summary {
            run_id: totals.run_id.clone(),
            ledger: self.ledger.path().to_owned(),
            acknowledged: totals.acknowledged,
            failed: totals.failed + totals.failed_labels,
            duplicates: totals.duplicates,
            malformed: totals.malformed,
            labels: totals.labels,
            rejected: self.rejected,
            elapsed: self.started.elapsed(),
        }
    }
}

/// The first error of threads that have ended.
fn first_failure(threads: Vec<JoinHandle<anyhow::Result<()>>>) -> Option<anyhow::Error> {
    threads
        .into_iter()
        .filter_map(|thread| match thread.join() {
            Ok(result) => result.err(),
            Err(_) => Some(anyhow!("a sending thread panicked; its log line says where")),
        })
        .next()
}
