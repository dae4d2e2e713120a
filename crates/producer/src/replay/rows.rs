//! Files as rows of cells, whatever their format. They are read as a stream, never as a whole.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::bail;
use jiff::Timestamp;

use super::csv_rows::CsvRows;
use super::ndjson_rows::NdjsonRows;
use super::parquet_rows::ParquetRows;

/// A value of one column.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Cell {
    /// Nothing.
    #[default]
    Empty,
    /// Text, or a number in decimal.
    Text(String),
    /// A point in time, in milliseconds since 1970 UTC.
    Instant(i64),
    /// A date and time without a zone, in milliseconds since 1970 as if it were UTC.
    Local(i64),
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Instant(ms) | Self::Local(ms) => match Timestamp::from_millisecond(*ms) {
                Ok(time) => write!(f, "{time}"),
                Err(_) => write!(f, "{ms}"),
            },
        }
    }
}

/// A file's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated values with a header line (RFC 4180).
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

impl FromStr for FileFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "ndjson" | "jsonl" => Ok(Self::Ndjson),
            "parquet" => Ok(Self::Parquet),
            _ => Err("must be csv, ndjson or parquet".to_owned()),
        }
    }
}

impl FileFormat {
    /// The format that a file's name says.
    ///
    /// # Errors
    /// No extension, or one that no format has.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or("");
        match extension.parse() {
            Ok(format) => Ok(format),
            Err(_) => bail!(
                "{}: the extension {extension:?} says no format; give --file-format csv, ndjson or parquet",
                path.display()
            ),
        }
    }
}

/// A file read row by row.
pub trait Rows: Send {
    /// Reads the next row into `cells`, in the order of the columns asked for. `Some(Err)` is a row that cannot be read,
    /// after which the rest goes on; `None` is the end.
    ///
    /// # Errors
    /// The file cannot be read on.
    fn next_row(&mut self, cells: &mut Vec<Cell>) -> anyhow::Result<Option<Result<(), String>>>;

    /// Where the last row is: `line` or `row`, and its number from 1.
    fn position(&self) -> (&'static str, u64);

    /// The last row as it was read, for the reject file.
    fn raw(&self) -> serde_json::Value;
}

/// Opens a file for its `columns`.
///
/// # Errors
/// The file cannot be read, is not of this format, or has not all of the columns.
pub fn open(path: &Path, format: FileFormat, columns: &[String]) -> anyhow::Result<Box<dyn Rows>> {
    Ok(match format {
        FileFormat::Csv => Box::new(CsvRows::open(path, columns)?),
        FileFormat::Ndjson => Box::new(NdjsonRows::open(path, columns)?),
        FileFormat::Parquet => Box::new(ParquetRows::open(path, columns)?),
    })
}

/// The index of each wanted column among those the file has.
///
/// # Errors
/// A column that is not there; the message lists those that are.
pub(super) fn locate(path: &Path, wanted: &[String], present: &[String]) -> anyhow::Result<Vec<usize>> {
    wanted
        .iter()
        .map(|column| match present.iter().position(|name| name == column) {
            Some(at) => Ok(at),
            None => bail!(
                "{}: there is no column {column}, which the mapping names; the file has {}",
                path.display(),
                present.join(", ")
            ),
        })
        .collect()
}
