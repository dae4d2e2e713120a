//! One field of the contract, made of a row's cells.

use std::collections::BTreeMap;
use std::fmt::Write;

use millrace_domain::InvalidValue;
use thiserror::Error;

use super::rows::Cell;

/// Why a row is no transaction.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RowError {
    /// A column that a field needs is empty, and the mapping has no default.
    #[error("{field}: column {column} is empty and the mapping gives no default")]
    Empty {
        /// The contract's field.
        field: &'static str,
        /// The file's column.
        column: String,
    },
    /// A value that cannot be read.
    #[error("{field}: {value:?} is not {wanted}")]
    Unreadable {
        /// The contract's field.
        field: &'static str,
        /// The value, cut to 60 characters.
        value: String,
        /// What would be right.
        wanted: String,
    },
    /// A value that the contract refuses.
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
}

impl RowError {
    pub(super) fn unreadable(field: &'static str, value: &str, wanted: impl Into<String>) -> Self {
        Self::Unreadable {
            field,
            value: value.chars().take(60).collect(),
            wanted: wanted.into(),
        }
    }
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Column(usize),
}

/// Where a field's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Origin {
    Column(usize),
    Constant(String),
    Template(Vec<Piece>),
}

/// One field's mapping. Columns are indices into the mapping's columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) origin: Origin,
    pub(super) default: Option<String>,
    pub(super) values: BTreeMap<String, String>,
}

impl Field {
    /// The field's text, for a row with `cells` in the order of `columns`; `text` is a buffer.
    pub(super) fn text<'a>(
        &'a self,
        cells: &'a [Cell],
        columns: &[String],
        text: &'a mut String,
    ) -> Result<&'a str, RowError> {
        let empty = |at: usize| RowError::Empty {
            field: self.name,
            column: columns[at].clone(),
        };
        text.clear();
        let found: &str = match &self.origin {
            Origin::Constant(constant) => constant,
            Origin::Column(at) => match (&cells[*at], &self.default) {
                (Cell::Empty, Some(default)) => return Ok(default),
                (Cell::Empty, None) => return Err(empty(*at)),
                (Cell::Text(cell), _) => cell,
                (cell, _) => {
                    let _ = write!(text, "{cell}");
                    text
                }
            },
            Origin::Template(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(piece) => text.push_str(piece),
                        Piece::Column(at) => match (&cells[*at], &self.default) {
                            (Cell::Empty, Some(default)) => return Ok(default),
                            (Cell::Empty, None) => return Err(empty(*at)),
                            (cell, _) => {
                                let _ = write!(text, "{cell}");
                            }
                        },
                    }
                }
                text
            }
        };
        Ok(self.values.get(found).map_or(found, String::as_str))
    }
}
