//! Rows of a file with one JSON object a line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use super::rows::{Cell, Rows};

/// The longest line; a longer one is a bad row and is skipped.
const MAX_LINE_BYTES: u64 = 1 << 20;

pub(super) struct NdjsonRows {
    path: PathBuf,
    reader: BufReader<File>,
    columns: Vec<String>,
    bytes: Vec<u8>,
    line: u64,
}

impl NdjsonRows {
    pub(super) fn open(path: &Path, columns: &[String]) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(1 << 16, file),
            columns: columns.to_vec(),
            bytes: Vec::new(),
            line: 0,
        })
    }

    /// Reads a line into `self.bytes`; whether there was one. A line that is too long is cut, and its rest passed over.
    fn read_line(&mut self) -> std::io::Result<bool> {
        self.bytes.clear();
        let mut limited = (&mut self.reader).take(MAX_LINE_BYTES + 1);
        if limited.read_until(b'\n', &mut self.bytes)? == 0 {
            return Ok(false);
        }
        self.line += 1;
        if self.is_too_long() {
            self.reader.skip_until(b'\n')?;
        }
        Ok(true)
    }

    fn is_too_long(&self) -> bool {
        self.bytes.len() as u64 > MAX_LINE_BYTES && self.bytes.last() != Some(&b'\n')
    }
}

impl Rows for NdjsonRows {
    fn next_row(&mut self, cells: &mut Vec<Cell>) -> anyhow::Result<Option<Result<(), String>>> {
        loop {
            let read = self.read_line();
            if !read.with_context(|| format!("{} after line {}", self.path.display(), self.line))? {
                return Ok(None);
            }
            if !self.bytes.trim_ascii().is_empty() {
                break;
            }
        }
        if self.is_too_long() {
            return Ok(Some(Err(format!(
                "the line is longer than {MAX_LINE_BYTES} bytes"
            ))));
        }
        let object: serde_json::Map<String, Value> = match serde_json::from_slice(&self.bytes) {
            Ok(object) => object,
            Err(error) => return Ok(Some(Err(format!("the line is no JSON object: {error}")))),
        };
        cells.clear();
        for column in &self.columns {
            cells.push(match object.get(column) {
                None | Some(Value::Null) => Cell::Empty,
                Some(Value::String(text)) if text.trim().is_empty() => Cell::Empty,
                Some(Value::String(text)) => Cell::Text(text.trim().to_owned()),
                Some(value @ (Value::Number(_) | Value::Bool(_))) => Cell::Text(value.to_string()),
                Some(Value::Array(_) | Value::Object(_)) => {
                    return Ok(Some(Err(format!("{column} is no single value"))));
                }
            });
        }
        Ok(Some(Ok(())))
    }

    fn position(&self) -> (&'static str, u64) {
        ("line", self.line)
    }

    fn raw(&self) -> Value {
        let text = String::from_utf8_lossy(self.bytes.trim_ascii()).into_owned();
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }
}
