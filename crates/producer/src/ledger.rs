//! What the ledger adds up of transactions.

use millrace_domain::{Amount, Currency, Sum, Transaction, TransactionType};
use millrace_payments::ledger::WindowLine;
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

/// What a window holds of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WindowTotals {
    /// Number of purchases.
    pub purchase_count: u64,
    /// What the purchases add up to.
    pub purchase_sum: Sum,
    /// Number of refunds.
    pub refund_count: u64,
    /// What the refunds add up to; positive.
    pub refund_sum: Sum,
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
        match self.transaction_type {
            TransactionType::Purchase => {
                totals.purchase_count += 1;
                totals.purchase_sum += self.amount;
            }
            TransactionType::Refund => {
                totals.refund_count += 1;
                totals.refund_sum += self.amount;
            }
        }
    }

    fn merge(totals: &mut WindowTotals, other: &WindowTotals) {
        totals.purchase_count += other.purchase_count;
        totals.purchase_sum += other.purchase_sum;
        totals.refund_count += other.refund_count;
        totals.refund_sum += other.refund_sum;
    }

    fn line(start_ms: i64, currency: Currency, totals: &WindowTotals) -> WindowLine {
        WindowLine {
            start_ms,
            currency: currency.to_string(),
            purchase_count: totals.purchase_count,
            purchase_sum_units: totals.purchase_sum.units().to_string(),
            refund_count: totals.refund_count,
            refund_sum_units: totals.refund_sum.units().to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
