//! A replay's transactions: as the files have them, or sorted by time.

use std::sync::atomic::Ordering;

use anyhow::bail;
use millrace_domain::Transaction;
use millrace_domain::codec::json;
use millrace_domain::texts::InFlight;
use serde_json::value::RawValue;

use super::inputs::{Inputs, Row};
use super::kept::Kept;
use super::raw::raw_of;
use super::reject::Rejects;
use super::sort::{Sorted, Sorter};
use super::source::ReplayCounts;

/// What comes next.
#[derive(Debug)]
pub(super) enum Read {
    /// A transaction.
    Transaction(Transaction),
    /// A row that is none, and why.
    Bad(String),
    /// Nothing.
    End,
}

/// Where transactions come from.
pub(super) enum Feed {
    /// The files.
    Files(Inputs),
    /// The files' transactions by time.
    Sorted(Sorted),
}

impl Feed {
    /// The next transaction, or that a row was rejected.
    ///
    /// # Errors
    /// A file cannot be read on, or the reject file not be written.
    pub(super) fn next(&mut self, rejects: &mut Rejects, counts: &ReplayCounts) -> anyhow::Result<Read> {
        let read = self.peek()?;
        if let Self::Files(inputs) = self {
            counts
                .read
                .fetch_add(u64::from(!matches!(read, Read::End)), Ordering::Relaxed);
            if let Read::Bad(reason) = &read {
                reject(inputs, reason, rejects, counts)?;
            }
        }
        Ok(read)
    }

    /// The next transaction or bad row, which is counted nowhere.
    ///
    /// # Errors
    /// A file cannot be read on.
    pub(super) fn peek(&mut self) -> anyhow::Result<Read> {
        Ok(match self {
            Self::Files(inputs) => match inputs.read()? {
                Row::Good(transaction) => Read::Transaction(transaction),
                Row::Bad(reason) => Read::Bad(reason),
                Row::End => Read::End,
            },
            Self::Sorted(sorted) => sorted.next()?.map_or(Read::End, Read::Transaction),
        })
    }

    /// Rejects the last transaction.
    ///
    /// # Errors
    /// The reject file cannot be written.
    pub(super) fn reject(
        &self,
        transaction: &Transaction,
        reason: &str,
        rejects: &mut Rejects,
        counts: &ReplayCounts,
    ) -> anyhow::Result<()> {
        match self {
            Self::Files(inputs) => reject(inputs, reason, rejects, counts),
            Self::Sorted(sorted) => {
                counts.rejected.fetch_add(1, Ordering::Relaxed);
                let mut value = Vec::new();
                json::encode(transaction, &mut value);
                let text = String::from_utf8_lossy(&value).into_owned();
                let raw = RawValue::from_string(text.clone()).unwrap_or_else(|_| raw_of(&text));
                rejects.add("(sorted)".as_ref(), ("row", sorted.given()), reason, &raw)
            }
        }
    }

    /// Reads everything and sorts it. Bad rows are rejected meanwhile.
    ///
    /// # Errors
    /// As [`Feed::next`]; a temporary file cannot be written; or `stop` says so.
    pub(super) fn sorted(
        mut self,
        rejects: &mut Rejects,
        counts: &ReplayCounts,
        stop: &dyn Fn() -> bool,
    ) -> anyhow::Result<Self> {
        let mut sorter = Sorter::new();
        for row in 0_u64.. {
            if row.is_multiple_of(1_000) && stop() {
                bail!("stopped while the rows were sorted: nothing was sent");
            }
            let round = InFlight::begin();
            let kept = match self.next(rejects, counts)? {
                Read::Transaction(transaction) => Kept::new(transaction),
                Read::Bad(_) => continue,
                Read::End => break,
            };
            // A run that is full is written, and perhaps merged: in rounds of its own.
            drop(round);
            sorter.push(kept)?;
        }
        Ok(Self::Sorted(sorter.finish()?))
    }
}

fn reject(inputs: &Inputs, reason: &str, rejects: &mut Rejects, counts: &ReplayCounts) -> anyhow::Result<()> {
    counts.rejected.fetch_add(1, Ordering::Relaxed);
    match inputs.last() {
        Some((file, position, raw)) => rejects.add(file, position, reason, &raw),
        None => Ok(()),
    }
}
