//! The producer as fast as it goes, and what the others take to work off what it has sent.

use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use millrace_settings::{MisplacedRecords, Settings};

use super::command::Options;
use super::figure::{Figure, Measure, Target};
use super::line::Line;
use super::session::{CLUSTER, ELASTICSEARCH, Session, produced};
use super::stream::event_rate_per_s;
use crate::harness::fleet::Fleet;
use crate::harness::group::Group;
use crate::harness::monitor::{Monitor, SELDOM};
use crate::harness::worker::{AGGREGATOR, DETECTOR, PRODUCER, REKEY, SINK, Worker};

/// Longest time for one backlog.
const LIMIT: Duration = Duration::from_secs(30 * 60);
/// Documents of the sink's line: Elasticsearch is much slower than everything else.
const SINK_RECORDS: u64 = 500_000;

/// A pipeline whose topic of transactions is full.
pub(super) struct Backlog {
    settings: Settings,
    fleet: Fleet,
    records: u64,
}

impl Backlog {
    /// Fills a topic with simulated event time that ends about now. Returns the figure of the
    /// producer too.
    pub(super) async fn fill(session: &Session, options: &Options, line: Line) -> Result<(Self, Figure)> {
        let records = match line {
            Line::Sink => options.records.min(SINK_RECORDS),
            _ => options.records,
        };
        let name = match line {
            Line::Sink => "sink",
            Line::Rekey => "rekey",
            _ => "backlog",
        };
        let mut settings = session.settings(name)?;
        if line == Line::Rekey {
            settings.aggregator.misplaced_records = MisplacedRecords::Rekey;
            settings.detector.misplaced_records = MisplacedRecords::Rekey;
        }
        settings.producer.rate_per_s = 0;
        settings.elastic_sink.transaction_share = 1.0;
        let mut fleet = session.pipeline(&settings, name).await?;
        let event_rate = event_rate_per_s(options.users);
        let spans = Duration::from_secs(records / event_rate + 1);
        let start = minute_of(SystemTime::now() - spans)?.to_string();
        let arguments = [
            ("--count", records.to_string()),
            ("--start-time", start),
            ("--event-rate", event_rate.to_string()),
        ];
        let arguments: Vec<String> = arguments
            .into_iter()
            .flat_map(|(key, value)| [key.to_owned(), value])
            .collect();
        fleet.start_with(PRODUCER, &[], &arguments)?;
        let watch = session.watch(&fleet, &[PRODUCER])?;
        let sending = produced(&mut fleet, LIMIT).await?;
        let wall_s = sending.elapsed()?.as_secs_f64();
        let figure = Figure {
            what: "producer: realistic transactions, Avro, RF 3, acks=all, lz4".to_owned(),
            records,
            wall_s,
            usage: watch.stop(),
            ..Figure::default()
        };
        let cluster_us = figure.cpu_s(CLUSTER) * 1e6 / records as f64;
        let figure = figure
            .per_cpu_second("producer", Some(Target::AtLeast(700_000.0)))
            .with(
                Measure::new("records a second", records as f64 / wall_s, "1/s")
                    .to_be(Target::AtLeast(600_000.0)),
            )
            .with(Measure::new(
                "the cluster's own cost of a record",
                cluster_us,
                "µs",
            ));
        let backlog = Self {
            settings,
            fleet,
            records,
        };
        Ok((backlog, figure))
    }

    /// Starts a service and waits until it has worked everything off.
    pub(super) async fn work_off(&mut self, session: &Session, line: Line) -> Result<Figure> {
        let (worker, group) = match line {
            Line::Aggregator => (AGGREGATOR, Group::Partial),
            Line::Sink => (SINK, Group::Sink),
            Line::Rekey => (REKEY, Group::Rekey),
            _ => (DETECTOR, Group::Detect),
        };
        let monitor = Monitor::start(&self.settings, SELDOM)?;
        self.fleet.start(worker, &[])?;
        let watch = session.watch(&self.fleet, &[worker])?;
        self.fleet.ready(worker).await?;
        let ready = Instant::now();
        monitor.drained(group, LIMIT).await?;
        let wall_s = ready.elapsed().as_secs_f64();
        let usage = watch.stop();
        self.fleet.stop(worker).await?;
        let figure = Figure {
            what: format!("{line}: exactly once, from a backlog, its whole process"),
            records: self.records,
            wall_s,
            usage,
            ..Figure::default()
        };
        let rate = Measure::new("records a second", self.records as f64 / wall_s, "1/s");
        Ok(judge(figure, line, worker).with(rate))
    }

    /// Deletes the topics.
    pub(super) async fn clear(mut self, session: &Session) -> Result<()> {
        session.clear(&self.settings, &mut self.fleet).await
    }
}

/// The minute that `at` lies in: a stream that begins at the start of one closes as many windows
/// in every run, whatever second a run was started at.
fn minute_of(at: SystemTime) -> Result<Timestamp> {
    let at = Timestamp::try_from(at)?;
    Ok(at.round(
        TimestampRound::new()
            .smallest(Unit::Minute)
            .mode(RoundMode::Trunc),
    )?)
}

fn judge(figure: Figure, line: Line, worker: Worker) -> Figure {
    let name = worker.0.name();
    match line {
        Line::Aggregator => figure.per_cpu_second(name, Some(Target::AtLeast(1.6e6))),
        Line::Rekey => figure.per_cpu_second(name, None),
        Line::Sink => {
            let share = figure.cpu_s(name) / figure.cpu_s(ELASTICSEARCH).max(f64::MIN_POSITIVE);
            let share = Measure::new(
                "processor time, as a share of Elasticsearch's",
                share * 100.0,
                "%",
            );
            figure
                .per_cpu_second(name, None)
                .with(share.to_be(Target::AtMost(15.0)))
        }
        _ => {
            let peak = figure.usage.get(name).map_or(0.0, |usage| usage.peak_memory_mb);
            let peak = Measure::new("peak memory", peak, "MB").to_be(Target::AtMost(400.0));
            figure.per_cpu_second(name, Some(Target::AtLeast(1e6))).with(peak)
        }
    }
}
