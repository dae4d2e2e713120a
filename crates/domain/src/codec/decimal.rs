//! Money as an Avro decimal of scale 4: in units of 1/10,000.

use millrace_contract::DecodeError;
use millrace_contract::decimal::{put_units, units};
use millrace_contract::wire::Cursor;

use crate::{Amount, Sum};

pub(super) fn put_sum(sum: Sum, bytes: &mut Vec<u8>) {
    put_units(sum.units(), bytes);
}

pub(super) fn put_amount(amount: Amount, bytes: &mut Vec<u8>) {
    put_units(i128::from(amount.units()), bytes);
}

pub(super) fn sum(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Sum, DecodeError> {
    units(cursor, field).map(Sum::from_units)
}

pub(super) fn amount(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Amount, DecodeError> {
    let value = units(cursor, field)?;
    i64::try_from(value)
        .ok()
        .and_then(Amount::from_units)
        .ok_or(DecodeError::OutOfRange { field, value })
}
