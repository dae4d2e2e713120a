//! `millrace explain`: why a transaction had an alert, or none.
//!
//! The detector's state from before the transaction is gone back to by a snapshot and the log
//! ([`millrace_detector::explain`]), and the operator is asked there.

mod find;
mod print;
mod reasons;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use millrace_detector::explain::explain;
use millrace_detector::job::DetectJob;
use millrace_producer::replay::parse_time;
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;
use uuid::Uuid;

use self::find::{Found, Hints, Search};
use self::report::Report;

/// Arguments of the command.
///
/// It reads the log and the snapshots beside the running detector, and writes nothing. It ends
/// with 0 where it could explain, and with 1 where it could not, or where an alert that is on the
/// topic is not what the replay gives.
#[derive(Debug, Args)]
pub struct Options {
    /// Id of an alert or of a transaction
    #[arg(value_name = "ALERT|TRANSACTION")]
    id: Uuid,
    /// About when the transaction was sent, as 2026-12-01T12:00:00Z: then the log is looked through
    /// around that time alone
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    at: Option<i64>,
    /// How far around --at
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    within: Duration,
    /// The transaction's user: then only the partition is looked through where the user's
    /// transactions lie
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Print JSON in place of text
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// Kafka, the registry or the snapshot store do not answer, there is no such alert and no such
/// transaction, or nothing is left to go back by.
pub async fn command(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let job = millrace_detector::prepare(settings, &Shutdown::new()).await?;
    let within_ms = i64::try_from(options.within.as_millis()).unwrap_or(i64::MAX);
    let hints = Hints {
        times_ms: options
            .at
            .map(|at_ms| (at_ms.saturating_sub(within_ms), at_ms.saturating_add(within_ms))),
        user: options.user.clone(),
    };
    let (asked, id) = (settings.clone(), options.id);
    let report = tokio::task::spawn_blocking(move || look(&asked, &job, id, &hints)).await??;
    let took = started.elapsed();
    if options.json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        say!("{}", print::text(&report, took).trim_end());
    }
    Ok(match report.is_as_on_the_topic() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Finds what has the id, and explains it.
fn look(settings: &Settings, job: &DetectJob, id: Uuid, hints: &Hints) -> anyhow::Result<Report> {
    let found = Search::open(settings, job)?.find(id, hints)?;
    let mut reports = reports(settings, job, &found)?;
    // Of a transaction that came again, the record that the alert is of, or else the first.
    let raised = reports.iter().position(|report| report.has_raised(&found));
    match raised {
        Some(at) => Ok(reports.swap_remove(at)),
        None => reports
            .into_iter()
            .next()
            .context("the transaction's record is gone by now"),
    }
}

/// A report on each of the records of the transaction, in the order in which they were appended.
fn reports(settings: &Settings, job: &DetectJob, found: &Found) -> anyhow::Result<Vec<Report>> {
    let mut by_partition: BTreeMap<i32, BTreeSet<i64>> = BTreeMap::new();
    for place in &found.places {
        by_partition
            .entry(place.partition)
            .or_default()
            .insert(place.offset);
    }
    let mut reports = Vec::new();
    for (partition, offsets) in by_partition {
        explain(settings, job, partition, &offsets, |explained| {
            reports.push(Report::of(&explained, found));
            Ok(())
        })?;
    }
    if reports.is_empty() {
        bail!("the transaction's record is gone by now");
    }
    reports.sort_by_key(Report::appended_ms);
    Ok(reports)
}
