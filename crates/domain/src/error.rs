//! The one error of a value that breaks the contract.

use millrace_contract::event_time::ImpossibleTime;
use millrace_contract::kind::unit_hint;
use thiserror::Error;

/// A field's value that the contract of a transaction refuses. The message names the field, the
/// value and what would be right; [`InvalidValue::code`] is the bounded name that metrics and
/// dead-letter headers carry.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum InvalidValue {
    /// The transaction id is not 36 characters of a hyphenated UUID.
    #[error("transactionId {0:?} is not a UUID as in 6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11")]
    TransactionId(String),
    /// An id is empty, longer than [`crate::ShortId::MAX_LEN`] bytes, or holds a NUL byte.
    #[error("{field} {value:?} must be 1 to 64 bytes of UTF-8 without NUL")]
    ShortId {
        /// The field's name in the contract.
        field: &'static str,
        /// What was there, cut to 40 characters.
        value: String,
    },
    /// NaN or infinite.
    #[error("amount {0} is not a finite number")]
    AmountNotFinite(f64),
    /// Zero or negative.
    #[error("amount {0} must be above 0")]
    AmountNotPositive(f64),
    /// More than four decimals.
    #[error("amount {0} has more than four decimals")]
    AmountTooFine(f64),
    /// Above [`crate::Amount::MAX`].
    #[error("amount {0} is above the largest that is exact in a double with four decimals, 200000000000")]
    AmountTooLarge(f64),
    /// A float of 32 bits from [`crate::decimal::MAX_FLOAT`] on, which does not tell one cent from
    /// the next.
    #[error(
        "amount {0} is a float, and floats do not tell cents apart from 131072 on: a double or a decimal does"
    )]
    AmountFloatTooLarge(f32),
    /// Not three upper-case ASCII letters.
    #[error("currency {0:?} is not an ISO 4217 code as in EUR")]
    Currency(String),
    /// No name that a list or a rule may have.
    #[error("name {0:?} must be 1 to 64 lower-case letters, digits and `_`, a letter first")]
    ListName(String),
    /// The event time is before 1970 or after 9999.
    #[error("transactionTime {0} ms is not between 1970-01-01 and 9999-12-31{hint}", hint = unit_hint(*.0))]
    TimeOutOfRange(i64),
    /// The event time is before the earliest, or too far ahead of the broker's append time.
    #[error("transactionTime {0}")]
    EventTime(ImpossibleTime),
}

impl InvalidValue {
    /// A short name from a fixed set, fit for a metric label.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TransactionId(_) => "invalid_transaction_id",
            Self::ShortId { .. } => "invalid_id",
            Self::AmountNotFinite(_) => "amount_not_finite",
            Self::AmountNotPositive(_) => "amount_not_positive",
            Self::AmountTooFine(_) => "amount_too_fine",
            Self::AmountTooLarge(_) => "amount_too_large",
            Self::AmountFloatTooLarge(_) => "amount_float_too_large",
            Self::Currency(_) => "invalid_currency",
            Self::ListName(_) => "invalid_list_name",
            Self::TimeOutOfRange(_) => "time_out_of_range",
            Self::EventTime(error) => error.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_another_unit_is_named() {
        let ends = |value, end: &str| {
            let text = InvalidValue::TimeOutOfRange(value).to_string();
            assert!(text.ends_with(end), "{text}");
        };
        ends(1_760_000_000, "seconds for milliseconds?");
        ends(1_760_000_000_123_456, "microseconds for milliseconds?");
        ends(1_760_000_000_123_456_789, "nanoseconds for milliseconds?");
        for value in [-1, 0, 12_345, i64::MAX, i64::MIN] {
            let text = InvalidValue::TimeOutOfRange(value).to_string();
            assert!(text.ends_with("9999-12-31"), "{text}");
        }
    }
}
