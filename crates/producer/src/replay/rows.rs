//! Files as rows of cells, whatever their format. They are read as a stream, never as a whole.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::bail;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::csv_rows::{CsvOptions, CsvRows};
use super::input::is_standard_input;
use super::ndjson_rows::NdjsonRows;
use super::parquet_rows::ParquetRows;
use super::raw::Raw;

/// A value of one column.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Cell {
    /// Nothing.
    #[default]
    Empty,
    /// Text.
    Text(String),
    /// A number of a format that has numbers, in decimal, with every digit that the file has.
    Number(String),
    /// A point in time, in milliseconds since 1970 UTC.
    Instant(i64),
    /// A date and time without a zone, in milliseconds since 1970 as if it were UTC.
    Local(i64),
    /// A date, in days since 1970.
    Date(i32),
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::Text(text) | Self::Number(text) => f.write_str(text),
            Self::Instant(ms) => match Timestamp::from_millisecond(*ms) {
                Ok(time) => write!(f, "{time}"),
                Err(_) => write!(f, "{ms}"),
            },
            Self::Local(ms) => match local(*ms) {
                Ok(time) => write!(f, "{time}"),
                Err(_) => write!(f, "{ms}"),
            },
            Self::Date(days) => match date(*days) {
                Ok(date) => write!(f, "{date}"),
                Err(_) => write!(f, "{days}"),
            },
        }
    }
}

/// The date and time that [`Cell::Local`] stands for.
pub(super) fn local(ms: i64) -> Result<DateTime, jiff::Error> {
    Ok(Timestamp::from_millisecond(ms)?
        .to_zoned(TimeZone::UTC)
        .datetime())
}

/// The date that [`Cell::Date`] stands for.
pub(super) fn date(days: i32) -> Result<Date, jiff::Error> {
    Ok(local(i64::from(days) * 86_400_000)?.date())
}

/// A file's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated values (RFC 4180), or separated by what the mapping says.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

impl FileFormat {
    /// As [`FileFormat::from_str`] takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }
}

impl FromStr for FileFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "ndjson" | "jsonl" | "json" => Ok(Self::Ndjson),
            "parquet" => Ok(Self::Parquet),
            _ => Err("must be csv, ndjson or parquet".to_owned()),
        }
    }
}

impl FileFormat {
    /// The format that a file's name says, before `.gz` or `.zst`.
    ///
    /// # Errors
    /// No extension, or one that no format has.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        if is_standard_input(path) {
            bail!("standard input has no name: give --file-format csv, ndjson or parquet");
        }
        let extension = |path: &Path| {
            let extension = path.extension().unwrap_or_default();
            extension.to_string_lossy().to_ascii_lowercase()
        };
        let inner = match extension(path).as_str() {
            "gz" | "gzip" | "zst" | "zstd" => extension(&path.with_extension("")),
            other => other.to_owned(),
        };
        match inner.parse() {
            Ok(format) => Ok(format),
            Err(_) if matches!(inner.as_str(), "xlsx" | "xls" | "ods") => {
                bail!(
                    "{} is a workbook of a spreadsheet: save it as CSV",
                    path.display()
                )
            }
            Err(_) => bail!(
                "{}: the extension {inner:?} says no format; give --file-format csv, ndjson or parquet",
                path.display()
            ),
        }
    }
}

/// A file read row by row.
pub trait Rows: Send {
    /// Reads the next row into `cells`, in the order of the columns asked for. `Some(Err)` is a row
    /// that cannot be read, after which the rest goes on; `None` is the end.
    ///
    /// # Errors
    /// The file cannot be read on.
    fn next_row(&mut self, cells: &mut Vec<Cell>) -> anyhow::Result<Option<Result<(), String>>>;

    /// Where the last row is: `line` or `row`, and its number from 1.
    fn position(&self) -> (&'static str, u64);

    /// The last row as it was read, for the reject file.
    fn raw(&self) -> Raw;
}

/// Opens a file for its `columns`. `csv` says how it is written, if it is CSV.
///
/// # Errors
/// The file cannot be read, is not of this format, or has not all of the columns.
pub(super) fn open(
    path: &Path,
    format: FileFormat,
    csv: &CsvOptions,
    columns: &[String],
) -> anyhow::Result<Box<dyn Rows>> {
    Ok(match format {
        FileFormat::Csv => Box::new(CsvRows::open(path, csv, columns)?),
        FileFormat::Ndjson => Box::new(NdjsonRows::open(path, columns)?),
        FileFormat::Parquet => Box::new(ParquetRows::open(path, columns)?),
    })
}

/// The index of each wanted column among those the file has.
///
/// # Errors
/// A column that is not there, in which case the message lists those that are; or one that is there
/// twice.
pub(super) fn locate(path: &Path, wanted: &[String], present: &[String]) -> anyhow::Result<Vec<usize>> {
    let mut places = Vec::with_capacity(wanted.len());
    for column in wanted {
        let mut found = (0..present.len()).filter(|&at| present[at] == *column);
        match (found.next(), found.next()) {
            (Some(at), None) => places.push(at),
            (Some(_), Some(_)) => bail!(
                "{}: column {column}, which the mapping names, is there twice: rename one",
                path.display()
            ),
            (None, _) => bail!(
                "{}: there is no column {column}, which the mapping names; the file has {}",
                path.display(),
                present.join(", ")
            ),
        }
    }
    Ok(places)
}
