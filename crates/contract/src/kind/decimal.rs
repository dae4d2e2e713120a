//! Decimals of a fixed scale: exact, as integers of their last place.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::{Kind, shown};
use crate::DecodeError;
use crate::decimal::{put_units, units};
use crate::json::put_display;
use crate::wire::Cursor;

/// A decimal of `SCALE` places as an integer of units of 10^-`SCALE`: `decimal` in the schema, a
/// number or a string of one in JSON, which is read digit by digit and never as a double.
#[derive(Debug, Clone, Copy)]
pub enum Decimal<const SCALE: u32> {}

/// The text of a JSON value, as it stands there.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Raw<'a>(#[serde(borrow)] &'a RawValue);

impl<const SCALE: u32> Kind for Decimal<SCALE> {
    type Value = i128;
    type Json<'de> = Raw<'de>;

    const MAX_LEN: usize = 1 + size_of::<i128>();

    fn schema() -> Json {
        json!({"type": "bytes", "logicalType": "decimal", "scale": SCALE})
    }

    #[inline]
    fn put(value: &i128, bytes: &mut Vec<u8>) {
        put_units(*value, bytes);
    }

    #[inline]
    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<i128, DecodeError> {
        units(cursor, field)
    }

    fn put_json(value: &i128, bytes: &mut Vec<u8>) {
        let sign = if *value < 0 { "-" } else { "" };
        // The first power of ten that has no 128 bits is beyond every value.
        let (whole, part) = match 10_u128.checked_pow(SCALE) {
            Some(one) => (value.unsigned_abs() / one, value.unsigned_abs() % one),
            None => (0, value.unsigned_abs()),
        };
        let places = SCALE as usize;
        match SCALE {
            0 => put_display(bytes, value),
            _ => put_display(bytes, format_args!("{sign}{whole}.{part:0places$}")),
        }
    }

    fn of_json(Raw(raw): Raw<'_>, field: &'static str) -> Result<i128, DecodeError> {
        let text = raw.get();
        let number = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(text);
        parse(number, SCALE).map_err(|wrong| {
            let message = match wrong {
                Wrong::NoNumber => format!("{:?} is not a decimal number", shown(number)),
                Wrong::TooFine => format!("{:?} has more than {SCALE} decimals", shown(number)),
                Wrong::TooLarge => format!("{:?} has more than 128 bits", shown(number)),
            };
            DecodeError::BadField { field, message }
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    NoNumber,
    TooFine,
    TooLarge,
}

/// Reads a number of JSON's form (RFC 8259 §6; leading zeros are taken) in units of 10^-`scale`.
fn parse(text: &str, scale: u32) -> Result<i128, Wrong> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| Wrong::NoNumber)?),
        None => (text, 0),
    };
    let (is_negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) {
        return Err(Wrong::NoNumber);
    }
    let part = part.trim_end_matches('0');
    let digits = || whole.bytes().chain(part.bytes()).map(|byte| byte - b'0');
    let zeros = digits().rev().take_while(|&digit| digit == 0).count();
    let significant = whole.len() + part.len() - zeros;
    if significant == 0 {
        return Ok(0);
    }
    // What the last digit but the zeros after it is worth: 10 to this power, in units.
    let power = i64::from(exponent) + i64::from(scale) - part.len() as i64 + zeros as i64;
    let power = u32::try_from(power).map_err(|_| {
        if power < 0 {
            Wrong::TooFine
        } else {
            Wrong::TooLarge
        }
    })?;
    let sign = if is_negative { -1 } else { 1 };
    digits()
        .take(significant)
        .try_fold(0_i128, |units, digit| {
            units.checked_mul(10)?.checked_add(sign * i128::from(digit))
        })
        .and_then(|units| units.checked_mul(10_i128.checked_pow(power)?))
        .ok_or(Wrong::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown_as(units: i128) -> String {
        let mut bytes = Vec::new();
        Decimal::<4>::put_json(&units, &mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    proptest! {
        #[test]
        fn every_decimal_comes_back(value: i128, shift in 0_u32..128) {
            let units = value >> shift;
            prop_assert_eq!(parse(&shown_as(units), 4), Ok(units));
        }

        #[test]
        fn no_text_panics(text in "[-+.eE0-9]{0,12}") {
            let _ = parse(&text, 4);
        }
    }

    #[test]
    fn a_decimal_is_read_to_the_digit_or_refused() {
        for (text, units) in [
            ("57.16", 571_600),
            ("5716e-2", 571_600),
            ("-0.5716E+2", -571_600),
            ("1e3", 10_000_000),
            ("0.00010", 1),
            ("0e999999999", 0),
            ("20e-5", 2),
            ("9007199254740993.0001", 90_071_992_547_409_930_001),
        ] {
            assert_eq!(parse(text, 4), Ok(units), "{text}");
        }
        for text in ["0.00001", "1e-5", "57.160000000000004"] {
            assert_eq!(parse(text, 4), Err(Wrong::TooFine), "{text}");
        }
        for text in ["1e99", "1e2000000000", "170141183460469231731687303715884105728"] {
            assert_eq!(parse(text, 4), Err(Wrong::TooLarge), "{text}");
        }
        for text in ["", "-", ".5", "5.", "1e", "1e99999999999", "1,5", "null", "+1"] {
            assert_eq!(parse(text, 4), Err(Wrong::NoNumber), "{text}");
        }
        assert_eq!(shown_as(-5), "-0.0005");
        assert_eq!(parse(&shown_as(i128::MIN), 4), Ok(i128::MIN));
    }
}
