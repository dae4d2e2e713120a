//! Rows of a Parquet file: only the columns that are asked for are read, a row group at a time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as PhysicalType};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use super::rows::{Cell, Rows, locate};

/// How a column's values are read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reading {
    /// As they are shown.
    Plain,
    /// Milliseconds, or microseconds where the value says so, with or without a zone.
    Time { is_utc: bool },
    /// Nanoseconds, with or without a zone.
    Nanos { is_utc: bool },
}

pub(super) struct ParquetRows {
    path: PathBuf,
    rows: RowIter<'static>,
    readings: Vec<Reading>,
    /// The place of each wanted column among those read.
    at: Vec<usize>,
    last: Option<Row>,
    row: u64,
}

impl ParquetRows {
    pub(super) fn open(path: &Path, columns: &[String]) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let reader = SerializedFileReader::new(file)
            .with_context(|| format!("{} is no Parquet file", path.display()))?;
        let schema = reader.metadata().file_metadata().schema();
        let present: Vec<String> = schema
            .get_fields()
            .iter()
            .map(|field| field.name().to_owned())
            .collect();
        let mut wanted = locate(path, columns, &present)?;
        let in_order = wanted.clone();
        wanted.sort_unstable();
        wanted.dedup();
        let fields: Vec<Arc<Type>> = wanted
            .iter()
            .map(|&at| Arc::clone(&schema.get_fields()[at]))
            .collect();
        let readings = fields
            .iter()
            .map(|field| reading(path, field))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let projection = Type::group_type_builder(schema.name())
            .with_fields(fields)
            .build()?;
        let rows = RowIter::from_file_into(Box::new(reader)).project(Some(projection))?;
        Ok(Self {
            path: path.to_owned(),
            rows,
            readings,
            at: in_order
                .iter()
                .map(|column| wanted.iter().take_while(|&other| other < column).count())
                .collect(),
            last: None,
            row: 0,
        })
    }
}

/// How a column is read.
///
/// # Errors
/// A column of lists or structures, or of a type that is no text, number, truth value or time.
fn reading(path: &Path, field: &Type) -> anyhow::Result<Reading> {
    let (column, info) = (field.name(), field.get_basic_info());
    let refused = |kind: String| {
        format!(
            "{}: column {column} is {kind}, where a text, number, truth value or time is needed",
            path.display()
        )
    };
    if !field.is_primitive() || info.repetition() == parquet::basic::Repetition::REPEATED {
        bail!(refused("a list or structure".to_owned()));
    }
    if let Some(LogicalType::Timestamp(timestamp)) = info.logical_type_ref() {
        let is_utc = timestamp.is_adjusted_to_u_t_c;
        return Ok(match timestamp.unit {
            TimeUnit::NANOS => Reading::Nanos { is_utc },
            TimeUnit::MILLIS | TimeUnit::MICROS => Reading::Time { is_utc },
        });
    }
    match (field.get_physical_type(), info.converted_type()) {
        (PhysicalType::INT96, _) => Ok(Reading::Time { is_utc: false }),
        (_, ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS) => {
            Ok(Reading::Time { is_utc: true })
        }
        (_, ConvertedType::DATE) => Ok(Reading::Time { is_utc: false }),
        (
            PhysicalType::BOOLEAN
            | PhysicalType::INT32
            | PhysicalType::INT64
            | PhysicalType::FLOAT
            | PhysicalType::DOUBLE
            | PhysicalType::BYTE_ARRAY
            | PhysicalType::FIXED_LEN_BYTE_ARRAY,
            ConvertedType::NONE
            | ConvertedType::UTF8
            | ConvertedType::ENUM
            | ConvertedType::JSON
            | ConvertedType::DECIMAL
            | ConvertedType::INT_8
            | ConvertedType::INT_16
            | ConvertedType::INT_32
            | ConvertedType::INT_64
            | ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64,
        ) => Ok(Reading::Plain),
        (physical, converted) => bail!(refused(format!("{physical} as {converted}"))),
    }
}

fn cell(field: &Field, reading: Reading) -> Result<Cell, String> {
    const DAY_MS: i64 = 86_400_000;
    let time = |ms: i64, is_utc: bool| {
        if is_utc {
            Cell::Instant(ms)
        } else {
            Cell::Local(ms)
        }
    };
    let text = match (field, reading) {
        (Field::Null, _) => return Ok(Cell::Empty),
        (Field::Long(nanos), Reading::Nanos { is_utc }) => {
            return Ok(time(nanos.div_euclid(1_000_000), is_utc));
        }
        (Field::TimestampMillis(ms), Reading::Time { is_utc }) => return Ok(time(*ms, is_utc)),
        (Field::TimestampMicros(us), Reading::Time { is_utc }) => {
            return Ok(time(us.div_euclid(1_000), is_utc));
        }
        (Field::Date(days), _) => return Ok(Cell::Local(i64::from(*days) * DAY_MS)),
        (Field::Str(text), _) => text.trim().to_owned(),
        (Field::Bytes(bytes), _) => String::from_utf8(bytes.data().to_vec())
            .map_err(|_| "a value is not UTF-8".to_owned())?
            .trim()
            .to_owned(),
        (Field::Bool(value), _) => value.to_string(),
        (Field::Byte(value), _) => value.to_string(),
        (Field::Short(value), _) => value.to_string(),
        (Field::Int(value), _) => value.to_string(),
        (Field::Long(value), _) => value.to_string(),
        (Field::UByte(value), _) => value.to_string(),
        (Field::UShort(value), _) => value.to_string(),
        (Field::UInt(value), _) => value.to_string(),
        (Field::ULong(value), _) => value.to_string(),
        (Field::Float(value), _) => value.to_string(),
        (Field::Double(value), _) => value.to_string(),
        (Field::Decimal(_), _) => field.to_string(),
        _ => return Err(format!("{field} is no text, number, truth value or time")),
    };
    Ok(if text.is_empty() {
        Cell::Empty
    } else {
        Cell::Text(text)
    })
}

impl Rows for ParquetRows {
    fn next_row(&mut self, cells: &mut Vec<Cell>) -> anyhow::Result<Option<Result<(), String>>> {
        let Some(row) = self.rows.next() else {
            return Ok(None);
        };
        self.row += 1;
        let row = row.with_context(|| format!("{} at row {}", self.path.display(), self.row))?;
        cells.clear();
        let mut bad = None;
        let fields: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
        for &at in &self.at {
            match cell(fields[at], self.readings[at]) {
                Ok(cell) => cells.push(cell),
                Err(reason) => bad = Some(reason),
            }
        }
        self.last = Some(row);
        Ok(Some(bad.map_or(Ok(()), Err)))
    }

    fn position(&self) -> (&'static str, u64) {
        ("row", self.row)
    }

    fn raw(&self) -> serde_json::Value {
        let columns = self.last.iter().flat_map(Row::get_column_iter);
        columns
            .zip(self.readings.iter())
            .map(|((name, field), &reading)| {
                let shown = cell(field, reading).map_or_else(|_| field.to_string(), |cell| cell.to_string());
                (name.clone(), serde_json::Value::String(shown))
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}
