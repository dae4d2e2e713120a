//! Rows of a Parquet file: only the columns that are asked for are read, a few rows at a time.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::input::open_seekable;
use super::parquet_value::{self, BadValue, Reading};
use super::raw::{Raw, raw_of};
use super::rows::{Cell, Rows, locate};

/// Rows of a column that are decoded at once.
const ROWS_AT_ONCE: usize = 1_024;

type Value = Result<Cell, BadValue>;

/// A column of the file, a leaf of its schema.
struct Column {
    name: String,
    /// Its place among the file's leaves.
    leaf: usize,
    reading: Reading,
    /// The level at which a value is there, and not null or in something that is.
    present: i16,
    reader: Option<ColumnReader>,
    values: VecDeque<Value>,
}

pub(super) struct ParquetRows {
    path: PathBuf,
    file: SerializedFileReader<File>,
    columns: Vec<Column>,
    next_group: usize,
    /// Rows of the row group that are not read yet.
    left: i64,
    /// Why the rest cannot be read, once the rows before it are through.
    failed: Option<ParquetError>,
    last: Vec<Value>,
    row: u64,
}

impl ParquetRows {
    pub(super) fn open(path: &Path, columns: &[String]) -> anyhow::Result<Self> {
        let file = SerializedFileReader::new(open_seekable(path)?)
            .with_context(|| format!("{} is no Parquet file", path.display()))?;
        let leaves = file.metadata().file_metadata().schema_descr().columns();
        // A column in a structure has the path to it as its name, as payer.id.
        let names: Vec<String> = leaves.iter().map(|leaf| leaf.path().string()).collect();
        for column in columns.iter().filter(|column| !names.contains(column)) {
            let inner: Vec<&str> = names
                .iter()
                .map(String::as_str)
                .filter(|name| {
                    name.strip_prefix(column.as_str())
                        .is_some_and(|rest| rest.starts_with('.'))
                })
                .collect();
            if !inner.is_empty() {
                bail!(
                    "{}: column {column} is a structure or list: name one of {}",
                    path.display(),
                    inner.join(", ")
                );
            }
        }
        let columns = locate(path, columns, &names)?
            .into_iter()
            .map(|leaf| {
                let reading = parquet_value::reading(&leaves[leaf]).map_err(|kind| {
                    anyhow!(
                        "{}: column {} is {kind}, where a text, number, truth value or time is needed",
                        path.display(),
                        names[leaf]
                    )
                })?;
                Ok(Column {
                    name: names[leaf].clone(),
                    leaf,
                    reading,
                    present: leaves[leaf].max_def_level(),
                    reader: None,
                    values: VecDeque::new(),
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self {
            path: path.to_owned(),
            file,
            columns,
            next_group: 0,
            left: 0,
            failed: None,
            last: Vec::new(),
            row: 0,
        })
    }

    /// Makes sure that every column has a value for the next row. `false`: there is none.
    fn fill(&mut self) -> anyhow::Result<bool> {
        while self.columns.iter().any(|column| column.values.is_empty()) {
            if let Some(error) = self.failed.take() {
                let at = format!("{} at row {}", self.path.display(), self.row + 1);
                return Err(anyhow::Error::new(error).context(at));
            }
            if self.left == 0 && !self.open_group()? {
                return Ok(false);
            }
            if let Err(error) = self.decode() {
                // The rows before the one that cannot be read are good.
                self.failed = Some(error);
            }
        }
        Ok(true)
    }

    fn open_group(&mut self) -> anyhow::Result<bool> {
        if self.next_group == self.file.num_row_groups() {
            return Ok(false);
        }
        let at = || format!("{} at row group {}", self.path.display(), self.next_group);
        let group = self.file.get_row_group(self.next_group).with_context(at)?;
        self.left = group.metadata().num_rows();
        for column in &mut self.columns {
            column.reader = Some(group.get_column_reader(column.leaf).with_context(at)?);
        }
        self.next_group += 1;
        Ok(true)
    }

    fn decode(&mut self) -> Result<(), ParquetError> {
        let rows = usize::try_from(self.left).map_or(ROWS_AT_ONCE, |left| left.min(ROWS_AT_ONCE));
        self.left -= rows as i64;
        let mut outcome = Ok(());
        for column in &mut self.columns {
            let decoded = column.decode(rows).and_then(|found| {
                if found == rows {
                    return Ok(());
                }
                Err(ParquetError::General(format!(
                    "column {} ends before its row group does",
                    column.name
                )))
            });
            outcome = outcome.and(decoded);
        }
        outcome
    }
}

impl Column {
    /// Decodes the values of so many rows; returns of how many there are, and keeps those before a
    /// failure.
    fn decode(&mut self, rows: usize) -> Result<usize, ParquetError> {
        let (reading, present, values) = (self.reading, self.present, &mut self.values);
        let text = |text: String| Ok(Cell::Number(text));
        let before = values.len();
        match &mut self.reader {
            None => {}
            Some(ColumnReader::BoolColumnReader(reader)) => {
                take(reader, rows, present, values, |value| {
                    Ok(Cell::Text(value.to_string()))
                })?;
            }
            Some(ColumnReader::Int32ColumnReader(reader)) => {
                let cell = |&value: &i32| {
                    Ok(parquet_value::whole(
                        value.into(),
                        u64::from(value.cast_unsigned()),
                        reading,
                    ))
                };
                take(reader, rows, present, values, cell)?;
            }
            Some(ColumnReader::Int64ColumnReader(reader)) => {
                let cell = |&value: &i64| Ok(parquet_value::whole(value, value.cast_unsigned(), reading));
                take(reader, rows, present, values, cell)?;
            }
            Some(ColumnReader::Int96ColumnReader(reader)) => {
                take(reader, rows, present, values, |value| {
                    Ok(parquet_value::timestamp(value.to_millis(), true))
                })?;
            }
            Some(ColumnReader::FloatColumnReader(reader)) => {
                take(reader, rows, present, values, |value| text(value.to_string()))?;
            }
            Some(ColumnReader::DoubleColumnReader(reader)) => {
                take(reader, rows, present, values, |value| text(value.to_string()))?;
            }
            Some(ColumnReader::ByteArrayColumnReader(reader)) => {
                take(reader, rows, present, values, |value| {
                    parquet_value::bytes(value.data(), reading)
                })?;
            }
            Some(ColumnReader::FixedLenByteArrayColumnReader(reader)) => {
                take(reader, rows, present, values, |value| {
                    parquet_value::bytes(value.data(), reading)
                })?;
            }
        }
        Ok(values.len() - before)
    }
}

/// Takes the values of so many rows from a column's reader.
fn take<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    present: i16,
    into: &mut VecDeque<Value>,
    cell: impl Fn(&T::T) -> Value,
) -> Result<(), ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let outcome = reader.read_records(rows, (present > 0).then_some(&mut levels), None, &mut values);
    if present == 0 {
        into.extend(values.iter().map(cell));
    } else {
        let mut values = values.iter();
        for level in levels {
            match (level == present).then(|| values.next()) {
                None => into.push_back(Ok(Cell::Empty)),
                Some(Some(value)) => into.push_back(cell(value)),
                // Where decoding failed, levels may be known of values that are not.
                Some(None) => break,
            }
        }
    }
    outcome.map(drop)
}

impl Rows for ParquetRows {
    fn next_row(&mut self, cells: &mut Vec<Cell>) -> anyhow::Result<Option<Result<(), String>>> {
        if !self.fill()? {
            return Ok(None);
        }
        self.row += 1;
        self.last.clear();
        self.last.extend(
            self.columns
                .iter_mut()
                .filter_map(|column| column.values.pop_front()),
        );
        cells.clear();
        for (value, column) in self.last.iter().zip(&self.columns) {
            match value {
                Ok(cell) => cells.push(cell.clone()),
                Err(bad) => return Ok(Some(Err(format!("column {} {}", column.name, bad.reason)))),
            }
        }
        Ok(Some(Ok(())))
    }

    fn position(&self) -> (&'static str, u64) {
        ("row", self.row)
    }

    fn raw(&self) -> Raw {
        let shown = |value: &Value| match value {
            Ok(cell) => cell.to_string(),
            Err(bad) => bad.shown.clone(),
        };
        let columns = self.columns.iter().map(|column| column.name.as_str());
        let row: BTreeMap<&str, String> = columns.zip(self.last.iter().map(shown)).collect();
        raw_of(&row)
    }
}

/// A file's columns: those that can be mapped, and the others with what they are.
#[derive(Debug, Default)]
pub(super) struct Described {
    pub(super) columns: Vec<String>,
    pub(super) others: Vec<(String, String)>,
}

/// Looks at a file's columns.
///
/// # Errors
/// It cannot be read, or is no Parquet file.
pub(super) fn describe(path: &Path) -> anyhow::Result<Described> {
    let file = SerializedFileReader::new(open_seekable(path)?)
        .with_context(|| format!("{} is no Parquet file", path.display()))?;
    let mut described = Described::default();
    for leaf in file.metadata().file_metadata().schema_descr().columns() {
        let name = leaf.path().string();
        match parquet_value::reading(leaf) {
            Ok(_) => described.columns.push(name),
            Err(kind) => described.others.push((name, kind)),
        }
    }
    Ok(described)
}
