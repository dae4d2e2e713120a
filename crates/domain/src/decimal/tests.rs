//! Amounts against decimal arithmetic of any length.

use bigdecimal::BigDecimal;
use proptest::prelude::*;

use super::*;

/// A double or float, exactly: each is a finite decimal.
fn exactly(value: f64) -> BigDecimal {
    BigDecimal::try_from(value).unwrap()
}

fn decimal(units: i64, scale: i64) -> BigDecimal {
    BigDecimal::new(units.into(), scale)
}

/// `value`, some neighbours up or down.
fn stepped(value: f64, steps: i64) -> f64 {
    f64::from_bits(value.to_bits().wrapping_add_signed(steps))
}

/// Units of every magnitude alike.
fn units() -> impl Strategy<Value = i64> {
    (0..51_u32, any::<i64>()).prop_map(|(bits, value)| {
        let low = 1_i64 << bits;
        (low | value & (low - 1)).min(Amount::MAX.units())
    })
}

fn last_place(value: f64) -> BigDecimal {
    exactly(value.next_up()) - exactly(value)
}

#[test]
fn the_oracle_is_exact() {
    let tenth = "0.1000000000000000055511151231257827021181583404541015625";
    assert_eq!(exactly(0.1), tenth.parse::<BigDecimal>().unwrap());
    assert!(exactly(f64::from(0.1_f32)) != decimal(1, 1));
}

#[test]
fn arithmetic_of_amounts_is_read_as_what_it_means() {
    let units = |value| Amount::from_f64(value).map(Amount::units);
    assert_eq!(units(0.1 + 0.2), Ok(3_000));
    assert_eq!(units(1.1 * 3.0), Ok(33_000));
    assert_eq!(units(19.99 * 3.0 * 1.25), Ok(749_625));
    assert_eq!(units((0..10).map(|_| 0.1).sum()), Ok(10_000));
    assert_eq!(units(4.35 * 100.0), Ok(4_350_000));
    for too_fine in [
        0.123_45,
        57.160_01,
        0.000_05,
        0.000_01,
        1.0 / 3.0,
        8_000_000_000.000_05,
    ] {
        assert_eq!(units(too_fine), Err(InvalidValue::AmountTooFine(too_fine)));
    }
}

#[test]
fn floats_are_read_as_they_are_shown() {
    let units = |value| Amount::from_f32(value).map(Amount::units);
    assert_eq!(units(57.16), Ok(571_600));
    assert_eq!(units(0.1), Ok(1_000));
    assert_eq!(units(0.0001), Ok(1));
    assert_eq!(units(12_345.67), Ok(123_456_700));
    assert_eq!(units(131_071.99), Ok(1_310_719_900));
    assert_eq!(units(0.123_45), Err(InvalidValue::AmountTooFine(0.123_45)));
    assert_eq!(units(131_072.0).unwrap_err().code(), "amount_float_too_large");
    assert_eq!(units(f32::INFINITY).unwrap_err().code(), "amount_not_finite");
    assert_eq!(units(f32::NAN).unwrap_err().code(), "amount_not_finite");
    assert_eq!(units(-1.5).unwrap_err().code(), "amount_not_positive");
    assert_eq!(units(0.0).unwrap_err().code(), "amount_not_positive");
}

#[test]
fn decimals_are_read_as_they_are() {
    let units = |bytes: &[u8], scale| Amount::from_decimal(bytes, scale).map(Amount::units);
    assert_eq!(units(&[0x16, 0x54], 2), Ok(571_600));
    assert_eq!(units(&[0, 0, 0, 0x16, 0x54], 2), Ok(571_600));
    assert_eq!(units(&[57], 0), Ok(570_000));
    assert_eq!(units(&[0x0f, 0x42, 0x40], 6), Ok(10_000));
    assert_eq!(
        units(&[0x0f, 0x42, 0x41], 6).unwrap_err().code(),
        "amount_too_fine"
    );
    assert_eq!(units(&[], 2).unwrap_err().code(), "amount_not_positive");
    assert_eq!(units(&[0, 0], 2).unwrap_err().code(), "amount_not_positive");
    assert_eq!(units(&[0xff], 2), Err(InvalidValue::AmountNotPositive(-0.01)));
    assert_eq!(units(&[0x7f; 20], 2).unwrap_err().code(), "amount_too_large");
    assert_eq!(units(&[0x7f; 65], 2).unwrap_err().code(), "amount_too_large");
    assert_eq!(units(&[1], u32::MAX).unwrap_err().code(), "amount_too_fine");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What is read is less than half a fifth decimal from the number, or the number is the very
    /// double of it.
    #[test]
    fn what_is_read_is_what_was_meant(units in units(), steps in -40_i64..=40, bits: u64) {
        let near = stepped(Amount::from_units(units).unwrap().to_f64(), steps);
        for value in [near, f64::from_bits(bits)] {
            let Ok(amount) = Amount::from_f64(value) else { continue };
            let off = (exactly(value) - decimal(amount.units(), 4)).abs();
            prop_assert!(off < decimal(5, 6) || value == amount.to_f64(), "{value} as {amount}");
        }
    }

    /// Noise passes wherever a last place is fine enough, and nowhere else.
    #[test]
    fn noise_passes_where_it_can_be_told(units in units(), steps in -12_i64..=12) {
        let amount = Amount::from_units(units).unwrap();
        let nearest = amount.to_f64();
        let value = stepped(nearest, steps);
        let place = last_place(nearest);
        let off = (exactly(value) - exactly(nearest)).abs();
        let is_near = off <= place.clone() * BigDecimal::from(8);
        let is_told = off + place / 2 < decimal(5, 6);
        let read = Amount::from_f64(value);
        if steps == 0 || is_near && is_told {
            prop_assert_eq!(read, Ok(amount));
        } else {
            // It may be the very double of another amount, where last places are that far apart.
            prop_assert!(read.is_err() || read.clone().is_ok_and(|other| other.to_f64() == value), "{:?}", read);
        }
        if units < 1 << 40 && steps.abs() <= 4 {
            prop_assert_eq!(Amount::from_f64(value), Ok(amount));
        }
    }

    /// A fifth decimal is too fine, unless no double tells it from none.
    #[test]
    fn a_fifth_decimal_is_no_noise(tenths in units(), digit in 1_i64..=9) {
        let tenths = tenths / 10 * 10 + digit;
        let value = tenths as f64 / 100_000.0;
        let read = Amount::from_f64(value);
        if value < 17_179_869_184.0 {
            prop_assert!(read.is_err(), "{value} as {:?}", read);
        } else if let Ok(amount) = read {
            prop_assert_eq!(amount.to_f64(), value);
        }
    }

    /// Every amount of cents comes back from its nearest float, and every one of four decimals
    /// below 1,024.
    #[test]
    fn floats_come_back(cents in 1..13_107_200_i64, units in 1..10_240_000_i64) {
        for units in [cents * 100, units] {
            let amount = Amount::from_units(units).unwrap();
            let float: f32 = amount.to_string().parse().unwrap();
            prop_assert_eq!(Amount::from_f32(float), Ok(amount));
        }
    }

    /// What a float is read as is nearer to it than to any other float.
    #[test]
    fn no_float_is_read_as_what_another_is_nearer_to(bits: u32) {
        let float = f32::from_bits(bits);
        if let Ok(amount) = Amount::from_f32(float) {
            prop_assert_eq!(amount.to_string().parse::<f32>().unwrap(), float);
        }
    }

    /// A decimal of any scale equals its amount, or has none.
    #[test]
    fn decimals_equal_their_amounts(unscaled: i128, shift in 0..127_u32, scale in 0..40_u32, zeros in 0..3_usize) {
        let unscaled = unscaled >> shift;
        let fill = if unscaled < 0 { 0xff } else { 0 };
        let bytes = [vec![fill; zeros], unscaled.to_be_bytes().to_vec()].concat();
        let wanted = BigDecimal::new(unscaled.into(), i64::from(scale));
        let read = Amount::from_decimal(&bytes, scale);
        let is_amount = wanted.with_scale(4) == wanted
            && unscaled > 0
            && wanted <= decimal(Amount::MAX.units(), 4);
        prop_assert_eq!(read.is_ok(), is_amount, "{} as {:?}", wanted, read);
        if let Ok(amount) = read {
            prop_assert_eq!(decimal(amount.units(), 4), wanted);
        }
    }

    #[test]
    fn amounts_come_back_from_decimals_of_any_scale(units in units(), scale in 4..60_u32) {
        let digits = BigDecimal::new(units.into(), 4).with_scale(i64::from(scale));
        let bytes = digits.into_bigint_and_exponent().0.to_signed_bytes_be();
        prop_assert_eq!(Amount::from_decimal(&bytes, scale), Ok(Amount::from_units(units).unwrap()));
    }
}
