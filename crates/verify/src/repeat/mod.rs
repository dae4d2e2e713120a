//! What an undisturbed run gives, and how the topics differ from it, record by record.
//!
//! Every job is a function of its log and of the events of its control topic. So the log read once
//! more from its start, by one task for each partition and without groups and transactions, with
//! those events merged by their offsets, gives what a run gives that nothing ever disturbed: each
//! contribution and watermark of the first stage, each late record and dead letter, each result of
//! the second stage, early ones too, each session, and each record that is rekeyed. A pipeline has
//! its jobs repeated by their specs (`job`). Nothing may be missing on the topics, nothing may be
//! there beside it, and nothing may differ: a recovery that makes good records late, which no sum
//! shows, is found here.

pub mod anomalies;
mod copies;
mod difference;
pub(crate) mod job;
pub mod offline;
mod payments;
pub(crate) mod windowed;

use std::time::{Duration, Instant};

use anyhow::Result;
use millrace_settings::Settings;

use crate::{check, progress};

pub use difference::Difference;
pub(crate) use payments::compare as payments;

/// The anomalies and all that the other jobs have written, against an undisturbed run, once every
/// job has read all there is.
///
/// # Errors
/// As for [`compare`].
pub async fn all(settings: &Settings) -> Result<Vec<Difference>> {
    let start = Instant::now();
    let asked = settings.clone();
    tokio::task::spawn_blocking(move || {
        // What a job that is behind has not made yet is no difference.
        while !progress::jobs_behind(&asked)?.is_empty() && start.elapsed() < SETTLING {
            std::thread::sleep(PAUSE);
        }
        anyhow::Ok(())
    })
    .await??;
    let mut last = None;
    loop {
        let mut differences = compare(settings).await?;
        differences.push(anomalies::compare(settings).await?);
        // The group tells of a transaction's offsets a moment before its records are seen.
        let is_still = last.as_ref() == Some(&differences);
        if is_still || differences.iter().all(Difference::is_none) || start.elapsed() > SETTLING {
            return Ok(differences);
        }
        last = Some(differences);
        tokio::time::sleep(PAUSE * 4).await;
    }
}

/// How long jobs may be behind and idle partitions advance: what they write meanwhile is expected
/// of no run.
const SETTLING: Duration = Duration::from_secs(120);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Repeats the jobs of every pipeline that there is, but for the detector, over their whole logs
/// and compares all they have written. Nothing may be sent meanwhile, and everything must have been
/// worked off.
///
/// # Errors
/// The brokers or the registry are away, or retention has removed a part of a log, so that it
/// cannot be repeated.
pub async fn compare(settings: &Settings) -> Result<Vec<Difference>> {
    let settings = settings.clone();
    tokio::task::spawn_blocking(move || {
        let mut differences = Vec::new();
        for verification in check::of(&settings) {
            differences.extend((verification.repeat)(&settings)?);
        }
        Ok(differences)
    })
    .await?
}
