//! Compares what the producer's brokers acknowledged with what came out, counts, and sums to the
//! cent: what `millrace verify` prints, `millrace up --for` ends with, and the lab judges by.
//!
//! What the ledgers have must be in the transactions' topic; of that topic, each transaction must
//! be in the aggregates or on the late topic once, however often and by which run it was sent; no
//! aggregate or anomaly may be there twice; each record that nobody can read must be a dead letter;
//! and Elasticsearch must hold what the topics hold. [`compare`] says so without I/O; the other
//! modules fetch the figures. [`repeat`] has what an undisturbed run would have written.

#![forbid(unsafe_code)]

mod clickstream;
pub mod compare;
pub mod elastic;
pub mod figures;
mod firsts;
pub mod ledger;
pub mod log;
pub mod misplaced;
mod once;
mod places;
pub mod progress;
mod refusals;
mod rekeyed;
pub mod repeat;
pub mod report;
mod rows;
mod state;
pub mod topics;
pub mod totals;

use std::time::{Duration, Instant};

use millrace_catalog::payments::topic;
use millrace_kafka::topic_name;
use millrace_service::process::Running;
use millrace_settings::Settings;

pub use report::{Check, Counts, Outcome, Report, Verdict};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// What a verification does beside comparing.
#[derive(Debug, Clone)]
pub struct Options {
    /// Longest wait for windows to close and for what is on its way.
    pub timeout: Duration,
    /// Let windows that are not closed and runs that have not ended pass.
    pub allow_open: bool,
    /// Leave Elasticsearch out.
    pub without_elasticsearch: bool,
    /// Run the jobs once more over the whole log, offline, and compare all they wrote, record by
    /// record.
    pub repeat: bool,
    /// Called with each report that is not the last, about once a second.
    pub on_wait: fn(&Report),
}

fn nothing(_report: &Report) {}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            allow_open: false,
            without_elasticsearch: false,
            repeat: false,
            on_wait: nothing,
        }
    }
}

/// Compares until everything passes, nothing is on its way any more, or the timeout is over. What
/// has failed for good does not end the wait: what else is missing then may only be late.
///
/// # Errors
/// Settings that cannot work, or a topic that does not exist. What cannot be read until the timeout
/// is over is a row of the report.
pub fn run<'a>(settings: &'a Settings, options: &'a Options) -> Running<'a, Report> {
    Box::pin(reported(settings, options))
}

async fn reported(settings: &Settings, options: &Options) -> anyhow::Result<Report> {
    let report = compare_in_time(settings, options).await?;
    match options.repeat {
        true => Ok(with_repeat(settings, options, report).await),
        false => Ok(report),
    }
}

/// What the jobs wrote against what an undisturbed run writes. Of an unfinished stream that would
/// say nothing.
async fn with_repeat(settings: &Settings, options: &Options, report: Report) -> Report {
    const NAME: &str = "undisturbed run";
    if !report.is_settled(options.allow_open) {
        return report.with_unread(NAME, "not before everything is worked off");
    }
    match repeat::all(settings).await {
        Ok(differences) => report.with_differences(&differences, options.allow_open),
        Err(error) => report.with_unread(NAME, &format!("{error:#}")),
    }
}

async fn compare_in_time(settings: &Settings, options: &Options) -> anyhow::Result<Report> {
    let deadline = Instant::now() + options.timeout;
    let index = match options.without_elasticsearch {
        true => None,
        false => Some(elastic::Index::new(settings)?),
    };
    let opening = settings.clone();
    let mut topics = tokio::task::spawn_blocking(move || topics::Topics::open(&opening)).await??;
    let mut clickstream = None;
    let mut last = None;
    loop {
        // Before the topics, from which it is fed: so it never seems to hold more than they do.
        let indexed = match &index {
            None => Ok(None),
            Some(index) => index.look().await.map(Some),
        };
        let clicks = clickstream::look(settings, &mut clickstream, index.as_ref()).await;
        let (back, looked) = look(settings, topics).await?;
        topics = back;
        let report = match (looked, indexed) {
            (Ok((expected, observed)), indexed) => {
                let (mut checks, counts) = compare::compare(
                    &expected,
                    &observed,
                    indexed.as_ref().ok().and_then(Option::as_ref),
                );
                checks.extend(misplaced::check(settings).await);
                checks.extend(topics.rekeyed().map(rekeyed::row));
                let unread = clicks.map(|rows| checks.extend(rows)).err();
                let mut report = Report::of(checks, counts, options.allow_open);
                if let Some(error) = unread {
                    report = report.with_unread("the clickstream", &format!("{error:#}"));
                }
                let report = match indexed {
                    Ok(_) => report,
                    // An index just made has no shard to search for a moment, and a server may be
                    // on its way back.
                    Err(error) => report.with_unread("Elasticsearch", &format!("{error:#}")),
                };
                last = Some((report.clone(), expected.running.is_empty()));
                report
            }
            (Err(error), _) => {
                let report = last.take().map(|(report, _)| report);
                let report = report.unwrap_or_else(|| Report::of(Vec::new(), Counts::default(), false));
                let report = report.with_unread("topics and ledgers", &format!("{error:#}"));
                if Instant::now() >= deadline {
                    return Ok(report);
                }
                report
            }
        };
        if report.passed || report.is_settled(options.allow_open) {
            return Ok(report);
        }
        if Instant::now() >= deadline {
            return Ok(match last {
                Some((_, true)) => excused(settings, report).await,
                // With a run that goes on, jobs are always a little behind.
                _ => report,
            });
        }
        (options.on_wait)(&report);
        tokio::time::sleep(PAUSE.max(topics.cost())).await;
    }
}

/// What the ledgers and the topics have at this moment.
type Look = anyhow::Result<(figures::Expected, figures::Observed)>;

async fn look(settings: &Settings, mut topics: topics::Topics) -> anyhow::Result<(topics::Topics, Look)> {
    let settings = settings.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let transactions = topic_name(&settings.kafka, topic::TRANSACTIONS);
        let folder = &settings.producer.ledger_dir;
        let expected = ledger::read(folder, &transactions, settings.aggregator.window_ms);
        let looked = expected.and_then(|expected| {
            let observed = topics.observe(&expected)?;
            Ok((expected, observed))
        });
        (topics, looked)
    });
    Ok(looked.await?)
}

/// What is missing at the end is no loss while a job that would bring it has not read all there is.
async fn excused(settings: &Settings, report: Report) -> Report {
    let asked = settings.clone();
    let behind = tokio::task::spawn_blocking(move || progress::behind(&asked)).await;
    let behind = match behind {
        Ok(Ok(behind)) => behind,
        Ok(Err(error)) => return report.with_unread("consumer groups", &format!("{error:#}")),
        Err(error) => return report.with_unread("consumer groups", &error.to_string()),
    };
    report.with_behind(|row| {
        let sink = behind.sink.iter().filter(|_| row.starts_with(compare::INDEX));
        behind.jobs.iter().chain(sink).map(String::as_str).collect()
    })
}
