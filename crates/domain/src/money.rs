//! Money in integers of 1/10,000 of the currency unit, never in floating point.

use std::fmt;

use crate::{InvalidValue, decimal};

/// Units in one whole of the currency: four decimals.
pub const UNITS_PER_WHOLE: i64 = 10_000;

/// The amount of one transaction: above 0, at most [`Amount::MAX`], in units of 1/10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

impl Amount {
    /// The largest amount: 200 billion. Below 2^51 units the two roundings of `from_f64` stay
    /// within half a unit, so that every amount comes back from its double exactly.
    pub const MAX: Self = Self(2_000_000_000_000_000);

    /// The smallest amount: one unit.
    pub const MIN: Self = Self(1);

    /// Makes an amount of `units` of 1/10,000; `None` unless it is from 1 to [`Amount::MAX`].
    #[must_use]
    pub fn from_units(units: i64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0)
            .contains(&units)
            .then_some(Self(units))
    }

    /// Reads the contract's double, which may have noise of arithmetic (0.1 + 0.2): see
    /// [`crate::decimal`].
    ///
    /// # Errors
    /// Not finite, not positive, too large, or with more than four decimals.
    #[inline]
    pub fn from_f64(value: f64) -> Result<Self, InvalidValue> {
        Self::from_nearest_f64(value).map_or_else(|| decimal::judge_f64(value), Ok)
    }

    /// Reads a double that is the very one that an amount is written as, as nearly all are; `None`
    /// for any other.
    #[inline]
    #[must_use]
    pub fn from_nearest_f64(value: f64) -> Option<Self> {
        let scaled = value * UNITS_PER_WHOLE as f64;
        // Not for NaN.
        if !(scaled > 0.0 && scaled < Self::MAX.0 as f64 + 0.5) {
            return None;
        }
        // Rounded by hand, as `round` is a call where the processor need not have an instruction
        // for it. Exact below 2^51, so the division gives the nearest double to the decimal: the
        // one a parser would give.
        let units = (scaled + 0.5) as i64;
        (units >= 1 && units as f64 / UNITS_PER_WHOLE as f64 == value).then_some(Self(units))
    }

    /// The amount in units of 1/10,000.
    #[inline]
    #[must_use]
    pub fn units(self) -> i64 {
        self.0
    }

    /// The contract's double: the nearest to the exact decimal.
    #[inline]
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / UNITS_PER_WHOLE as f64
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Sum::from(*self).fmt(f)
    }
}

/// A sum of amounts in units of 1/10,000. 128 bits hold more than 10^22 of the largest amounts, so
/// that adding never overflows in any run that can be imagined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sum(i128);

impl Sum {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Makes a sum of `units` of 1/10,000.
    #[must_use]
    pub const fn from_units(units: i128) -> Self {
        Self(units)
    }

    /// The sum in units of 1/10,000.
    #[must_use]
    pub const fn units(self) -> i128 {
        self.0
    }

    /// The nearest double, for what only knows doubles (a chart, a JSON number).
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / UNITS_PER_WHOLE as f64
    }
}

impl From<Amount> for Sum {
    fn from(amount: Amount) -> Self {
        Self(i128::from(amount.0))
    }
}

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl std::ops::AddAssign<Amount> for Sum {
    fn add_assign(&mut self, amount: Amount) {
        self.0 += i128::from(amount.0);
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = i128::from(UNITS_PER_WHOLE);
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let (whole, part) = (magnitude / units.unsigned_abs(), magnitude % units.unsigned_abs());
        if part % 100 == 0 {
            write!(f, "{sign}{whole}.{:02}", part / 100)
        } else {
            write!(f, "{sign}{whole}.{part:04}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_amount_survives_its_double(units in 1..=Amount::MAX.0) {
            let amount = Amount::from_units(units).unwrap();
            prop_assert_eq!(Amount::from_f64(amount.to_f64()).unwrap(), amount);
        }

        #[test]
        fn what_is_written_is_what_is_parsed(units in 1..=Amount::MAX.0) {
            let amount = Amount::from_units(units).unwrap();
            let parsed: f64 = amount.to_string().parse().unwrap();
            prop_assert_eq!(Amount::from_f64(parsed).unwrap(), amount);
        }
    }

    #[test]
    fn refuses_what_the_contract_refuses() {
        assert!(matches!(
            Amount::from_f64(f64::NAN),
            Err(InvalidValue::AmountNotFinite(_))
        ));
        assert!(matches!(
            Amount::from_f64(f64::INFINITY),
            Err(InvalidValue::AmountNotFinite(_))
        ));
        assert!(matches!(
            Amount::from_f64(0.0),
            Err(InvalidValue::AmountNotPositive(_))
        ));
        assert!(matches!(
            Amount::from_f64(-1.5),
            Err(InvalidValue::AmountNotPositive(_))
        ));
        assert!(matches!(
            Amount::from_f64(0.000_01),
            Err(InvalidValue::AmountTooFine(_))
        ));
        assert!(matches!(
            Amount::from_f64(1.000_05),
            Err(InvalidValue::AmountTooFine(_))
        ));
        assert!(matches!(
            Amount::from_f64(1e13),
            Err(InvalidValue::AmountTooLarge(_))
        ));
        assert_eq!(Amount::from_f64(57.16).unwrap().units(), 571_600);
    }

    #[test]
    fn shows_cents_and_finer_where_there_is_finer() {
        assert_eq!(Sum::from_units(571_600).to_string(), "57.16");
        assert_eq!(Sum::from_units(571_601).to_string(), "57.1601");
        assert_eq!(Sum::from_units(-5).to_string(), "-0.0005");
    }
}
