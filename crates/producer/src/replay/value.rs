//! Values of the contract's fields, made of texts.

use millrace_domain::{Amount, InvalidValue, PaymentMethod, ShortId, TransactionType};

use super::field::RowError;
use super::number::{Decimal, Marks};

pub(super) fn short_id(text: &str, field: &'static str) -> Result<ShortId, RowError> {
    Ok(ShortId::new(text, field)?)
}

/// An amount, exact: by its digits, or, where these are of a double, by what that double means.
pub(super) fn amount(text: &str, marks: Marks, decimals: Option<u8>) -> Result<Amount, RowError> {
    let number = Decimal::parse(text, marks)
        .ok_or_else(|| RowError::unreadable("amount", text, format!("a number as {}", marks.example())))?;
    let value = number.to_f64();
    let units = match decimals {
        // From so many decimals to the contract's four.
        Some(decimals) => number
            .scaled(decimals)
            .and_then(|(rounded, _)| rounded.checked_mul(10_i128.pow(4_u32.saturating_sub(decimals.into())))),
        None => match number.scaled(4) {
            Some((_, false)) if number.may_be_double() => return Ok(Amount::from_f64(value)?),
            Some((_, false)) => return Err(InvalidValue::AmountTooFine(value).into()),
            Some((units, true)) => Some(units),
            None => None,
        },
    };
    let amount = units
        .and_then(|units| i64::try_from(units).ok())
        .and_then(Amount::from_units);
    match amount {
        Some(amount) => Ok(amount),
        None if value <= 0.0 || units == Some(0) => Err(InvalidValue::AmountNotPositive(value).into()),
        None => Err(InvalidValue::AmountTooLarge(value).into()),
    }
}

pub(super) fn transaction_type(text: &str) -> Result<TransactionType, RowError> {
    TransactionType::parse(text)
        .ok_or_else(|| RowError::unreadable("transactionType", text, "purchase or refund"))
}

pub(super) fn payment_method(text: &str) -> Result<PaymentMethod, RowError> {
    PaymentMethod::parse(text)
        .ok_or_else(|| RowError::unreadable("paymentMethod", text, "credit_card, paypal or bank_transfer"))
}

/// A truth value as programs write it: true, t, yes, y, 1, false, f, no, n or 0, in any case.
#[must_use]
pub fn truth_value(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// A [`truth_value`]; `values` of the mapping says what else there is.
pub(super) fn truth(text: &str) -> Result<bool, RowError> {
    truth_value(text).ok_or_else(|| {
        RowError::unreadable(
            "isInternational",
            text,
            "true, t, yes, y, 1, false, f, no, n or 0; for others give values in the mapping, as {ja: true, nein: false}",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_digit_by_digit() {
        let read = |text, decimals| amount(text, Marks::PLAIN, decimals).map(Amount::units);
        assert_eq!(read("57.16", None), Ok(571_600));
        assert_eq!(read("200000000000", None), Ok(2_000_000_000_000_000));
        assert_eq!(read("123456789.1234", None), Ok(1_234_567_891_234));
        assert_eq!(read("85.64999999999999", Some(2)), Ok(856_500));
        assert_eq!(read("2.675", Some(2)), Ok(26_800));
        assert_eq!(read("1e-4", None), Ok(1));
        for (text, decimals, expected) in [
            ("57.16000000000000000001", None, "more than four decimals"),
            ("2.00005", None, "more than four decimals"),
            ("0.004", Some(2), "must be above 0"),
            ("-4.5", None, "must be above 0"),
            ("0", None, "must be above 0"),
            ("200000000000.0001", None, "above the largest"),
            ("1e40", None, "above the largest"),
            ("1e30", Some(2), "above the largest"),
            ("NaN", None, "is not a number as 1234.56"),
            ("1,5", None, "is not a number as 1234.56"),
        ] {
            let error = read(text, decimals).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn truth_values_are_those_that_programs_write() {
        assert!(
            ["true", "True", "TRUE", "t", "Y", "yes", "1"]
                .iter()
                .all(|text| truth(text) == Ok(true))
        );
        assert!(
            ["false", "False", "f", "N", "no", "0"]
                .iter()
                .all(|text| truth(text) == Ok(false))
        );
        assert!(truth("ja").unwrap_err().to_string().contains("values"));
    }
}
