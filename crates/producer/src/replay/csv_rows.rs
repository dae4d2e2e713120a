//! Rows of a CSV file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use csv::{ByteRecord, Reader, ReaderBuilder};

use super::rows::{Cell, Rows, locate};

/// The longest row. A quote that is never closed would else swallow the rest of the file.
const MAX_ROW_BYTES: usize = 4 << 20;

pub(super) struct CsvRows {
    path: PathBuf,
    reader: Reader<Guard>,
    since_row_bytes: Arc<AtomicUsize>,
    header: Vec<String>,
    at: Vec<usize>,
    record: ByteRecord,
    line: u64,
}

/// Fails when more is read for one row than a row may have.
struct Guard {
    file: File,
    since_row_bytes: Arc<AtomicUsize>,
}

impl Read for Guard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let since = self.since_row_bytes.fetch_add(read, Ordering::Relaxed) + read;
        if since > MAX_ROW_BYTES {
            return Err(io::Error::other(format!(
                "a row is longer than {MAX_ROW_BYTES} bytes; is a quote not closed?"
            )));
        }
        Ok(read)
    }
}

impl CsvRows {
    pub(super) fn open(path: &Path, columns: &[String]) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let since_row_bytes = Arc::new(AtomicUsize::new(0));
        let guard = Guard {
            file,
            since_row_bytes: Arc::clone(&since_row_bytes),
        };
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(guard);
        let header: Vec<String> = reader
            .headers()
            .with_context(|| format!("{}: the header line cannot be read", path.display()))?
            .iter()
            // A byte order mark is no part of the first column's name.
            .map(|name| name.trim_start_matches('\u{feff}').to_owned())
            .collect();
        Ok(Self {
            path: path.to_owned(),
            reader,
            since_row_bytes,
            at: locate(path, columns, &header)?,
            header,
            record: ByteRecord::new(),
            line: 1,
        })
    }
}

impl Rows for CsvRows {
    fn next_row(&mut self, cells: &mut Vec<Cell>) -> anyhow::Result<Option<Result<(), String>>> {
        self.since_row_bytes.store(0, Ordering::Relaxed);
        let read = self.reader.read_byte_record(&mut self.record);
        if !read.with_context(|| format!("{} after line {}", self.path.display(), self.line))? {
            return Ok(None);
        }
        self.line = self.record.position().map_or(self.line, csv::Position::line);
        let (found, wanted) = (self.record.len(), self.header.len());
        if found != wanted {
            return Ok(Some(Err(format!(
                "the row has {found} fields where the header has {wanted}"
            ))));
        }
        cells.clear();
        for &at in &self.at {
            let Ok(text) = std::str::from_utf8(&self.record[at]) else {
                return Ok(Some(Err(format!("column {} is not UTF-8", self.header[at]))));
            };
            cells.push(match text.trim() {
                "" => Cell::Empty,
                text => Cell::Text(text.to_owned()),
            });
        }
        Ok(Some(Ok(())))
    }

    fn position(&self) -> (&'static str, u64) {
        ("line", self.line)
    }

    fn raw(&self) -> serde_json::Value {
        self.record
            .iter()
            .map(|field| String::from_utf8_lossy(field).into_owned())
            .collect()
    }
}
