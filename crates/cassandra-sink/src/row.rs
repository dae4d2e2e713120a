//! A row, as values of its table's columns.

use millrace_domain::Sum;
use scylla::value::{CqlDate, CqlDecimal, CqlTimestamp, CqlValue, MaybeUnset};
use uuid::Uuid;

use crate::table::Table;

/// A value; unset where the row has none: written as null it would be a tombstone.
pub(crate) type Cell = MaybeUnset<CqlValue>;

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Digits of money after the point.
const SCALE: i32 = 4;

/// A row that is to be written.
#[derive(Debug)]
pub(crate) struct Row {
    /// Where it belongs.
    pub(crate) table: &'static Table,
    /// When it happened: it is kept for a time from then.
    pub(crate) time_ms: i64,
    /// Its write timestamp, in microseconds.
    pub(crate) version: i64,
    /// A value for each column.
    pub(crate) cells: Vec<Cell>,
}

impl Row {
    /// About how many bytes it takes of a request.
    pub(crate) fn size_bytes(&self) -> usize {
        self.cells.iter().map(cell_bytes).sum()
    }
}

fn cell_bytes(cell: &Cell) -> usize {
    /// A length before each value.
    const LENGTH: usize = 4;
    fn value_bytes(value: &CqlValue) -> usize {
        LENGTH
            + match value {
                CqlValue::Text(text) => text.len(),
                CqlValue::List(values) => values.iter().map(value_bytes).sum(),
                CqlValue::Map(entries) => entries.iter().map(|(k, v)| value_bytes(k) + value_bytes(v)).sum(),
                _ => 16,
            }
    }
    match cell {
        Cell::Set(value) => value_bytes(value),
        Cell::Unset => LENGTH,
    }
}

pub(crate) fn text(text: impl Into<String>) -> Cell {
    Cell::Set(CqlValue::Text(text.into()))
}

pub(crate) fn maybe_text(text: Option<&str>) -> Cell {
    Cell::from_option(text.map(|text| CqlValue::Text(text.to_owned())))
}

pub(crate) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Cell {
    let texts = texts.into_iter().map(|text| CqlValue::Text(text.to_owned()));
    Cell::Set(CqlValue::List(texts.collect()))
}

pub(crate) fn time(time_ms: i64) -> Cell {
    Cell::Set(CqlValue::Timestamp(CqlTimestamp(time_ms)))
}

pub(crate) fn long(value: i64) -> Cell {
    Cell::Set(CqlValue::BigInt(value))
}

pub(crate) fn int(value: i32) -> Cell {
    Cell::Set(CqlValue::Int(value))
}

pub(crate) fn tiny(value: i8) -> Cell {
    Cell::Set(CqlValue::TinyInt(value))
}

pub(crate) fn double(value: f64) -> Cell {
    Cell::Set(CqlValue::Double(value))
}

pub(crate) fn uuid(id: Uuid) -> Cell {
    Cell::Set(CqlValue::Uuid(id))
}

pub(crate) fn uuids(ids: impl IntoIterator<Item = [u8; 16]>) -> Cell {
    let ids = ids.into_iter().map(|id| CqlValue::Uuid(Uuid::from_bytes(id)));
    Cell::Set(CqlValue::List(ids.collect()))
}

/// Numbers by name; of a name that is there twice, the last. In the order of names, as the server
/// has them: the same bytes for the same numbers.
pub(crate) fn figures(figures: &[(String, f64)]) -> Cell {
    let sorted: std::collections::BTreeMap<&str, f64> = figures
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let entries = sorted.into_iter();
    Cell::Set(CqlValue::Map(
        entries
            .map(|(name, value)| (CqlValue::Text(name.to_owned()), CqlValue::Double(value)))
            .collect(),
    ))
}

/// The day of a time in UTC.
pub(crate) fn day(time_ms: i64) -> Cell {
    date(time_ms.div_euclid(DAY_MS))
}

/// A day by its number since 1970. Cassandra counts from the middle of 32 bits.
pub(crate) fn date(days: i64) -> Cell {
    Cell::Set(CqlValue::Date(cql_date(days)))
}

/// As [`date`], alone.
pub(crate) fn cql_date(days: i64) -> CqlDate {
    let counted = days + (1_i64 << 31);
    CqlDate(u32::try_from(counted.max(0)).unwrap_or(u32::MAX))
}

/// Money, exactly: an integer of 1/10,000 and where its point is.
pub(crate) fn money(sum: Sum) -> Cell {
    let bytes = shortest(sum.units());
    Cell::Set(CqlValue::Decimal(CqlDecimal::from_signed_be_bytes_and_exponent(
        bytes, SCALE,
    )))
}

/// The units of money that was read.
pub(crate) fn units(decimal: &CqlDecimal) -> Option<i128> {
    let (bytes, scale) = decimal.as_signed_be_bytes_slice_and_exponent();
    let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut whole = [if is_negative { 0xff } else { 0 }; 16];
    let start = whole.len().checked_sub(bytes.len())?;
    whole[start..].copy_from_slice(bytes);
    (scale == SCALE).then_some(i128::from_be_bytes(whole))
}

/// The shortest form in two's complement, big-endian.
fn shortest(units: i128) -> Vec<u8> {
    let bytes = units.to_be_bytes();
    let sign = if units < 0 { 0xff } else { 0 };
    let is_needless = |pair: &[u8]| pair[0] == sign && (pair[1] ^ sign) & 0x80 == 0;
    let start = bytes.windows(2).take_while(|pair| is_needless(pair)).count();
    bytes[start..].to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn money_comes_back(units_in: i128) {
            let Cell::Set(CqlValue::Decimal(decimal)) = money(Sum::from_units(units_in)) else {
                panic!("no decimal")
            };
            prop_assert_eq!(units(&decimal), Some(units_in));
        }
    }

    #[test]
    fn money_is_as_short_as_can_be() {
        for (units, bytes) in [
            (0, &[0][..]),
            (127, &[0x7f]),
            (128, &[0, 0x80]),
            (-1, &[0xff]),
            (-128, &[0x80]),
            (-129, &[0xff, 0x7f]),
            (571_600, &[0x08, 0xb8, 0xd0]),
        ] {
            assert_eq!(shortest(units), bytes, "{units}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        let at = |time_ms| match day(time_ms) {
            Cell::Set(CqlValue::Date(CqlDate(days))) => i64::from(days) - (1 << 31),
            other => panic!("{other:?}"),
        };
        assert_eq!([at(0), at(DAY_MS - 1), at(DAY_MS), at(-1)], [0, 0, 1, -1]);
    }
}
