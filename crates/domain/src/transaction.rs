//! The transaction: ten fields, all of fixed size.

use crate::{Amount, Currency, InvalidValue, ShortId, TransactionId};

/// Whether money goes to the merchant or comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TransactionType {
    /// Money to the merchant.
    Purchase = 0,
    /// Money back from the merchant; the amount is positive all the same.
    Refund = 1,
}

impl TransactionType {
    /// Every value, in the order of the schema's symbols.
    pub const ALL: [Self; 2] = [Self::Purchase, Self::Refund];

    /// The schema's symbol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Purchase => "purchase",
            Self::Refund => "refund",
        }
    }

    /// Reads the schema's symbol.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == text)
    }
}

/// Which event times a stream of transactions may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTimeLimits {
    /// The earliest, in milliseconds since 1970; `None` for any.
    pub earliest_ms: Option<i64>,
    /// How far it may be ahead of the broker's append time, in milliseconds.
    pub max_future_ms: i64,
}

/// How a transaction was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PaymentMethod {
    /// A credit or debit card.
    CreditCard = 0,
    /// PayPal.
    Paypal = 1,
    /// A transfer from bank to bank.
    BankTransfer = 2,
}

impl PaymentMethod {
    /// Every value, in the order of the schema's symbols.
    pub const ALL: [Self; 3] = [Self::CreditCard, Self::Paypal, Self::BankTransfer];

    /// The schema's symbol.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreditCard => "credit_card",
            Self::Paypal => "paypal",
            Self::BankTransfer => "bank_transfer",
        }
    }

    /// Reads the schema's symbol.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.as_str() == text)
    }
}

/// One financial transaction, valid by the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transaction {
    /// Unique for ever; deduplication goes by it.
    pub transaction_id: TransactionId,
    /// Who paid; the record's key.
    pub user_id: ShortId,
    /// How much, above 0.
    pub amount: Amount,
    /// Event time in milliseconds since 1970, within [`Transaction::MAX_TIME_MS`].
    pub transaction_time_ms: i64,
    /// Who was paid.
    pub merchant_id: ShortId,
    /// Purchase or refund.
    pub transaction_type: TransactionType,
    /// A city; [`crate::city::find`] knows where it is.
    pub location: ShortId,
    /// Card, PayPal or transfer.
    pub payment_method: PaymentMethod,
    /// Whether it crossed a border.
    pub is_international: bool,
    /// The currency of `amount`.
    pub currency: Currency,
}

impl Transaction {
    /// The latest event time: the end of the year 9999.
    pub const MAX_TIME_MS: i64 = millrace_contract::kind::MAX_TIME_MS;

    /// Whether an event time may be one: from 1970 to 9999.
    #[inline]
    #[must_use]
    pub fn is_time(time_ms: i64) -> bool {
        (0..=Self::MAX_TIME_MS).contains(&time_ms)
    }

    /// Checks an event time by itself.
    ///
    /// # Errors
    /// Before 1970 or after 9999.
    #[inline]
    pub fn check_time(transaction_time_ms: i64) -> Result<i64, InvalidValue> {
        if Self::is_time(transaction_time_ms) {
            Ok(transaction_time_ms)
        } else {
            Err(InvalidValue::TimeOutOfRange(transaction_time_ms))
        }
    }

    /// Checks the event time against both bounds, as every service has to that reads transactions:
    /// what one refuses and another takes would be in one of two results alone.
    ///
    /// `append_time_ms` is when the broker appended the record; `None` where a producer has stamped
    /// it, which bounds nothing.
    ///
    /// # Errors
    /// Before the earliest, or too far ahead of the append time.
    #[inline]
    pub fn check_event_time(
        &self,
        append_time_ms: Option<i64>,
        limits: EventTimeLimits,
    ) -> Result<(), InvalidValue> {
        if let Some(earliest_ms) = limits.earliest_ms {
            self.check_not_before(earliest_ms)?;
        }
        match append_time_ms {
            Some(append_time_ms) => self.check_not_far_future(append_time_ms, limits.max_future_ms),
            None => Ok(()),
        }
    }

    /// Checks the event time against the earliest that the stream may have: a time in seconds,
    /// taken for milliseconds, is in January 1970.
    ///
    /// # Errors
    /// Before `earliest_ms`.
    #[inline]
    pub fn check_not_before(&self, earliest_ms: i64) -> Result<(), InvalidValue> {
        let time_ms = self.transaction_time_ms;
        if time_ms < earliest_ms {
            return Err(InvalidValue::BeforeEarliest { time_ms, earliest_ms });
        }
        Ok(())
    }

    /// Checks the event time against the time at which the broker appended the record, which is
    /// part of the log: so a replay decides as the first run did.
    ///
    /// # Errors
    /// More than `max_future_ms` ahead.
    #[inline]
    pub fn check_not_far_future(&self, append_time_ms: i64, max_future_ms: i64) -> Result<(), InvalidValue> {
        let ahead_ms = self.transaction_time_ms - append_time_ms;
        if ahead_ms > max_future_ms {
            return Err(InvalidValue::FarFuture {
                ahead_ms,
                bound_ms: max_future_ms,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_times_are_held_to_both_limits() {
        let limits = EventTimeLimits {
            earliest_ms: Some(1_000),
            max_future_ms: 60,
        };
        let check = |transaction_time_ms, append_time_ms, limits| {
            let id = |text| ShortId::new(text, "test").unwrap();
            let transaction = Transaction {
                transaction_id: TransactionId::from_bytes([7; 16]),
                user_id: id("u-1"),
                amount: Amount::from_units(1).unwrap(),
                transaction_time_ms,
                merchant_id: id("m-7"),
                transaction_type: TransactionType::Purchase,
                location: id("Oslo"),
                payment_method: PaymentMethod::Paypal,
                is_international: false,
                currency: Currency::parse(b"NOK").unwrap(),
            };
            let checked = transaction.check_event_time(append_time_ms, limits);
            checked.map_err(|error| error.code())
        };
        assert_eq!(check(1_000, Some(5_000), limits), Ok(()));
        assert_eq!(check(999, Some(5_000), limits), Err("before_earliest_time"));
        assert_eq!(check(5_060, Some(5_000), limits), Ok(()));
        assert_eq!(check(5_061, Some(5_000), limits), Err("far_future"));
        // A producer's stamp bounds nothing; the earliest holds all the same.
        assert_eq!(check(5_061, None, limits), Ok(()));
        assert_eq!(check(999, None, limits), Err("before_earliest_time"));
        let any = EventTimeLimits {
            earliest_ms: None,
            ..limits
        };
        assert_eq!(check(0, Some(5_000), any), Ok(()));
    }
}
