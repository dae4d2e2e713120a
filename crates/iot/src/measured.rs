//! What a sensor measures, as an integer of 1/1000.

use millrace_contract::wire::Cursor;
use millrace_contract::{DecodeError, Kind};
use serde_json::Value as Json;

/// What a sensor measures, in integers of 1/1000: a double in a record, which is taken to the
/// nearest of them, and of two as near to the one further from zero. So sums are exact, whatever
/// order they are made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Measured(i32);

/// The highest, and without its sign the lowest: a million.
const MOST: i32 = 1_000_000_000;

impl Measured {
    /// The highest there is.
    pub const MAX: Self = Self(MOST);
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The lowest there is.
    pub const MIN: Self = Self(-MOST);

    /// The nearest to a number; `None` beyond a million, and of what is no number.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        let units = (value * 1_000.0).round();
        // Within, so that the cast is exact; NaN is not.
        (units.abs() <= f64::from(MOST)).then_some(Self(units as i32))
    }

    /// Of so many 1/1000; `None` beyond a million.
    #[must_use]
    pub fn of_units(units: i32) -> Option<Self> {
        (-MOST..=MOST).contains(&units).then_some(Self(units))
    }

    /// In 1/1000.
    #[must_use]
    pub fn units(self) -> i32 {
        self.0
    }

    /// The double nearest to it.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }

    fn of(value: f64, field: &'static str) -> Result<Self, DecodeError> {
        Self::new(value).ok_or_else(|| DecodeError::Invalid {
            code: "reading_out_of_range",
            message: format!("{field} {value:?} must be from -1000000 to 1000000"),
        })
    }
}

impl Kind for Measured {
    type Value = Self;
    type Json<'de> = f64;

    const MAX_LEN: usize = <f64 as Kind>::MAX_LEN;

    fn schema() -> Json {
        <f64 as Kind>::schema()
    }

    fn put(value: &Self, bytes: &mut Vec<u8>) {
        <f64 as Kind>::put(&value.value(), bytes);
    }

    fn read(cursor: &mut Cursor<'_>, field: &'static str) -> Result<Self, DecodeError> {
        Self::of(cursor.finite(field)?, field)
    }

    fn put_json(value: &Self, bytes: &mut Vec<u8>) {
        <f64 as Kind>::put_json(&value.value(), bytes);
    }

    fn of_json(json: f64, field: &'static str) -> Result<Self, DecodeError> {
        Self::of(json, field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_one_comes_back_from_its_double(units in -MOST..=MOST) {
            let measured = Measured::of_units(units).unwrap();
            prop_assert_eq!(Measured::new(measured.value()), Some(measured));
        }

        #[test]
        fn the_nearest_is_taken(value in -1e6_f64..1e6) {
            let taken = Measured::new(value).unwrap().value();
            prop_assert!((taken - value).abs() <= 0.000_500_001, "{} of {}", taken, value);
        }
    }

    #[test]
    fn what_no_sensor_measures_is_refused_by_its_field() {
        for value in [f64::NAN, f64::INFINITY, 1e300, -1_000_000.001] {
            assert_eq!(Measured::new(value), None);
            let error = Measured::of(value, "temp").unwrap_err();
            assert_eq!(error.code(), "reading_out_of_range");
            assert!(error.to_string().starts_with("temp "), "{error}");
        }
        assert_eq!(Measured::new(-0.000_5).map(Measured::units), Some(-1));
        assert_eq!(Measured::of_units(MOST + 1), None);
    }
}
