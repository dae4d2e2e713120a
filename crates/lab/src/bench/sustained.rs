//! Everything at once, at a steady rate, verified at the end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::command::Options;
use super::figure::{Figure, Measure, Target};
use super::session::{Session, produced};
use super::stream::users_for;
use super::usage::Usage;
use crate::harness::group::Group;
use crate::harness::monitor::{Monitor, SELDOM};
use crate::harness::worker::{AGGREGATOR, DETECTOR, PRODUCER, READERS, SINK};

/// Longest wait for the lag that is left.
const LIMIT: Duration = Duration::from_secs(30 * 60);

pub(super) async fn measure(session: &Session, options: &Options) -> Result<Vec<Figure>> {
    let mut settings = session.settings("sustained")?;
    settings.producer.rate_per_s = options.rate;
    settings.producer.users = users_for(options.rate, options.users);
    // Transactions are another line's: Elasticsearch takes a hundredth of the headline rate.
    settings.elastic_sink.transaction_share = 0.0;
    let mut fleet = session.pipeline(&settings, "sustained").await?;
    for worker in READERS {
        fleet.start(worker, &[])?;
    }
    for worker in READERS {
        fleet.ready(worker).await?;
    }
    let monitor = Monitor::start(&settings, SELDOM)?;
    let time = format!("{}s", options.time.as_secs());
    fleet.start_with(PRODUCER, &[], &["--for".to_owned(), time])?;
    let watch = session.watch(&fleet, &[PRODUCER, AGGREGATOR, DETECTOR, SINK])?;
    let half = options.time / 2;
    tokio::time::sleep(half).await;
    let lags = || [Group::Partial, Group::Detect].map(|group| monitor.lag(group).max(0) as f64);
    let at_half = lags();
    let sending = produced(&mut fleet, options.time + LIMIT).await?;
    let wall_s = sending.elapsed()?.as_secs_f64();
    let at_end = lags();
    let usage = watch.stop();
    let drained = Instant::now();
    monitor.drained(Group::Detect, LIMIT).await?;
    monitor.drained(Group::Partial, LIMIT).await?;
    let drained_s = drained.elapsed().as_secs_f64();
    let options_of_verify = millrace_verify::Options {
        timeout: LIMIT,
        ..millrace_verify::Options::default()
    };
    let report = millrace_verify::run(&settings, &options_of_verify).await?;
    session.clear(&settings, &mut fleet).await?;
    let records = report.counts.acknowledged;
    let held = Measure::new("records acknowledged a second", records as f64 / wall_s, "1/s");
    let users = settings.producer.users;
    let mut figure =
        figure(records, wall_s, users, usage).with(held.to_be(Target::AtLeast(options.rate as f64 * 0.99)));
    let saw = 1.0 / half.as_secs_f64().max(1.0);
    for (index, name) in ["aggregator", "detector"].into_iter().enumerate() {
        let growth = (at_end[index] - at_half[index]) / (wall_s - half.as_secs_f64()).max(1.0);
        let lag = Measure::new(format!("lag of the {name} at the end"), at_end[index], "records");
        // A lag that grows by less than a hundredth of the rate does not grow; beside that, commits
        // come once a second, and a look comes before one or after it.
        let growth = Measure::new(format!("growth of the {name}'s lag, second half"), growth, "1/s");
        figure = figure
            .with(lag)
            .with(growth.to_be(Target::AtMost(options.rate as f64 * (0.01 + saw))));
    }
    let passed = Measure::new("verify passed", f64::from(u8::from(report.passed)), "");
    Ok(vec![
        figure
            .with(Measure::new("worked off after the end in", drained_s, "s"))
            .with(passed.to_be(Target::AtLeast(1.0))),
    ])
}

fn figure(records: u64, wall_s: f64, users: u32, usage: BTreeMap<String, Usage>) -> Figure {
    let shares = usage.clone();
    let mut figure = Figure {
        what: format!("sustained: everything at once, {users} users"),
        records,
        wall_s,
        usage,
        ..Figure::default()
    };
    for (name, usage) in shares {
        let share = usage.cpu_s * 100.0 / wall_s;
        figure = figure.with(Measure::new(
            format!("processor of {name}"),
            share,
            "% of one core",
        ));
    }
    figure
}
