//! One or several files, one after another, as transactions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use millrace_domain::Transaction;

use super::input::is_standard_input;
use super::mapping::Mapping;
use super::raw::Raw;
use super::rows::{Cell, FileFormat, Rows};

/// What the next row is.
#[derive(Debug)]
pub(super) enum Row {
    /// A transaction.
    Good(Transaction),
    /// None, and why.
    Bad(String),
    /// There is none.
    End,
}

/// The files of a replay.
pub(super) struct Inputs {
    mapping: Arc<Mapping>,
    files: Vec<(PathBuf, FileFormat)>,
    /// The file that is being read, of `files`.
    at: usize,
    rows: Option<Box<dyn Rows>>,
    cells: Vec<Cell>,
}

impl Inputs {
    /// Opens each file once, so that one that cannot be read ends a replay before it starts.
    ///
    /// # Errors
    /// A file cannot be read, its format is not known, or it has not all of the mapping's columns.
    pub(super) fn open(
        files: &[PathBuf],
        format: Option<FileFormat>,
        mapping: Arc<Mapping>,
    ) -> anyhow::Result<Self> {
        let files: Vec<(PathBuf, FileFormat)> = files
            .iter()
            .map(|file| Ok((file.clone(), format.map_or_else(|| FileFormat::of(file), Ok)?)))
            .collect::<anyhow::Result<_>>()?;
        let Some((first, format)) = files.first() else {
            bail!("give a file to replay, or - for standard input");
        };
        if files.iter().filter(|(file, _)| is_standard_input(file)).count() > 1 {
            bail!("standard input can be read once: - is given twice");
        }
        let rows = Some(mapping.open(first, *format)?);
        for (file, format) in files[1..].iter().filter(|(file, _)| !is_standard_input(file)) {
            mapping.open(file, *format)?;
        }
        Ok(Self {
            mapping,
            files,
            at: 0,
            rows,
            cells: Vec::new(),
        })
    }

    /// Reads the next row.
    ///
    /// # Errors
    /// A file cannot be read on.
    pub(super) fn read(&mut self) -> anyhow::Result<Row> {
        loop {
            let Some(rows) = &mut self.rows else {
                let Some((file, format)) = self.files.get(self.at) else {
                    return Ok(Row::End);
                };
                self.rows = Some(self.mapping.open(file, *format)?);
                continue;
            };
            match rows.next_row(&mut self.cells)? {
                None => {
                    self.rows = None;
                    self.at += 1;
                }
                Some(Err(reason)) => return Ok(Row::Bad(reason)),
                Some(Ok(())) => {
                    return Ok(match self.mapping.map(&self.cells) {
                        Ok(transaction) => Row::Good(transaction),
                        Err(error) => Row::Bad(error.to_string()),
                    });
                }
            }
        }
    }

    /// The cells of the last row, in the order of the mapping's columns.
    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// The file, place and content of the last row.
    pub(super) fn last(&self) -> Option<(&Path, (&'static str, u64), Raw)> {
        let rows = self.rows.as_ref()?;
        Some((&self.files[self.at].0, rows.position(), rows.raw()))
    }
}
