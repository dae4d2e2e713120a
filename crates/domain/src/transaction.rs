//! The transaction: ten fields, all of fixed size.

use millrace_contract::{EventTimeLimits, event_time};

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

    /// As [`EventTimeLimits::check`].
    ///
    /// # Errors
    /// Before the earliest, or too far ahead of the append time.
    #[inline]
    pub fn check_event_time(
        &self,
        append_time_ms: Option<i64>,
        limits: EventTimeLimits,
    ) -> Result<(), InvalidValue> {
        limits
            .check(self.transaction_time_ms, append_time_ms)
            .map_err(InvalidValue::EventTime)
    }

    /// As [`event_time::check_not_before`].
    ///
    /// # Errors
    /// Before `earliest_ms`.
    #[inline]
    pub fn check_not_before(&self, earliest_ms: i64) -> Result<(), InvalidValue> {
        event_time::check_not_before(self.transaction_time_ms, earliest_ms).map_err(InvalidValue::EventTime)
    }

    /// As [`event_time::check_not_far_future`].
    ///
    /// # Errors
    /// More than `max_future_ms` ahead.
    #[inline]
    pub fn check_not_far_future(&self, append_time_ms: i64, max_future_ms: i64) -> Result<(), InvalidValue> {
        let time_ms = self.transaction_time_ms;
        event_time::check_not_far_future(time_ms, append_time_ms, max_future_ms)
            .map_err(InvalidValue::EventTime)
    }
}
