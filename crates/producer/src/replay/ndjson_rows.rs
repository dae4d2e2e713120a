//! Rows of a file with one JSON object a line.

use std::fmt;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::input::open_text;
use super::raw::{Raw, raw_of};
use super::rows::{Cell, Rows};

/// The longest line; a longer one is a bad row and is skipped.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// A byte order mark: files that were put together have it at other lines than the first too.
const MARK: &[u8] = "\u{feff}".as_bytes();

pub(super) struct NdjsonRows {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    columns: Vec<String>,
    bytes: Vec<u8>,
    line: u64,
}

impl NdjsonRows {
    pub(super) fn open(path: &Path, columns: &[String]) -> anyhow::Result<Self> {
        let mut reader = open_text(path)?;
        let head = reader.fill_buf().with_context(|| path.display().to_string())?;
        if head.trim_ascii_start().first() == Some(&b'[') {
            bail!(
                "{} is one JSON array, where one object a line is needed: convert it, as by jq -c '.[]'",
                path.display()
            );
        }
        Ok(Self {
            path: path.to_owned(),
            reader,
            columns: columns.to_vec(),
            bytes: Vec::new(),
            line: 0,
        })
    }

    /// Reads a line into `self.bytes`; whether there was one. A line that is too long is cut, and
    /// its rest passed over.
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

    fn text(&self) -> &[u8] {
        self.bytes.strip_prefix(MARK).unwrap_or(&self.bytes).trim_ascii()
    }
}

/// The values of some columns of a JSON object. A column is a key, or the path to one through
/// objects, as `payer.id`.
struct Columns<'c, C>(&'c [C]);

/// For each column: the value of its own key, and of the first key of its path with the rest of the
/// path.
type Found<'de, 'c> = Vec<(Option<&'de RawValue>, Option<(&'de RawValue, &'c str)>)>;

impl<'de, 'c, C: AsRef<str>> Visitor<'de> for Columns<'c, C> {
    type Value = Found<'de, 'c>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = vec![(None, None); self.0.len()];
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let rest = |column: &'c str| column.strip_prefix(&*key);
            let is_wanted = |column: &C| {
                column
                    .as_ref()
                    .strip_prefix(&*key)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            if !self.0.iter().any(is_wanted) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: &RawValue = map.next_value()?;
            for (column, (own, nested)) in self.0.iter().zip(&mut found) {
                match rest(column.as_ref()) {
                    Some("") => *own = Some(value),
                    Some(rest) if rest.starts_with('.') => *nested = Some((value, &rest[1..])),
                    _ => {}
                }
            }
        }
        Ok(found)
    }
}

fn find<'de, 'c, C: AsRef<str>>(
    text: &'de [u8],
    columns: &'c [C],
) -> Result<Found<'de, 'c>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let found = deserializer.deserialize_map(Columns(columns))?;
    deserializer.end()?;
    Ok(found)
}

/// The cell of a column that was found. Numbers keep the digits that they are written with.
fn cell((own, nested): (Option<&RawValue>, Option<(&RawValue, &str)>), column: &str) -> Result<Cell, String> {
    let value = match (own, nested) {
        (Some(value), _) => value.get(),
        (None, Some((object, rest))) if object.get().starts_with('{') => {
            let columns = [rest];
            let inner = find(object.get().as_bytes(), &columns).map_err(|error| error.to_string())?;
            return cell(inner[0], column);
        }
        (None, _) => return Ok(Cell::Empty),
    };
    match value.as_bytes().first() {
        Some(b'n') | None => Ok(Cell::Empty),
        Some(b't' | b'f') => Ok(Cell::Text(value.to_owned())),
        Some(b'{' | b'[') => Err(format!("{column} is no single value")),
        Some(b'"') => {
            let text: String = serde_json::from_str(value).map_err(|error| format!("{column}: {error}"))?;
            Ok(match text.trim() {
                "" => Cell::Empty,
                trimmed => Cell::Text(trimmed.to_owned()),
            })
        }
        Some(_) => Ok(Cell::Number(value.to_owned())),
    }
}

impl Rows for NdjsonRows {
    fn next_row(&mut self, cells: &mut Vec<Cell>) -> anyhow::Result<Option<Result<(), String>>> {
        loop {
            let read = self.read_line();
            if !read.with_context(|| format!("{} after line {}", self.path.display(), self.line))? {
                return Ok(None);
            }
            if !self.text().is_empty() {
                break;
            }
        }
        if self.is_too_long() {
            return Ok(Some(Err(format!(
                "the line is longer than {MAX_LINE_BYTES} bytes"
            ))));
        }
        let found = match find(self.text(), &self.columns) {
            Ok(found) => found,
            Err(error) => return Ok(Some(Err(format!("the line is no JSON object: {error}")))),
        };
        cells.clear();
        for (found, column) in found.into_iter().zip(&self.columns) {
            match cell(found, column) {
                Ok(cell) => cells.push(cell),
                Err(reason) => return Ok(Some(Err(reason))),
            }
        }
        Ok(Some(Ok(())))
    }

    fn position(&self) -> (&'static str, u64) {
        ("line", self.line)
    }

    fn raw(&self) -> Raw {
        let text = String::from_utf8_lossy(self.text()).into_owned();
        RawValue::from_string(text.clone()).unwrap_or_else(|_| raw_of(&text))
    }
}
