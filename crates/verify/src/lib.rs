//! Compares what the producer's brokers acknowledged with what came out, counts, and sums to the
//! cent: what `millrace verify` prints, `millrace up --for` ends with, and the lab judges by.
//!
//! What the ledgers have must be in the transactions' topic; of that topic, each transaction must
//! be in the aggregates or on the late topic once, however often and by which run it was sent; no
//! aggregate or anomaly may be there twice; each record that nobody can read must be a dead letter;
//! and Elasticsearch, and the lake, must hold what the topics hold. [`compare`] says so without
//! I/O; the other modules fetch the figures. [`repeat`] has what an undisturbed run would have
//! written.
//!
//! `check` has a line for each pipeline: what is compared of it is a `Check`, and one loop, in
//! `in_time`, runs them all. Of a stream of events with results in windows or sessions, `stream`
//! has the whole comparison, so that a pipeline of such says what its records are called.

#![forbid(unsafe_code)]

mod check;
mod clickstream;
mod commerce;
pub mod compare;
pub mod elastic;
pub mod figures;
mod firsts;
mod in_time;
mod incidents;
mod iot;
mod lake;
pub mod ledger;
mod message;
mod misplaced;
mod once;
mod payments;
mod places;
pub mod progress;
mod refusals;
mod rekeyed;
pub mod repeat;
pub mod report;
mod rows;
mod state;
mod stream;
pub mod topics;
pub mod totals;

use std::time::Duration;

use millrace_service::process::Running;
use millrace_settings::Settings;

pub use report::{Counts, Outcome, Report, Row, Verdict};

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
    let mut report = in_time::compare(settings, options).await?;
    if settings.lake_sink.enabled {
        report = lake::compare(settings, options, report).await;
    }
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
