//! Rows of a CSV file.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::csv_reader::{CsvReader, Dialect, Outcome};
use super::input::open_text;
use super::raw::{Raw, raw_of};
use super::rows::{Cell, Rows, locate};

/// How a CSV file is written.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct CsvOptions {
    pub(super) dialect: Dialect,
    /// The columns' names of a file without a header line.
    pub(super) columns: Option<Vec<String>>,
}

pub(super) const NOT_UTF8: &str = "not UTF-8: convert the file, as by iconv -f WINDOWS-1252 -t UTF-8";

pub(super) struct CsvRows {
    path: PathBuf,
    reader: CsvReader<Box<dyn BufRead + Send>>,
    header: Vec<String>,
    at: Vec<usize>,
    is_bad: bool,
}

impl CsvRows {
    pub(super) fn open(path: &Path, options: &CsvOptions, columns: &[String]) -> anyhow::Result<Self> {
        let mut reader = CsvReader::new(open_text(path)?, options.dialect);
        let header = match &options.columns {
            Some(columns) => columns.clone(),
            None => read_header(path, &mut reader)?,
        };
        reader.expect(header.len());
        let at = locate(path, columns, &header).map_err(|error| match other_delimiter(options, &header) {
            Some(delimiter) => error.context(format!(
                "the header seems to be separated by {delimiter:?}: give file: {{delimiter: {delimiter:?}}} in the mapping"
            )),
            None if header.iter().any(|name| name.contains('\u{fffd}')) => {
                error.context(format!("the header line is {NOT_UTF8}"))
            }
            None => error,
        })?;
        Ok(Self {
            path: path.to_owned(),
            reader,
            at,
            header,
            is_bad: false,
        })
    }
}

fn read_header(path: &Path, reader: &mut CsvReader<Box<dyn BufRead + Send>>) -> anyhow::Result<Vec<String>> {
    let outcome = reader.read();
    match outcome.with_context(|| format!("{}: the header line cannot be read", path.display()))? {
        Outcome::Record => {}
        Outcome::Bad(reason) => bail!("{}: the header line cannot be read: {reason}", path.display()),
        Outcome::End => bail!(
            "{} is empty: its first line must name the columns",
            path.display()
        ),
    }
    let names = reader.record().iter();
    let header: Vec<String> = names
        .map(|name| String::from_utf8_lossy(name).trim().to_owned())
        .collect();
    if header.iter().any(|name| name.contains('\r')) {
        bail!(
            "{}: its lines end with CR alone: convert them, as by tr '\\r' '\\n'",
            path.display()
        );
    }
    Ok(header)
}

/// What the header is separated by, where that is plainly not what the mapping says.
fn other_delimiter(options: &CsvOptions, header: &[String]) -> Option<char> {
    let [only] = header else { return None };
    [';', '\t', '|', ',']
        .into_iter()
        .find(|&other| only.contains(other) && u32::from(other) != u32::from(options.dialect.delimiter))
}

impl Rows for CsvRows {
    fn next_row(&mut self, cells: &mut Vec<Cell>) -> anyhow::Result<Option<Result<(), String>>> {
        let outcome = self.reader.read();
        let after = || format!("{} after line {}", self.path.display(), self.reader.line());
        self.is_bad = false;
        match outcome.with_context(after)? {
            Outcome::Record => {}
            Outcome::Bad(reason) => {
                self.is_bad = true;
                return Ok(Some(Err(reason)));
            }
            Outcome::End => return Ok(None),
        }
        let record = self.reader.record();
        let (found, wanted) = (record.len(), self.header.len());
        if found != wanted {
            return Ok(Some(Err(format!(
                "the row has {found} fields where the header has {wanted}"
            ))));
        }
        cells.clear();
        for &at in &self.at {
            let Ok(text) = std::str::from_utf8(record.get(at)) else {
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
        ("line", self.reader.line())
    }

    fn raw(&self) -> Raw {
        if self.is_bad {
            return raw_of(&String::from_utf8_lossy(self.reader.bad_line()));
        }
        let fields: Vec<_> = self.reader.record().iter().map(String::from_utf8_lossy).collect();
        raw_of(&fields)
    }
}
