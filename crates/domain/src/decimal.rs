//! Which four-decimal amount a number means that is none to the letter.
//!
//! - A **double** is the amount that it is nearest to, if it is the very double of that amount, or
//!   not further from that one than arithmetic leaves it: [`NOISE`] units in its last place, and
//!   less than half a fifth decimal, 0.000005. So it can have noise below 2^34 (17 billion), where
//!   a last place is that fine; from there on to [`Amount::MAX`] it is an amount to the letter, or
//!   none. A number with a fifth decimal that is not zero is never an amount.
//! - A **float** of 32 bits is its shortest decimal, which every language shows: the float nearest
//!   to 57.16 is 57.16. Cents come back below [`MAX_FLOAT`], and four decimals below 1,024; from
//!   [`MAX_FLOAT`] on it is refused.
//! - A **decimal** is what it is: too fine unless all beyond its fourth decimal is zero.

use crate::money::UNITS_PER_WHOLE;
use crate::{Amount, InvalidValue};

/// How far a double may be from that of its amount, in units in the last place: a sum of some
/// dozens of amounts, or a price by a quantity with a tax, stays within it.
pub const NOISE: f64 = 8.0;

/// From here on a float of 32 bits does not tell one cent from the next: two neighbours are more
/// than one apart.
pub const MAX_FLOAT: f32 = 131_072.0;

/// Half of a fifth decimal.
const HALF_FIFTH: f64 = 0.000_005;

/// The decimals of an amount.
const SCALE: u32 = 4;

/// The longest decimal that is looked at, in bytes without leading zeros: 154 digits.
const MAX_DECIMAL_LEN: usize = 64;

/// Reads a double that is not the very one of an amount.
#[cold]
pub(crate) fn judge_f64(value: f64) -> Result<Amount, InvalidValue> {
    if !value.is_finite() {
        return Err(InvalidValue::AmountNotFinite(value));
    }
    if value <= 0.0 {
        return Err(InvalidValue::AmountNotPositive(value));
    }
    let scaled = value * UNITS_PER_WHOLE as f64;
    if scaled >= Amount::MAX.units() as f64 + 0.5 {
        return Err(InvalidValue::AmountTooLarge(value));
    }
    let too_fine = InvalidValue::AmountTooFine(value);
    let Some(amount) = Amount::from_units((scaled + 0.5) as i64) else {
        return Err(too_fine);
    };
    let nearest = amount.to_f64();
    let last_place = nearest.next_up() - nearest;
    // Exact, as the two are close (P. Sterbenz, 1974). The amount itself is half a last place from
    // its double at most.
    let off = (value - nearest).abs();
    let is_noise = off <= NOISE * last_place && off + last_place / 2.0 < HALF_FIFTH;
    if is_noise { Ok(amount) } else { Err(too_fine) }
}

impl Amount {
    /// Reads a float of 32 bits: the amount that is its shortest decimal.
    ///
    /// # Errors
    /// Not finite, not positive, [`MAX_FLOAT`] or more, or with more than four decimals.
    pub fn from_f32(value: f32) -> Result<Self, InvalidValue> {
        if !value.is_finite() {
            return Err(InvalidValue::AmountNotFinite(f64::from(value)));
        }
        if value >= MAX_FLOAT {
            return Err(InvalidValue::AmountFloatTooLarge(value));
        }
        // What is written is the shortest decimal that is nearer to this float than to any other;
        // its double is read as any.
        let shortest: f64 = value.to_string().parse().unwrap_or(f64::NAN);
        Self::from_nearest_f64(shortest).map_or_else(|| judge_exact(shortest), Ok)
    }

    /// Reads an Avro decimal: big-endian two's complement, in units of 10^-`scale`.
    ///
    /// # Errors
    /// Not positive, too large, or with a digit beyond the fourth decimal.
    pub fn from_decimal(unscaled: &[u8], scale: u32) -> Result<Self, InvalidValue> {
        let shown = shown(unscaled, scale);
        let start = unscaled
            .iter()
            .position(|&byte| byte != 0)
            .unwrap_or(unscaled.len());
        let is_negative = unscaled.first().is_some_and(|&byte| byte & 0x80 != 0);
        let significant = &unscaled[start..];
        if is_negative || significant.is_empty() {
            return Err(InvalidValue::AmountNotPositive(shown));
        }
        let mut digits = [0; MAX_DECIMAL_LEN];
        let Some(at) = MAX_DECIMAL_LEN.checked_sub(significant.len()) else {
            return Err(InvalidValue::AmountTooLarge(shown));
        };
        digits[at..].copy_from_slice(significant);
        // Ends after 154 divisions at the latest, as nothing but zero has so many zeros at its end.
        for _ in SCALE..scale {
            if divide_by_ten(&mut digits) != 0 {
                return Err(InvalidValue::AmountTooFine(shown));
            }
        }
        digits
            .iter()
            .try_fold(0_i64, |units, &byte| {
                units.checked_mul(256)?.checked_add(i64::from(byte))
            })
            .and_then(|units| units.checked_mul(10_i64.pow(SCALE.saturating_sub(scale))))
            .and_then(Self::from_units)
            .ok_or(InvalidValue::AmountTooLarge(shown))
    }
}

/// Why a double that has no noise is no amount.
fn judge_exact(value: f64) -> Result<Amount, InvalidValue> {
    match judge_f64(value) {
        Ok(_) => Err(InvalidValue::AmountTooFine(value)),
        error => error,
    }
}

/// A decimal as a message shows it.
fn shown(unscaled: &[u8], scale: u32) -> f64 {
    let first = unscaled
        .first()
        .map_or(0.0, |&byte| f64::from(byte.cast_signed()));
    let rest = unscaled.iter().skip(1);
    let value = rest.fold(first, |value, &byte| value * 256.0 + f64::from(byte));
    value / 10_f64.powi(i32::try_from(scale).unwrap_or(i32::MAX))
}

/// Divides a big-endian number and gives the remainder.
fn divide_by_ten(digits: &mut [u8]) -> u8 {
    let mut rest = 0_u16;
    for digit in digits {
        let value = rest * 256 + u16::from(*digit);
        // Below 256, as the rest before was below 10.
        *digit = (value / 10) as u8;
        rest = value % 10;
    }
    rest as u8
}

#[cfg(test)]
mod tests;
