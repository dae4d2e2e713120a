//! The ledger's file: one JSON object a run, replaced as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::running::RunLock;
use super::tally::{Tally, WindowKey};
use crate::{Entry, RunTag};

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

/// The file's content, with lines of the sums of one window and key
/// ([`Entry::Line`](crate::Entry::Line)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "L: Deserialize<'de>"))]
pub struct LedgerFile<L> {
    /// The run's name, and the file's.
    pub run_id: String,
    /// When it started, in milliseconds since 1970.
    pub started_ms: i64,
    /// Whether the run ended and every record's outcome is in here. While it goes on, and after it
    /// was killed, what the brokers have may be more: the lock beside the file says which of the
    /// two it is.
    pub finished: bool,
    /// The first eight digits of every id of this run, where they are its own; `null`
    /// where ids come from a file or from the seed alone, so that another run may send them too.
    #[serde(default)]
    pub id_prefix: Option<String>,
    /// The topic of its records, with its prefix.
    pub topic: String,
    /// Acknowledged records of any kind, without asides.
    pub acknowledged: u64,
    /// Records of unknown outcome.
    pub failed: u64,
    /// Acknowledged records whose id had been sent before.
    pub duplicates: u64,
    /// Acknowledged records that no consumer can take.
    pub malformed: u64,
    /// Acknowledged asides: labels of injected fraud, of transactions.
    pub labels: u64,
    /// Asides of unknown outcome.
    pub failed_labels: u64,
    /// Size of a window.
    pub window_ms: i64,
    /// Windows that were dropped because there were too many; their records are in no window here.
    pub forgotten_windows: u64,
    /// What was acknowledged, each id once, by window and key.
    pub windows: Vec<L>,
    /// Acknowledged records whose id had been sent before, so that with `windows` every record that
    /// can be read is here. `null` in ledgers of a release that did not have them.
    #[serde(default)]
    pub repeated_windows: Option<Vec<L>>,
    /// What is of unknown outcome, each id once: a verification must expect each of these windows
    /// with or without them.
    pub failed_windows: Vec<L>,
}

/// What a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// The run's name.
    pub run_id: String,
    /// When it started, in milliseconds since 1970.
    pub started_ms: i64,
    /// How its ids begin, where they are its own.
    pub run_in_ids: Option<RunTag>,
    /// The topic of its records, with its prefix.
    pub topic: String,
    /// Size of a window.
    pub window_ms: i64,
}

/// Sums by window and key, in their order in the file.
type Sums<E> = BTreeMap<WindowKey<E>, <E as Entry>::Sums>;

/// The ledger of a run.
#[derive(Debug)]
pub struct Ledger<E: Entry> {
    path: PathBuf,
    lock: RunLock,
    head: LedgerFile<E::Line>,
    windows: Sums<E>,
    repeated_windows: Sums<E>,
    failed_windows: Sums<E>,
    next_write: Instant,
    dirty: bool,
}

impl<E: Entry> Ledger<E> {
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
    pub fn totals(&self) -> &LedgerFile<E::Line> {
        &self.head
    }

    /// Adds what a thread counted.
    pub fn add(&mut self, tally: &Tally<E>) {
        self.dirty |= tally.acknowledged + tally.failed + tally.asides + tally.failed_asides > 0;
        self.head.acknowledged += tally.acknowledged;
        self.head.failed += tally.failed;
        self.head.duplicates += tally.duplicates;
        self.head.malformed += tally.malformed;
        self.head.labels += tally.asides;
        self.head.failed_labels += tally.failed_asides;
        for (windows, more) in [
            (&mut self.windows, &tally.windows),
            (&mut self.repeated_windows, &tally.repeated_windows),
            (&mut self.failed_windows, &tally.failed_windows),
        ] {
            for (key, sums) in more {
                E::merge(windows.entry(*key).or_default(), sums);
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
        let lines = |windows: &Sums<E>| {
            let line = |(&(start_ms, key), sums)| E::line(start_ms, key, sums);
            windows.iter().map(line).collect()
        };
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
fn replace(path: &Path, content: &impl Serialize) -> std::io::Result<()> {
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
