//! One run from start to end.

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::future::join_all;
use indicatif::HumanCount;
use millrace_catalog::Service;
use millrace_clickstream::World as Visitors;
use millrace_kafka::client::idempotent_producer_config;
use millrace_kafka::clock::now_ms;
use millrace_publisher::ledger::{Heading, Ledger};
use millrace_publisher::{Lanes, RunId, Spec, Supervisor};
use millrace_service::process::Running;
use millrace_settings::Settings;
use millrace_telemetry::{Health, Shutdown, serve};
use rdkafka::ClientConfig;
use tracing::info;

use crate::beside::{Beside, Wanted, World};
use crate::ledger::Facts;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::plan::{self, Topics};
use crate::progress::Progress;
use crate::readings::Devices;
use crate::replay::ReplayCounts;
use crate::shop::Shoppers;

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
    /// Rows of a file that go to the late topic, as far as the replay can know.
    pub late: u64,
    /// Whether late rows were asked for.
    pub forced: bool,
    /// How long it took.
    pub elapsed: Duration,
}

impl Summary {
    fn new(ledger: &Ledger<Facts>, counts: &ReplayCounts, forced: bool, elapsed: Duration) -> Self {
        let totals = ledger.totals();
        Self {
            run_id: totals.run_id.clone(),
            ledger: ledger.path().to_owned(),
            acknowledged: totals.acknowledged,
            failed: totals.failed + totals.failed_labels,
            duplicates: totals.duplicates,
            malformed: totals.malformed,
            labels: totals.labels,
            rejected: counts.rejected.load(Ordering::Relaxed),
            late: counts.late.load(Ordering::Relaxed),
            forced,
            elapsed,
        }
    }
}

impl Summary {
    /// Whether everything was sent that was to be sent, and nothing is late unasked.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        let is_nothing = self.acknowledged == 0 && self.rejected > 0;
        self.failed == 0 && !is_nothing && (self.late == 0 || self.forced)
    }
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
        )?;
        match self.late {
            0 => Ok(()),
            late => write!(
                f,
                "; {} of them late: their windows were closed, and they are in no aggregate",
                HumanCount(late)
            ),
        }
    }
}

/// Sends until the count, the time or the file is at its end, or `shutdown` is triggered, and then
/// waits for every record's outcome. Serves metrics and health meanwhile.
///
/// # Errors
/// A part that is needed to start is missing (a broker, a topic, the registry, the file, the
/// ledger's folder), options contradict each other, or sending cannot go on. What had been
/// acknowledged by then is in the ledger. Records that failed are no error: see
/// [`Summary::failed`].
pub fn run<'a>(settings: &'a Settings, options: Options, shutdown: Shutdown) -> Running<'a, Summary> {
    Box::pin(send_all(settings, options, shutdown))
}

async fn send_all(settings: &Settings, options: Options, shutdown: Shutdown) -> anyhow::Result<Summary> {
    let metrics = Metrics::register()?;
    let health = Health::new(Service::Producer.name());
    let kafka_health = health.component("kafka");
    let telemetry = &settings.telemetry;
    let _server = serve(
        &telemetry.bind_host,
        metrics_port(settings, &options),
        health.clone(),
        shutdown.clone(),
    )?;

    let topics = plan::topics(settings);
    let counts = Arc::new(ReplayCounts::default());
    let encoder = plan::encoder(settings, &options, &topics).await?;
    let started_ms = now_ms();
    let run = RunId::new(started_ms);
    let run_in_ids = plan::run_in_ids(settings, &options, run.tag());
    let spec = spec(settings, &options, &topics, &metrics)?;
    let prepared = {
        let (settings, options) = (settings.clone(), options.clone());
        let (counts, shutdown) = (Arc::clone(&counts), shutdown.clone());
        tokio::task::spawn_blocking(move || {
            let sources = plan::sources(&settings, &options, encoder, run_in_ids, &counts, &|| {
                shutdown.is_triggered()
            })?;
            Lanes::prepare(&spec, sources)
        })
    };
    let mut lanes = prepared.await.context("a start was cut off")??;
    let heading = Heading {
        run_id: run.to_string(),
        started_ms,
        run_in_ids,
        topic: topics.transactions.clone(),
        window_ms: settings.aggregator.window_ms,
    };
    let ledger = Ledger::create(&settings.producer.ledger_dir, &heading)?;
    metrics.target_rate.set(target_rate_per_s(settings, &options));
    let started = Instant::now();
    let deadline = duration(&options).map(|duration| started + duration);
    let beside = beside(settings, &options, &health, deadline).await?;
    lanes.start()?;
    info!(
        threads = lanes.len(),
        topic = topics.transactions,
        run = ledger.totals().run_id,
        "sending"
    );
    kafka_health.ready();
    let (mut progress, mut counted) = (Progress::start(count(&options)), 0);
    let supervisor = Supervisor::new(ledger, metrics.sending, kafka_health, deadline);
    // What is beside the transactions ends with them, however these end.
    let ending = Shutdown::new();
    let beside = join_all(beside.into_iter().map(|send| send(&shutdown, &ending)));
    let watched = supervisor.watch(lanes, &shutdown, |state| {
        let rejected = counts.rejected.load(Ordering::Relaxed);
        metrics.rejected.inc_by(rejected - counted);
        counted = rejected;
        progress.show(state, rejected);
    });
    let watched = ending_with(watched, &ending);
    let (ended, beside) = tokio::join!(watched, beside);
    progress.finish();
    let ended = ended?;
    let forced = matches!(&options, Options::Replay(options) if options.force);
    let summary = Summary::new(&ended.ledger, &counts, forced, started.elapsed());
    info!("{summary}");
    ended.failure.map_or(Ok(()), Err)?;
    beside.into_iter().collect::<anyhow::Result<()>>()?;
    Ok(summary)
}

/// Tells `ending` when all is over.
async fn ending_with<T>(all: impl Future<Output = T>, ending: &Shutdown) -> T {
    let ended = all.await;
    ending.trigger();
    ended
}

/// Sends a stream until a stop is asked for, or all else has ended.
type Sending = Box<dyn for<'a> FnOnce(&'a Shutdown, &'a Shutdown) -> Running<'a, ()>>;

/// What is sent beside the transactions: the streams that are asked for.
async fn beside(
    settings: &Settings,
    options: &Options,
    health: &Health,
    deadline: Option<Instant>,
) -> anyhow::Result<Vec<Sending>> {
    let producer = &settings.producer;
    let wanted = Wanted {
        is_enabled: settings.clickstream.enabled,
        rate_per_s: producer.clicks_per_s,
        window_ms: settings.clickstream.window_ms,
        ledger_dir: &producer.clicks_ledger_dir(),
    };
    let visitors = |run| Visitors::new(producer.seed, producer.users, run);
    let clicks = Beside::prepare(settings, options, health, deadline, wanted, visitors).await?;
    let wanted = Wanted {
        is_enabled: settings.iot.enabled,
        rate_per_s: producer.iot_per_s,
        window_ms: settings.iot.window_ms,
        ledger_dir: &producer.iot_ledger_dir(),
    };
    let devices = |run| Devices::new(producer.seed, producer.devices, run);
    let readings = Beside::prepare(settings, options, health, deadline, wanted, devices).await?;
    let wanted = Wanted {
        is_enabled: settings.commerce.enabled,
        rate_per_s: producer.commerce_per_s,
        window_ms: settings.commerce.window_ms,
        ledger_dir: &producer.commerce_ledger_dir(),
    };
    let shoppers = |run| Shoppers::new(producer.seed, producer.users, run);
    let shop = Beside::prepare(settings, options, health, deadline, wanted, shoppers).await?;
    let all = [clicks.map(sending), readings.map(sending), shop.map(sending)];
    Ok(all.into_iter().flatten().collect())
}

fn sending<W: World>(stream: Beside<W>) -> Sending {
    Box::new(move |shutdown, ending| Box::pin(send_beside(stream, shutdown, ending)))
}

async fn send_beside<W: World>(
    stream: Beside<W>,
    shutdown: &Shutdown,
    ending: &Shutdown,
) -> anyhow::Result<()> {
    let stop = Shutdown::new();
    let stopping = async {
        tokio::select! {
            () = shutdown.wait() => {}
            () = ending.wait() => {}
        }
        stop.trigger();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = stream.run(&stop) => {
            if let Err(error) = &ended {
                tracing::error!(error = format!("{error:#}"), "no {} are sent any more", W::ABOUT.items);
            }
            ended
        }
        () = stopping => Ok(()),
    }
}

/// The port of metrics and health. A replay comes beside a producer that runs, as `millrace up` has
/// one: where that has the port, any other does.
fn metrics_port(settings: &Settings, options: &Options) -> u16 {
    let port = settings.producer.metrics_port;
    let bound = TcpListener::bind((settings.telemetry.bind_host.as_str(), port));
    match (options, bound) {
        (Options::Replay(_), Err(error)) if error.kind() == io::ErrorKind::AddrInUse => {
            info!(port, "producer.metrics_port is in use: metrics are on a free one");
            0
        }
        _ => port,
    }
}

/// 0 is as fast as it goes.
fn target_rate_per_s(settings: &Settings, options: &Options) -> i64 {
    match options {
        Options::Generate(_) => settings.producer.rate_per_s as i64,
        Options::Replay(_) => 0,
    }
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

/// The least linger at a rate. Batches that are due but find no free request keep librdkafka's
/// threads awake (docs/reliability.md), and brokers pay by the batch: where many records come, they
/// wait for a fuller one.
fn least_linger_ms(rate_per_s: u64) -> u64 {
    match rate_per_s {
        0 | 200_000.. => 300,
        20_000.. => 100,
        _ => 0,
    }
}

fn spec(settings: &Settings, options: &Options, topics: &Topics, metrics: &Metrics) -> anyhow::Result<Spec> {
    Ok(Spec {
        client: client_config(settings, options)?,
        topics: topics.into(),
        durations: metrics.sending.durations(),
        window_ms: settings.aggregator.window_ms,
    })
}

fn client_config(settings: &Settings, options: &Options) -> anyhow::Result<ClientConfig> {
    let least_ms = match options {
        Options::Generate(_) => least_linger_ms(settings.producer.rate_per_s),
        Options::Replay(_) => 0,
    };
    let linger_ms = settings.producer.linger_ms.max(least_ms);
    let mut properties = settings.producer.properties.clone();
    properties
        .entry("linger.ms".to_owned())
        .or_insert_with(|| linger_ms.to_string());
    Ok(idempotent_producer_config(&settings.kafka, &properties)?)
}
