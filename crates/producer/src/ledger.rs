//! What the ledger adds up of transactions.

use millrace_domain::{Amount, Currency, Transaction, TransactionType};
use millrace_payments::ledger::WindowLine;
pub use millrace_payments::ledger::WindowTotals;
use millrace_publisher::{Class, Entry};

use crate::stream::Kind;

/// What the ledger has to know of a record when it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What it counts as.
    pub class: Class,
    /// Purchase or refund.
    pub transaction_type: TransactionType,
    /// The currency of `amount`.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// Event time in milliseconds since 1970.
    pub event_time_ms: i64,
}

impl Facts {
    /// The facts of a transaction.
    #[inline]
    #[must_use]
    pub fn of(transaction: &Transaction, class: Class) -> Self {
        Self {
            class,
            transaction_type: transaction.transaction_type,
            currency: transaction.currency,
            amount: transaction.amount,
            event_time_ms: transaction.transaction_time_ms,
        }
    }
}

/// What an item of a stream counts as.
#[must_use]
pub fn class_of(kind: Kind) -> Class {
    match kind {
        Kind::First => Class::First,
        Kind::Duplicate | Kind::Changed => Class::Repeat,
        Kind::Malformed(_) => Class::Malformed,
    }
}

impl Entry for Facts {
    type Key = Currency;
    type Sums = WindowTotals;
    type Line = WindowLine;

    #[inline]
    fn class(&self) -> Class {
        self.class
    }

    #[inline]
    fn event_time_ms(&self) -> i64 {
        self.event_time_ms
    }

    #[inline]
    fn key(&self) -> Currency {
        self.currency
    }

    #[inline]
    fn add_to(&self, totals: &mut WindowTotals) {
        totals.add(self.transaction_type, self.amount);
    }

    fn merge(totals: &mut WindowTotals, other: &WindowTotals) {
        totals.merge(other);
    }

    fn line(start_ms: i64, currency: Currency, totals: &WindowTotals) -> WindowLine {
        totals.line(start_ms, currency)
    }
}

#[cfg(test)]
mod tests;
