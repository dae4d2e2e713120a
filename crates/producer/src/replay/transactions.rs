//! The transactions of recorded files by time, for those who send them nowhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::bail;
use millrace_domain::Transaction;
use millrace_domain::texts::InFlight;

use super::feed::{Feed, Read};
use super::inputs::{Inputs, Row};
use super::mapping::Mapping;
use super::reject::Rejects;
use super::rows::{Cell, FileFormat};
use super::source::ReplayCounts;

/// The transactions of files, the earliest first and those of one time as the files have them.
/// Bad rows go to the reject file of a replay.
pub struct Transactions {
    feed: Feed,
    rejects: Rejects,
    counts: ReplayCounts,
    earliest_ms: i64,
}

impl Transactions {
    /// Reads and sorts the files, in temporary files (`TMPDIR`) if their rows are many. A row of
    /// before `earliest_ms` is a bad one. `rejects` is where bad rows are written, as of a replay.
    ///
    /// # Errors
    /// A file that cannot be read or written; a mapping that is wrong, or names columns that the
    /// file does not have.
    pub fn open(
        files: &[PathBuf],
        format: Option<FileFormat>,
        mapping: &Path,
        rejects: Option<&Path>,
        earliest_ms: i64,
    ) -> anyhow::Result<Self> {
        let inputs = Inputs::open(files, format, load(mapping, &[])?)?;
        let first = files.first().map_or(Path::new(""), PathBuf::as_path);
        let mut rejects = Rejects::create(rejects, first)?;
        let counts = ReplayCounts::default();
        let feed = Feed::Files(inputs).sorted(&mut rejects, &counts, &|| false)?;
        Ok(Self {
            feed,
            rejects,
            counts,
            earliest_ms,
        })
    }

    /// The next transaction. Its ids are those of the caller's round ([`InFlight`]).
    ///
    /// # Errors
    /// A temporary file cannot be read, or the reject file not be written.
    pub fn read(&mut self) -> anyhow::Result<Option<Transaction>> {
        loop {
            match self.feed.next(&mut self.rejects, &self.counts)? {
                Read::Transaction(transaction) => match transaction.check_not_before(self.earliest_ms) {
                    Ok(()) => return Ok(Some(transaction)),
                    Err(error) => {
                        let reason = error.to_string();
                        self.feed
                            .reject(&transaction, &reason, &mut self.rejects, &self.counts)?;
                    }
                },
                Read::Bad(_) => {}
                Read::End => return Ok(None),
            }
        }
    }

    /// Rows that were no transaction so far.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.counts.rejected.load(Ordering::Relaxed)
    }
}

/// Calls `see` with each transaction of files as they have them, and its cells of `columns`, which
/// the mapping does not use. Rows that are no transaction are passed over.
///
/// # Errors
/// As of [`Transactions::open`]; a column that the file does not have; or what `see` says.
pub fn visit(
    files: &[PathBuf],
    format: Option<FileFormat>,
    mapping: &Path,
    columns: &[String],
    mut see: impl FnMut(&Transaction, &[Cell]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mapping = load(mapping, columns)?;
    let first = mapping.columns().len() - columns.len();
    let mut inputs = Inputs::open(files, format, mapping)?;
    loop {
        let _round = InFlight::begin();
        match inputs.read()? {
            Row::Good(transaction) => see(&transaction, &inputs.cells()[first..])?,
            Row::Bad(_) => {}
            Row::End => return Ok(()),
        }
    }
}

fn load(mapping: &Path, more: &[String]) -> anyhow::Result<Arc<Mapping>> {
    // The constants of a mapping are tried out as it is loaded.
    let _round = InFlight::begin();
    let loaded = Mapping::load(mapping)?;
    if let Some(read) = more.iter().find(|column| loaded.columns().contains(column)) {
        bail!(
            "the mapping {} reads the column {read}, which is a label: no detector may know it",
            mapping.display()
        );
    }
    Ok(Arc::new(loaded.with_columns(more)))
}
