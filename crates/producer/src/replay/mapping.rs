//! The mapping file: for each field of the contract, where in a row its value is.

use std::fs;
use std::path::{Path, PathBuf};

use millrace_domain::{Amount, Currency, Transaction, TransactionId};
use thiserror::Error;
use uuid::Uuid;

use super::csv_rows::CsvOptions;
use super::entry::{MappingFile, compile};
use super::field::{Field, Origin, RowError};
use super::number::Marks;
use super::rows::{Cell, FileFormat, Rows, open};
use super::time::{FIELD as TIME, TimeReader};
use super::value::{amount, payment_method, short_id, transaction_type, truth};

/// Namespace of transaction ids made of a column (a version 4 UUID drawn once for this project).
const NAMESPACE: Uuid = Uuid::from_u128(0x1f8e_6b0a_93d2_4c57_8b41_c0de_77a9_5e36);

/// Why a mapping cannot be used.
#[derive(Debug, Error)]
pub enum MappingError {
    /// The file cannot be read.
    #[error("the mapping {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// The file is no mapping.
    #[error("the mapping {path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: serde_yaml_ng::Error,
    },
    /// A field's entry cannot be used.
    #[error("the mapping {path}: {field}: {reason}")]
    Field {
        /// The file.
        path: PathBuf,
        /// The contract's field.
        field: &'static str,
        /// Why, and what would be right.
        reason: String,
    },
}

/// A mapping ready for use.
#[derive(Debug)]
pub struct Mapping {
    csv: CsvOptions,
    columns: Vec<String>,
    transaction_id: Field,
    is_uuid5: bool,
    user_id: Field,
    amount: Field,
    decimals: Option<u8>,
    marks: Marks,
    time: Field,
    time_reader: TimeReader,
    merchant_id: Field,
    transaction_type: Field,
    location: Field,
    payment_method: Field,
    is_international: Field,
    currency: Field,
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// The file cannot be read, names a field or key that there is none, leaves one out, or gives a
    /// constant that the contract refuses.
    pub fn load(path: &Path) -> Result<Self, MappingError> {
        let text = fs::read_to_string(path).map_err(|reason| MappingError::Unreadable {
            path: path.to_owned(),
            reason,
        })?;
        Self::parse(path, &text)
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, MappingError> {
        let text = text.trim_start_matches('\u{feff}');
        let file: MappingFile = serde_yaml_ng::from_str(text).map_err(|reason| MappingError::Malformed {
            path: path.to_owned(),
            reason,
        })?;
        let failed = |field: &'static str| {
            move |reason: String| MappingError::Field {
                path: path.to_owned(),
                field,
                reason,
            }
        };
        let time_reader = TimeReader::new(
            file.transaction_time.format.as_deref(),
            file.transaction_time.zone.as_deref(),
            file.transaction_time.disambiguation.as_deref(),
        )
        .map_err(failed(TIME))?;
        let csv = file.file.compile().map_err(failed("file"))?;
        let marks = file.amount.marks().map_err(failed("amount"))?;
        let mut columns = Vec::new();
        let mut field = |name, entry| compile(name, entry, &mut columns).map_err(failed(name));
        let mapping = Self {
            is_uuid5: file.transaction_id.uuid5.is_some(),
            csv,
            marks,
            decimals: file.amount.decimals,
            transaction_id: field("transactionId", file.transaction_id)?,
            user_id: field("userId", file.user_id)?,
            amount: field("amount", file.amount)?,
            time: field(TIME, file.transaction_time)?,
            time_reader,
            merchant_id: field("merchantId", file.merchant_id)?,
            transaction_type: field("transactionType", file.transaction_type)?,
            location: field("location", file.location)?,
            payment_method: field("paymentMethod", file.payment_method)?,
            is_international: field("isInternational", file.is_international)?,
            currency: field("currency", file.currency)?,
            columns,
        };
        mapping
            .check_constants()
            .map_err(|(field, error)| failed(field)(error.to_string()))?;
        Ok(mapping)
    }

    /// The columns that a row's cells are expected for, in this order.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The mapping with more columns, after its own: labels, which are no field of a transaction.
    #[must_use]
    pub(super) fn with_columns(mut self, more: &[String]) -> Self {
        self.columns.extend_from_slice(more);
        self
    }

    /// Opens a file for this mapping.
    ///
    /// # Errors
    /// The file cannot be read, is not of this format, or has not all of the columns.
    pub fn open(&self, path: &Path, format: FileFormat) -> anyhow::Result<Box<dyn Rows>> {
        open(path, format, &self.csv, &self.columns)
    }

    /// A constant or default that the contract refuses would refuse every row: better to say so at
    /// once.
    fn check_constants(&self) -> Result<(), (&'static str, RowError)> {
        let check = |field: &Field, read: &dyn Fn(&str) -> Result<(), RowError>| {
            let constant = match &field.origin {
                Origin::Constant(constant) => Some(constant),
                Origin::Column(_) | Origin::Template(_) => None,
            };
            constant
                .into_iter()
                .chain(&field.default)
                .chain(field.values.values())
                .try_for_each(|text| read(text).map_err(|error| (field.name, error)))
        };
        check(&self.user_id, &|text| short_id(text, "userId").map(drop))?;
        check(&self.amount, &|text| {
            amount(text, self.marks, self.decimals).map(drop)
        })?;
        check(&self.time, &|text| self.time_reader.read_text(text).map(drop))?;
        check(&self.merchant_id, &|text| short_id(text, "merchantId").map(drop))?;
        check(&self.transaction_type, &|text| transaction_type(text).map(drop))?;
        check(&self.location, &|text| short_id(text, "location").map(drop))?;
        check(&self.payment_method, &|text| payment_method(text).map(drop))?;
        check(&self.is_international, &|text| truth(text).map(drop))?;
        check(&self.currency, &|text| {
            Ok(Currency::parse(text.as_bytes()).map(drop)?)
        })
    }

    /// Makes a transaction of a row.
    ///
    /// # Errors
    /// The first field that has no value, or none that the contract takes.
    pub fn map(&self, cells: &[Cell]) -> Result<Transaction, RowError> {
        let buffer = &mut String::new();
        let columns = self.columns.as_slice();
        let id_text = self.transaction_id.text(cells, columns, buffer)?;
        let transaction_id = if self.is_uuid5 {
            TransactionId::from_bytes(*Uuid::new_v5(&NAMESPACE, id_text.as_bytes()).as_bytes())
        } else {
            TransactionId::parse(id_text.as_bytes())?
        };
        Ok(Transaction {
            transaction_id,
            user_id: short_id(self.user_id.text(cells, columns, buffer)?, "userId")?,
            amount: self.map_amount(cells, buffer)?,
            transaction_time_ms: self.map_time(cells, buffer)?,
            merchant_id: short_id(self.merchant_id.text(cells, columns, buffer)?, "merchantId")?,
            transaction_type: transaction_type(self.transaction_type.text(cells, columns, buffer)?)?,
            location: short_id(self.location.text(cells, columns, buffer)?, "location")?,
            payment_method: payment_method(self.payment_method.text(cells, columns, buffer)?)?,
            is_international: truth(self.is_international.text(cells, columns, buffer)?)?,
            currency: Currency::parse(self.currency.text(cells, columns, buffer)?.as_bytes())?,
        })
    }

    fn map_amount(&self, cells: &[Cell], buffer: &mut String) -> Result<Amount, RowError> {
        let marks = match self.amount.origin {
            // A number of a format that has numbers is written in one way.
            Origin::Column(at) if matches!(cells[at], Cell::Number(_)) => Marks::PLAIN,
            _ => self.marks,
        };
        amount(
            self.amount.text(cells, &self.columns, buffer)?,
            marks,
            self.decimals,
        )
    }

    fn map_time(&self, cells: &[Cell], buffer: &mut String) -> Result<i64, RowError> {
        let typed = match self.time.origin {
            Origin::Column(at) => self.time_reader.read_cell(&cells[at]),
            Origin::Constant(_) | Origin::Template(_) => None,
        };
        let time_ms = match typed {
            Some(time_ms) => time_ms?,
            None => self
                .time_reader
                .read_text(self.time.text(cells, &self.columns, buffer)?)?,
        };
        Ok(Transaction::check_time(time_ms)?)
    }
}
