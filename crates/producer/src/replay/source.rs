//! Recorded files as a source of records.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::bail;
use millrace_domain::Transaction;

use super::inputs::{Inputs, Row};
use super::mapping::Mapping;
use super::pace::{Pace, ShiftTo, Speed};
use super::recent::RecentIds;
use super::reject::Rejects;
use super::rows::FileFormat;
use crate::encode::Encoder;
use crate::source::{Next, Outgoing, Source};
use crate::stream::{Item, Kind};

/// Bad rows in a row after which the stop flag is looked at.
const MAX_REJECTS_AT_ONCE: u32 = 1_000;

/// What to replay, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayOptions {
    /// The files, one after another; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// The mapping from columns to the contract's fields.
    pub mapping: PathBuf,
    /// The files' format; by each one's extension if not given.
    pub file_format: Option<FileFormat>,
    /// How fast.
    pub speed: Speed,
    /// Where the first event time is moved.
    pub shift_to: Option<ShiftTo>,
    /// Where bad rows are written; `<file>.rejects.ndjson` in the working directory if not given.
    pub rejects: Option<PathBuf>,
    /// Most rows to send.
    pub count: Option<u64>,
}

/// What became of the rows so far.
#[derive(Debug, Default)]
pub struct ReplayCounts {
    /// Rows read.
    pub read: AtomicU64,
    /// Rows that are no transaction.
    pub rejected: AtomicU64,
}

/// The source.
pub struct Replay {
    inputs: Inputs,
    pace: Pace,
    encoder: Encoder,
    rejects: Rejects,
    recent: RecentIds,
    counts: Arc<ReplayCounts>,
    remaining: Option<u64>,
    /// A row that is not due yet.
    pending: Option<Transaction>,
}

impl Replay {
    /// Opens everything that a replay needs.
    ///
    /// # Errors
    /// A file that cannot be read or written, a mapping that is wrong or names columns that the file does not have, or
    /// options that contradict each other.
    pub fn open(
        options: &ReplayOptions,
        encoder: Encoder,
        counts: Arc<ReplayCounts>,
    ) -> anyhow::Result<Self> {
        let runs_ahead = match options.speed {
            Speed::Max => true,
            Speed::Factor(factor) => factor > 1.0,
        };
        if options.shift_to == Some(ShiftTo::Now) && runs_ahead {
            bail!(
                "--shift-to now with a --speed above 1 would give later rows event times in the future, which consumers \
                 refuse: give --speed 1, or a --shift-to far enough in the past"
            );
        }
        let mapping = Arc::new(Mapping::load(&options.mapping)?);
        let first = options.files.first().map_or(Path::new(""), PathBuf::as_path);
        Ok(Self {
            inputs: Inputs::open(&options.files, options.file_format, mapping)?,
            rejects: Rejects::create(options.rejects.as_deref(), first)?,
            pace: Pace::new(options.speed, options.shift_to),
            encoder,
            recent: RecentIds::default(),
            counts,
            remaining: options.count,
            pending: None,
        })
    }

    /// The next row that is a transaction; `None` at the end, or after too many bad rows for one call.
    fn next_transaction(&mut self) -> anyhow::Result<Read> {
        for _ in 0..MAX_REJECTS_AT_ONCE {
            let row = self.inputs.read()?;
            if !matches!(row, Row::End) {
                self.counts.read.fetch_add(1, Ordering::Relaxed);
            }
            match row {
                Row::Good(transaction) => return Ok(Read::Transaction(transaction)),
                Row::Bad(reason) => self.reject(&reason)?,
                Row::End => return Ok(Read::End),
            }
        }
        Ok(Read::OnlyRejects)
    }

    /// Rejects the last row.
    fn reject(&mut self, reason: &str) -> anyhow::Result<()> {
        self.counts.rejected.fetch_add(1, Ordering::Relaxed);
        match self.inputs.last() {
            Some((file, position, raw)) => self.rejects.add(file, position, reason, &raw),
            None => Ok(()),
        }
    }
}

enum Read {
    Transaction(Transaction),
    OnlyRejects,
    End,
}

impl Source for Replay {
    fn next(&mut self, value: &mut Vec<u8>) -> anyhow::Result<Next> {
        if self.remaining == Some(0) {
            return Ok(Next::End);
        }
        let recorded = match self.pending.take() {
            Some(transaction) => transaction,
            None => match self.next_transaction()? {
                Read::Transaction(transaction) => transaction,
                Read::OnlyRejects => return Ok(Next::Wait(Duration::ZERO)),
                Read::End => return Ok(Next::End),
            },
        };
        if let Some(wait) = self.pace.wait(recorded.transaction_time_ms) {
            self.pending = Some(recorded);
            return Ok(Next::Wait(wait));
        }
        let shifted_ms = self.pace.shifted(recorded.transaction_time_ms);
        let transaction = match Transaction::check_time(shifted_ms) {
            Ok(transaction_time_ms) => Transaction {
                transaction_time_ms,
                ..recorded
            },
            Err(error) => {
                self.reject(&error.to_string())?;
                return Ok(Next::Wait(Duration::ZERO));
            }
        };
        if let Some(remaining) = &mut self.remaining {
            *remaining -= 1;
        }
        let kind = if self.recent.insert(transaction.transaction_id) {
            Kind::First
        } else {
            Kind::Duplicate
        };
        let item = Item { transaction, kind };
        self.encoder.item(&item, value);
        Ok(Next::Record(Outgoing::of(&item)))
    }
}
