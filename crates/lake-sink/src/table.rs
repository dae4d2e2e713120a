//! A table: its columns, and rows as the bytes that wait to be written.

use std::fmt::Write as _;

use millrace_registry::RegistryError;
use millrace_service::registry::TopicSchemas;
use millrace_settings::Settings;
use millrace_sink::Record;

use crate::name::Day;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A text that hardly comes twice.
    Id,
    /// A text.
    Text,
    /// A text, or none.
    MaybeText,
    /// Milliseconds since 1970, in UTC.
    Time,
    /// Money of one record: decimal(18, 4).
    Money,
    /// A sum of money: decimal(38, 4).
    Sum,
    /// A 64-bit integer.
    Count,
    /// 64-bit integers that rise from row to row.
    Rising,
    /// A 32-bit integer.
    Number,
    /// A double.
    Double,
    /// True or false.
    Flag,
    /// A list of texts.
    Texts,
    /// Doubles by names.
    Figures,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// A column of this name and kind.
#[must_use]
pub const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

/// The columns that every table has at its end: where its record was.
pub const PLACE: [Column; 2] = [
    column("kafka_partition", Kind::Number),
    column("kafka_offset", Kind::Rising),
];

/// A table, which is made of one topic.
#[derive(Debug)]
pub struct Table {
    /// Its name: its folder in the lake, and a label of metrics.
    pub name: &'static str,
    /// The topic, before any prefix.
    pub topic: &'static str,
    /// Its columns, in the order of a row's cells; those of [`PLACE`] follow.
    pub columns: &'static [Column],
    /// Columns of money whose sums are compared with the topic's.
    pub sums: &'static [&'static str],
    /// Makes what reads the topic's records.
    pub rows: Open,
}

/// Makes what reads the records of a table's topic, whose schemas these are.
pub type Open = fn(&TopicSchemas, &Settings) -> Box<dyn Rows>;

impl Table {
    /// All columns.
    pub fn all_columns(&self) -> impl Iterator<Item = Column> + '_ {
        self.columns.iter().copied().chain(PLACE)
    }

    /// Its schema in the language of Parquet's message types.
    #[must_use]
    pub fn schema(&self) -> String {
        let mut text = format!("message {} {{\n", self.name);
        for Column { name, kind } in self.all_columns() {
            let field = match kind {
                Kind::Id | Kind::Text => format!("REQUIRED BYTE_ARRAY {name} (STRING);"),
                Kind::MaybeText => format!("OPTIONAL BYTE_ARRAY {name} (STRING);"),
                Kind::Time => format!("REQUIRED INT64 {name} (TIMESTAMP(MILLIS,true));"),
                Kind::Money => format!("REQUIRED INT64 {name} (DECIMAL(18,4));"),
                Kind::Sum => format!("REQUIRED FIXED_LEN_BYTE_ARRAY(16) {name} (DECIMAL(38,4));"),
                Kind::Count | Kind::Rising => format!("REQUIRED INT64 {name};"),
                Kind::Number => format!("REQUIRED INT32 {name};"),
                Kind::Double => format!("REQUIRED DOUBLE {name};"),
                Kind::Flag => format!("REQUIRED BOOLEAN {name};"),
                Kind::Texts => format!(
                    "REQUIRED GROUP {name} (LIST) {{ REPEATED GROUP list {{ REQUIRED BYTE_ARRAY element (STRING); }} }}"
                ),
                Kind::Figures => format!(
                    "REQUIRED GROUP {name} (MAP) {{ REPEATED GROUP key_value {{ REQUIRED BYTE_ARRAY key (STRING); \
                     REQUIRED DOUBLE value; }} }}"
                ),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {field}");
        }
        text.push('}');
        text
    }
}

/// What a record is in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// A row of this day, whose cells were put.
    Of(Day),
    /// None: another service dead-letters such records.
    Skip {
        /// The bounded name of the reason.
        code: &'static str,
    },
}

/// Reads the records of a table's topic.
pub trait Rows: Send + Sync {
    /// Puts a record's cells, in the order of the columns.
    ///
    /// # Errors
    /// Nothing is known of the record, as the registry cannot be asked for its schema.
    fn read(&self, record: &Record<'_>, cells: &mut Cells) -> Result<Row, RegistryError>;
}

/// The cells of a row, in the order of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells(Vec<u8>);

impl Cells {
    /// None, with room for those of most rows.
    #[must_use]
    pub fn new() -> Self {
        Self(Vec::with_capacity(160))
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Puts a text.
    pub fn text(&mut self, text: &[u8]) {
        self.length(text.len());
        self.0.extend_from_slice(text);
    }

    /// Puts a text, or none.
    pub fn maybe_text(&mut self, text: Option<&str>) {
        self.flag(text.is_some());
        if let Some(text) = text {
            self.text(text.as_bytes());
        }
    }

    /// Puts a time, an integer, or money in units of 1/10,000.
    pub fn long(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Puts a sum of money in units of 1/10,000.
    pub fn sum(&mut self, units: i128) {
        self.0.extend_from_slice(&units.to_le_bytes());
    }

    /// Puts a 32-bit integer.
    pub fn number(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Puts a double.
    pub fn double(&mut self, value: f64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Puts a flag.
    pub fn flag(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    /// Puts how many elements of a list follow, or bytes of a text.
    pub fn length(&mut self, length: usize) {
        // A record is smaller by far.
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_le_bytes());
    }
}

impl Default for Cells {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes a row's cells in the order that they were put in, and those of its place after them.
#[derive(Debug)]
pub(crate) struct CellReader<'a> {
    cells: &'a [u8],
    place: &'a [u8],
}

impl<'a> CellReader<'a> {
    pub(crate) fn new(cells: &'a [u8], place: &'a [u8]) -> Self {
        Self { cells, place }
    }

    fn take<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        if self.cells.is_empty() {
            self.cells = std::mem::take(&mut self.place);
        }
        let Some((cell, rest)) = self.cells.split_first_chunk::<N>() else {
            anyhow::bail!("a row has too few cells");
        };
        self.cells = rest;
        Ok(*cell)
    }

    pub(crate) fn text(&mut self) -> anyhow::Result<&'a [u8]> {
        let length = self.length()?;
        let Some((text, rest)) = self.cells.split_at_checked(length) else {
            anyhow::bail!("a row has too few cells");
        };
        self.cells = rest;
        Ok(text)
    }

    pub(crate) fn length(&mut self) -> anyhow::Result<usize> {
        Ok(u32::from_le_bytes(self.take()?) as usize)
    }

    pub(crate) fn long(&mut self) -> anyhow::Result<i64> {
        Ok(i64::from_le_bytes(self.take()?))
    }

    pub(crate) fn sum(&mut self) -> anyhow::Result<i128> {
        Ok(i128::from_le_bytes(self.take()?))
    }

    pub(crate) fn number(&mut self) -> anyhow::Result<i32> {
        Ok(i32::from_le_bytes(self.take()?))
    }

    pub(crate) fn double(&mut self) -> anyhow::Result<f64> {
        Ok(f64::from_le_bytes(self.take()?))
    }

    /// Takes the cell of a column; its value where it is an integer or money, else 0.
    pub(crate) fn integer(&mut self, kind: Kind) -> anyhow::Result<i128> {
        match kind {
            Kind::Time | Kind::Money | Kind::Count | Kind::Rising => return Ok(self.long()?.into()),
            Kind::Sum => return self.sum(),
            Kind::Number => return Ok(self.number()?.into()),
            Kind::Id | Kind::Text => {
                self.text()?;
            }
            Kind::MaybeText => {
                if self.flag()? {
                    self.text()?;
                }
            }
            Kind::Double => {
                self.double()?;
            }
            Kind::Flag => {
                self.flag()?;
            }
            Kind::Texts => {
                for _ in 0..self.length()? {
                    self.text()?;
                }
            }
            Kind::Figures => {
                for _ in 0..self.length()? {
                    self.text()?;
                    self.double()?;
                }
            }
        }
        Ok(0)
    }

    pub(crate) fn flag(&mut self) -> anyhow::Result<bool> {
        Ok(self.take::<1>()? == [1])
    }
}
