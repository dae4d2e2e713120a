//! The mapping file as it is written, and what becomes of an entry.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::csv_reader::Dialect;
use super::csv_rows::CsvOptions;
use super::field::{Field, Origin, Piece};
use super::number::Marks;
use super::time::FIELD as TIME;

/// The file's content: the contract's ten fields, and how the rows' file is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct MappingFile {
    #[serde(default)]
    pub(super) file: FileEntry,
    pub(super) transaction_id: Entry,
    pub(super) user_id: Entry,
    pub(super) amount: Entry,
    pub(super) transaction_time: Entry,
    pub(super) merchant_id: Entry,
    pub(super) transaction_type: Entry,
    pub(super) location: Entry,
    pub(super) payment_method: Entry,
    pub(super) is_international: Entry,
    pub(super) currency: Entry,
}

/// How a CSV file is written; the other formats say so themselves.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileEntry {
    /// Between two fields: one ASCII character, or `tab`.
    delimiter: Option<String>,
    /// Encloses fields: one ASCII character, or `none`.
    quote: Option<String>,
    /// Names of the columns of a file without a header line.
    columns: Option<Vec<String>>,
}

impl FileEntry {
    /// Checks it.
    ///
    /// # Errors
    /// What is no single ASCII character, or two columns of one name.
    pub(super) fn compile(self) -> Result<CsvOptions, String> {
        let mut dialect = Dialect::default();
        let byte = |key: &str, text: &str| match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(*byte),
            _ => Err(format!("{key} {text:?} must be one ASCII character")),
        };
        match self.delimiter.as_deref() {
            None => {}
            Some("tab") => dialect.delimiter = b'\t',
            Some(text) => dialect.delimiter = byte("delimiter", text)?,
        }
        match self.quote.as_deref() {
            None => {}
            Some("none") => dialect.quote = None,
            Some(text) => dialect.quote = Some(byte("quote", text)?),
        }
        if dialect.quote == Some(dialect.delimiter) {
            return Err("delimiter and quote must differ".to_owned());
        }
        if let Some(columns) = &self.columns {
            let twice = (1..columns.len()).find(|&at| columns[..at].contains(&columns[at]));
            if let Some(at) = twice {
                return Err(format!("columns has {} twice", columns[at]));
            }
        }
        Ok(CsvOptions {
            dialect,
            columns: self.columns,
        })
    }
}

/// One field's entry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// The value of a column.
    column: Option<String>,
    /// The same value for every row.
    constant: Option<Constant>,
    /// A text with `{COLUMN}` in it.
    template: Option<String>,
    /// As `template`, made into a version 5 UUID.
    pub(super) uuid5: Option<String>,
    /// The value where a column is empty.
    default: Option<Constant>,
    /// The contract's value for a value of the file.
    #[serde(default)]
    values: BTreeMap<String, Constant>,
    /// How times are written.
    pub(super) format: Option<String>,
    /// The zone of times that name none.
    pub(super) zone: Option<String>,
    /// What an hour means that summer time has twice, or leaves out: reject, earlier or later.
    pub(super) disambiguation: Option<String>,
    /// Amounts are rounded to so many decimals, for files that computed them in floating point.
    pub(super) decimals: Option<u8>,
    /// Between an amount's whole and its decimals: a point or a comma.
    decimal_mark: Option<char>,
    /// Between groups of three digits of an amount.
    thousands_mark: Option<char>,
}

impl Entry {
    /// How an amount is written as text.
    ///
    /// # Errors
    /// Marks that would make two numbers of one text.
    pub(super) fn marks(&self) -> Result<Marks, String> {
        let marks = Marks {
            decimal: self.decimal_mark.unwrap_or('.'),
            thousands: self.thousands_mark,
        };
        if !matches!(marks.decimal, '.' | ',') {
            return Err(format!(
                "decimal_mark {:?} must be a point or a comma",
                marks.decimal
            ));
        }
        match marks.thousands {
            Some(mark) if mark == marks.decimal => Err(format!(
                "thousands_mark and decimal_mark are both {mark:?}: give both"
            )),
            Some(mark) if !matches!(mark, '.' | ',' | ' ' | '\'' | '_') => Err(format!(
                "thousands_mark {mark:?} must be a point, a comma, a blank, an apostrophe or an underscore"
            )),
            _ => Ok(marks),
        }
    }
}

/// A value as YAML writes it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Constant {
    Truth(bool),
    Integer(i64),
    Number(f64),
    Text(String),
}

impl From<Constant> for String {
    fn from(constant: Constant) -> Self {
        match constant {
            Constant::Truth(truth) => truth.to_string(),
            Constant::Integer(integer) => integer.to_string(),
            Constant::Number(number) => number.to_string(),
            Constant::Text(text) => text,
        }
    }
}

/// Checks an entry and gives each column it names a place in `columns`.
pub(super) fn compile(name: &'static str, entry: Entry, columns: &mut Vec<String>) -> Result<Field, String> {
    if entry.uuid5.is_some() && name != "transactionId" {
        return Err("uuid5 is for transactionId only".to_owned());
    }
    if entry.constant.is_some() && name == "transactionId" {
        return Err("must differ from row to row: a constant cannot".to_owned());
    }
    if (entry.format.is_some() || entry.zone.is_some() || entry.disambiguation.is_some()) && name != TIME {
        return Err(format!("format, zone and disambiguation are for {TIME} only"));
    }
    if (entry.decimal_mark.is_some() || entry.thousands_mark.is_some()) && name != "amount" {
        return Err("decimal_mark and thousands_mark are for amount only".to_owned());
    }
    if entry
        .decimals
        .is_some_and(|decimals| name != "amount" || decimals > 4)
    {
        return Err("decimals is for amount only, from 0 to 4".to_owned());
    }
    let origin = match (entry.column, entry.constant, entry.template.or(entry.uuid5)) {
        (Some(column), None, None) => Origin::Column(index(column, columns)),
        (None, Some(constant), None) => Origin::Constant(constant.into()),
        (None, None, Some(template)) => Origin::Template(pieces(&template, columns)?),
        _ => return Err("must have one of column, constant, template and uuid5, and only one".to_owned()),
    };
    Ok(Field {
        name,
        origin,
        default: entry.default.map(String::from),
        values: entry
            .values
            .into_iter()
            .map(|(from, to)| (from, to.into()))
            .collect(),
    })
}

fn index(column: String, columns: &mut Vec<String>) -> usize {
    columns
        .iter()
        .position(|other| *other == column)
        .unwrap_or_else(|| {
            columns.push(column);
            columns.len() - 1
        })
}

/// Splits `u-{CUSTOMER_ID}` into its text and its column.
fn pieces(template: &str, columns: &mut Vec<String>) -> Result<Vec<Piece>, String> {
    let unbalanced = || format!("the template {template:?} must close every brace: as in u-{{CUSTOMER_ID}}");
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let (column, after) = after.split_once('}').ok_or_else(unbalanced)?;
        if column.is_empty() || column.contains('{') || text.contains('}') {
            return Err(unbalanced());
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        pieces.push(Piece::Column(index(column.to_owned(), columns)));
        rest = after;
    }
    if rest.contains('}') {
        return Err(unbalanced());
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    if !pieces.iter().any(|piece| matches!(piece, Piece::Column(_))) {
        return Err(format!(
            "the template {template:?} names no column: use constant for a fixed text"
        ));
    }
    Ok(pieces)
}
