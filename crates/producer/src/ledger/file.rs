//! The ledger's file: one JSON object a run, replaced as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::running::RunLock;
use super::tally::{Tally, WindowKey, WindowTotals};
use crate::run_id::RunTag;

/// Least time between two writes.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);
/// A write waits this many times as long as the last one took, so that a large ledger does not slow
/// the run.
const WRITE_SHARE: u32 = 50;
/// Most windows that are kept: 24 days of minutes in 40 currencies. Beyond, the oldest are
/// forgotten and counted.
const MAX_WINDOWS: usize = 1_400_000;

/// Why the ledger could not be written.
#[derive(Debug, Error)]
#[error("the ledger {path} could not be written: {reason}")]
pub struct LedgerError {
    path: PathBuf,
    reason: std::io::Error,
}

/// The file's content. Sums are integers of 1/10,000 as text, as JSON numbers are doubles for most
/// readers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerFile {
    /// The run's name, and the file's.
    pub run_id: String,
    /// When it started, in milliseconds since 1970.
    pub started_ms: i64,
    /// Whether the run ended and every record's outcome is in here. While it goes on, and after it
    /// was killed, what the brokers have may be more: the lock beside the file says which of the
    /// two it is.
    pub finished: bool,
    /// The first eight digits of every transaction id of this run, where they are its own; `null`
    /// where ids come from a file or from the seed alone, so that another run may send them too.
    #[serde(default)]
    pub id_prefix: Option<String>,
    /// The transactions' topic, with its prefix.
    pub topic: String,
    /// Acknowledged records of any kind, without labels.
    pub acknowledged: u64,
    /// Records of unknown outcome.
    pub failed: u64,
    /// Acknowledged records whose transaction id had been sent before.
    pub duplicates: u64,
    /// Acknowledged records that no consumer can take.
    pub malformed: u64,
    /// Acknowledged labels of injected fraud.
    pub labels: u64,
    /// Labels of unknown outcome.
    pub failed_labels: u64,
    /// Size of a window.
    pub window_ms: i64,
    /// Windows that were dropped because there were too many; their transactions are in no window
    /// here.
    pub forgotten_windows: u64,
    /// Each acknowledged transaction once, by window and currency.
    pub windows: Vec<WindowLine>,
    /// Acknowledged records of transactions that had been sent before, so that with `windows` every
    /// record that can be read is here. `null` in ledgers of a release that did not have them.
    #[serde(default)]
    pub repeated_windows: Option<Vec<WindowLine>>,
    /// Each transaction of unknown outcome once: a verification must expect each of these windows
    /// with or without them.
    pub failed_windows: Vec<WindowLine>,
}

/// One window and currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowLine {
    /// Start of the window in milliseconds since 1970.
    pub start_ms: i64,
    /// ISO 4217.
    pub currency: String,
    /// Number of purchases.
    pub purchase_count: u64,
    /// What they add up to, in 1/10,000.
    pub purchase_sum_units: String,
    /// Number of refunds.
    pub refund_count: u64,
    /// What they add up to, in 1/10,000.
    pub refund_sum_units: String,
}

impl From<(&WindowKey, &WindowTotals)> for WindowLine {
    fn from(((start_ms, currency), totals): (&WindowKey, &WindowTotals)) -> Self {
        Self {
            start_ms: *start_ms,
            currency: currency.to_string(),
            purchase_count: totals.purchase_count,
            purchase_sum_units: totals.purchase_sum.units().to_string(),
            refund_count: totals.refund_count,
            refund_sum_units: totals.refund_sum.units().to_string(),
        }
    }
}

/// What a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// The run's name.
    pub run_id: String,
    /// When it started, in milliseconds since 1970.
    pub started_ms: i64,
    /// How its transaction ids begin, where they are its own.
    pub run_in_ids: Option<RunTag>,
    /// The transactions' topic, with its prefix.
    pub topic: String,
    /// Size of a window.
    pub window_ms: i64,
}

/// The ledger of a run.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    lock: RunLock,
    head: LedgerFile,
    windows: BTreeMap<WindowKey, WindowTotals>,
    repeated_windows: BTreeMap<WindowKey, WindowTotals>,
    failed_windows: BTreeMap<WindowKey, WindowTotals>,
    next_write: Instant,
    dirty: bool,
}

impl Ledger {
    /// Starts the ledger of a run and writes it, so that a folder that cannot be written ends the
    /// run before it starts.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub fn create(directory: &Path, heading: &Heading) -> Result<Self, LedgerError> {
        let path = directory.join(format!("{}.json", heading.run_id));
        let failed = |reason| LedgerError {
            path: path.clone(),
            reason,
        };
        fs::create_dir_all(directory).map_err(failed)?;
        let lock = RunLock::take(&path).map_err(failed)?;
        let mut ledger = Self {
            path,
            lock,
            head: LedgerFile {
                run_id: heading.run_id.clone(),
                started_ms: heading.started_ms,
                finished: false,
                id_prefix: heading.run_in_ids.map(|run| run.to_string()),
                topic: heading.topic.clone(),
                acknowledged: 0,
                failed: 0,
                duplicates: 0,
                malformed: 0,
                labels: 0,
                failed_labels: 0,
                window_ms: heading.window_ms,
                forgotten_windows: 0,
                windows: Vec::new(),
                repeated_windows: Some(Vec::new()),
                failed_windows: Vec::new(),
            },
            windows: BTreeMap::new(),
            repeated_windows: BTreeMap::new(),
            failed_windows: BTreeMap::new(),
            next_write: Instant::now(),
            dirty: true,
        };
        ledger.write()?;
        Ok(ledger)
    }

    /// Where the ledger is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The totals so far; the windows are only in the file.
    #[must_use]
    pub fn totals(&self) -> &LedgerFile {
        &self.head
    }

    /// Adds what a thread counted.
    pub fn add(&mut self, tally: &Tally) {
        self.dirty |= tally.acknowledged + tally.failed + tally.labels + tally.failed_labels > 0;
        self.head.acknowledged += tally.acknowledged;
        self.head.failed += tally.failed;
        self.head.duplicates += tally.duplicates;
        self.head.malformed += tally.malformed;
        self.head.labels += tally.labels;
        self.head.failed_labels += tally.failed_labels;
        for (windows, more) in [
            (&mut self.windows, &tally.windows),
            (&mut self.repeated_windows, &tally.repeated_windows),
            (&mut self.failed_windows, &tally.failed_windows),
        ] {
            for (key, totals) in more {
                windows.entry(*key).or_default().merge(totals);
            }
        }
        while self.windows.len() > MAX_WINDOWS {
            self.windows.pop_first();
            self.head.forgotten_windows += 1;
        }
        while self.repeated_windows.len() > MAX_WINDOWS {
            self.repeated_windows.pop_first();
        }
    }

    /// Writes the file if it is time and something changed.
    ///
    /// # Errors
    /// The file cannot be written or renamed.
    pub fn write_if_due(&mut self) -> Result<(), LedgerError> {
        if self.dirty && Instant::now() >= self.next_write {
            self.write()?;
        }
        Ok(())
    }

    /// Writes the last state of the run.
    ///
    /// # Errors
    /// The file cannot be written or renamed.
    pub fn finish(&mut self) -> Result<(), LedgerError> {
        self.head.finished = true;
        self.write()?;
        self.lock.release();
        Ok(())
    }

    fn write(&mut self) -> Result<(), LedgerError> {
        let started = Instant::now();
        let lines = |windows: &BTreeMap<_, _>| windows.iter().map(WindowLine::from).collect();
        self.head.windows = lines(&self.windows);
        self.head.repeated_windows = Some(lines(&self.repeated_windows));
        self.head.failed_windows = lines(&self.failed_windows);
        let result = replace(&self.path, &self.head);
        self.head.windows = Vec::new();
        self.head.repeated_windows = None;
        self.head.failed_windows = Vec::new();
        self.next_write = Instant::now() + WRITE_INTERVAL.max(started.elapsed() * WRITE_SHARE);
        self.dirty = false;
        result.map_err(|reason| LedgerError {
            path: self.path.clone(),
            reason,
        })
    }
}

/// Writes beside the file and renames, so that a reader sees the old content or the new, whole.
fn replace(path: &Path, content: &LedgerFile) -> std::io::Result<()> {
    let beside = path.with_extension("json.tmp");
    let mut writer = BufWriter::new(File::create(&beside)?);
    serde_json::to_writer(&mut writer, content)?;
    writer.write_all(b"\n")?;
    writer
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?
        .sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests;
