//! The columns and first rows of a file.

use std::collections::BTreeSet;
use std::fs;
use std::io::BufRead;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::Value;

use super::super::csv_reader::{CsvReader, Dialect, Outcome};
use super::super::csv_rows::{CsvOptions, NOT_UTF8};
use super::super::input::{is_standard_input, open_text};
use super::super::parquet_rows;
use super::super::rows::{Cell, FileFormat, open};

/// Rows that a proposal is made of.
const ROWS: usize = 1_000;
/// Most columns that are looked at: a wider file has them in its first ones.
const MAX_COLUMNS: usize = 500;
/// What may separate the fields of a CSV file.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// A column and its values in the first rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) cells: Vec<Cell>,
}

impl Column {
    /// The values that are there, as text.
    pub(super) fn texts(&self) -> impl Iterator<Item = String> {
        let there = self.cells.iter().filter(|cell| **cell != Cell::Empty);
        there.map(ToString::to_string)
    }

    pub(super) fn is_filled(&self) -> bool {
        !self.cells.contains(&Cell::Empty)
    }

    pub(super) fn tells_rows_apart(&self) -> bool {
        let values: BTreeSet<String> = self.texts().collect();
        self.is_filled() && values.len() == self.cells.len()
    }
}

/// What was seen of a file.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) columns: Vec<Column>,
    /// The delimiter of a CSV file that has no commas.
    pub(super) delimiter: Option<u8>,
    pub(super) rows: usize,
    /// What a mapping cannot use, or what is odd.
    pub(super) notes: Vec<String>,
}

impl Sample {
    /// Looks at a file.
    ///
    /// # Errors
    /// It cannot be read, or has no rows.
    pub(super) fn read(path: &Path, format: FileFormat) -> anyhow::Result<Self> {
        if is_standard_input(path) {
            bail!("a mapping is proposed for a file, which is read more than once: give its name");
        }
        fs::metadata(path).with_context(|| path.display().to_string())?;
        let (names, dialect, mut notes) = match format {
            FileFormat::Csv => {
                let (names, dialect) = csv_header(path)?;
                (names, dialect, Vec::new())
            }
            FileFormat::Ndjson => (json_paths(path)?, Dialect::default(), Vec::new()),
            FileFormat::Parquet => {
                let described = parquet_rows::describe(path)?;
                let notes = described
                    .others
                    .iter()
                    .map(|(name, kind)| format!("column {name} is {kind}, and cannot be mapped"))
                    .collect();
                (described.columns, Dialect::default(), notes)
            }
        };
        let names: Vec<String> = names.into_iter().take(MAX_COLUMNS).collect();
        let csv = CsvOptions {
            dialect,
            columns: None,
        };
        let mut columns: Vec<Column> = names
            .iter()
            .map(|name| Column {
                name: name.clone(),
                cells: Vec::new(),
            })
            .collect();
        let mut file = open(path, format, &csv, &names)?;
        let (mut cells, mut rows, mut bad, mut why) = (Vec::new(), 0, 0, None);
        while rows < ROWS && bad < ROWS {
            match file.next_row(&mut cells)? {
                None => break,
                Some(Err(reason)) => {
                    bad += 1;
                    why = why.or(Some(reason));
                }
                Some(Ok(())) => {
                    rows += 1;
                    for (column, cell) in columns.iter_mut().zip(&cells) {
                        column.cells.push(cell.clone());
                    }
                }
            }
        }
        if rows == 0 {
            bail!("{} has no row that can be read", path.display());
        }
        if let Some(reason) = why {
            notes.push(format!(
                "{bad} of the first {} rows cannot be read, the first because {reason}",
                rows + bad
            ));
        }
        Ok(Self {
            columns,
            delimiter: (dialect.delimiter != b',').then_some(dialect.delimiter),
            rows,
            notes,
        })
    }
}

/// The names of a CSV file's columns, and how it is written: by the delimiter that divides its
/// first rows alike.
fn csv_header(path: &Path) -> anyhow::Result<(Vec<String>, Dialect)> {
    let mut best: Option<(usize, Vec<String>, Dialect)> = None;
    for delimiter in DELIMITERS {
        let dialect = Dialect {
            delimiter,
            ..Dialect::default()
        };
        let mut reader = CsvReader::new(open_text(path)?, dialect);
        if reader.read()? != Outcome::Record {
            continue;
        }
        let names: Vec<String> = reader
            .record()
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        let mut alike = 0;
        for _ in 0..100 {
            match reader.read()? {
                Outcome::Record => alike += usize::from(reader.record().len() == names.len()),
                Outcome::Bad(_) => {}
                Outcome::End => break,
            }
        }
        let score = (names.len() - 1) * (alike + 1);
        if best.as_ref().is_none_or(|(other, ..)| score > *other) {
            best = Some((score, names, dialect));
        }
    }
    let (_, names, dialect) = best.with_context(|| format!("{} is empty", path.display()))?;
    if names.iter().any(|name| name.contains('\u{fffd}')) {
        bail!("{}: its header line is {NOT_UTF8}", path.display());
    }
    Ok((names, dialect))
}

/// The keys of the first objects, with the paths to those within others.
fn json_paths(path: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for line in open_text(path)?.lines().take(ROWS) {
        let Ok(value) = serde_json::from_str::<Value>(line?.trim_start_matches('\u{feff}')) else {
            continue;
        };
        collect(&value, "", &mut names);
    }
    Ok(names)
}

fn collect(value: &Value, prefix: &str, names: &mut Vec<String>) {
    let Value::Object(object) = value else { return };
    for (key, value) in object {
        let name = format!("{prefix}{key}");
        match value {
            Value::Object(_) => collect(value, &format!("{name}."), names),
            Value::Array(_) => {}
            _ if names.contains(&name) => {}
            _ => names.push(name),
        }
    }
}
