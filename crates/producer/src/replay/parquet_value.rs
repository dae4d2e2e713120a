//! Values of a Parquet column as cells.

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as PhysicalType};
use parquet::schema::types::ColumnDescriptor;
use uuid::Uuid;

use super::number::decimal_text;
use super::rows::Cell;

/// A value that is no cell: why, and the value as well as it can be shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct BadValue {
    pub(super) reason: String,
    pub(super) shown: String,
}

/// How a column's values are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Reading {
    /// As they are: text, numbers, truth values.
    Plain,
    /// Whole numbers without a sign.
    Unsigned,
    /// Unscaled whole numbers with so many digits behind the point.
    Decimal { scale: usize },
    /// 16 bytes.
    Uuid,
    /// Days since 1970.
    Date,
    /// So many a second since midnight.
    Time { per_s: i64 },
    /// So many a second since 1970, as an instant or without a zone.
    Timestamp { per_s: i64, is_utc: bool },
}

fn per_s(unit: &TimeUnit) -> i64 {
    match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    }
}

/// How the column is read; if it cannot be, what it is.
pub(super) fn reading(column: &ColumnDescriptor) -> Result<Reading, String> {
    if column.max_rep_level() > 0 {
        return Err("in a list".to_owned());
    }
    let converted = column.converted_type();
    match column.logical_type_ref() {
        Some(LogicalType::Timestamp(timestamp)) => {
            return Ok(Reading::Timestamp {
                per_s: per_s(&timestamp.unit),
                is_utc: timestamp.is_adjusted_to_u_t_c,
            });
        }
        Some(LogicalType::Time(time)) => {
            return Ok(Reading::Time {
                per_s: per_s(&time.unit),
            });
        }
        Some(LogicalType::Uuid) => return Ok(Reading::Uuid),
        Some(
            kind @ (LogicalType::Float16
            | LogicalType::Bson
            | LogicalType::Variant(_)
            | LogicalType::Geometry(_)
            | LogicalType::Geography(_)
            | LogicalType::File),
        ) => return Err(format!("{kind:?}")),
        _ => {}
    }
    let physical = column.physical_type();
    let utc = |per_s| Reading::Timestamp { per_s, is_utc: true };
    Ok(match converted {
        // What Hive, Impala and Spark write so is UTC.
        _ if physical == PhysicalType::INT96 => utc(1_000),
        ConvertedType::TIMESTAMP_MILLIS => utc(1_000),
        ConvertedType::TIMESTAMP_MICROS => utc(1_000_000),
        ConvertedType::TIME_MILLIS => Reading::Time { per_s: 1_000 },
        ConvertedType::TIME_MICROS => Reading::Time { per_s: 1_000_000 },
        ConvertedType::DATE => Reading::Date,
        ConvertedType::DECIMAL => Reading::Decimal {
            scale: usize::try_from(column.type_scale()).unwrap_or(0),
        },
        ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
            Reading::Unsigned
        }
        ConvertedType::INTERVAL | ConvertedType::BSON => return Err(format!("{physical} as {converted}")),
        _ => Reading::Plain,
    })
}

/// A whole number, with its bytes as unscaled two's complement.
pub(super) fn whole(value: i64, unsigned: u64, reading: Reading) -> Cell {
    match reading {
        Reading::Decimal { scale } => Cell::Number(decimal_text(&value.to_be_bytes(), scale)),
        Reading::Unsigned => Cell::Number(unsigned.to_string()),
        Reading::Date => i32::try_from(value).map_or_else(|_| Cell::Number(value.to_string()), Cell::Date),
        Reading::Time { per_s } => time_of_day(value, per_s),
        Reading::Timestamp { per_s, is_utc } => timestamp(value.div_euclid(per_s / 1_000), is_utc),
        Reading::Plain | Reading::Uuid => Cell::Number(value.to_string()),
    }
}

/// A time since 1970 in milliseconds.
pub(super) fn timestamp(ms: i64, is_utc: bool) -> Cell {
    if is_utc {
        Cell::Instant(ms)
    } else {
        Cell::Local(ms)
    }
}

fn time_of_day(value: i64, per_s: i64) -> Cell {
    let (seconds, rest) = (value.div_euclid(per_s), value.rem_euclid(per_s));
    let (h, m, s) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{h:02}:{m:02}:{s:02}");
    if rest > 0 {
        let places = per_s.ilog10() as usize;
        text += &format!(".{rest:0places$}");
    }
    Cell::Text(text)
}

/// The bytes of a text, a decimal or a UUID.
pub(super) fn bytes(value: &[u8], reading: Reading) -> Result<Cell, BadValue> {
    match reading {
        Reading::Decimal { scale } => return Ok(Cell::Number(decimal_text(value, scale))),
        Reading::Uuid => {
            if let Ok(uuid) = Uuid::from_slice(value) {
                return Ok(Cell::Text(uuid.to_string()));
            }
        }
        _ => {}
    }
    match std::str::from_utf8(value) {
        // Text of a fixed length is filled up.
        Ok(text) => Ok(match text.trim_end_matches('\0').trim() {
            "" => Cell::Empty,
            text => Cell::Text(text.to_owned()),
        }),
        Err(_) => Err(BadValue {
            reason: "is not UTF-8".to_owned(),
            shown: String::from_utf8_lossy(value).into_owned(),
        }),
    }
}
