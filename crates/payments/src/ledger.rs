//! The lines of a ledger of payments, which a producer writes and a verification reads.

use millrace_domain::{Amount, Currency, Sum, TransactionType};
use serde::{Deserialize, Serialize};

/// One window and currency. Sums are integers of 1/10,000 as text, as JSON numbers are doubles for
/// most readers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowLine {
    /// Start of the window in milliseconds since 1970.
    pub start_ms: i64,
    /// ISO 4217.
    pub currency: String,
    /// Number of purchases.
    pub purchase_count: u64,
    /// What they add up to, in 1/10,000.
    pub purchase_sum_units: String,
    /// Number of refunds.
    pub refund_count: u64,
    /// What they add up to, in 1/10,000.
    pub refund_sum_units: String,
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

impl WindowTotals {
    /// Adds a transaction.
    #[inline]
    pub fn add(&mut self, transaction_type: TransactionType, amount: Amount) {
        match transaction_type {
            TransactionType::Purchase => {
                self.purchase_count += 1;
                self.purchase_sum += amount;
            }
            TransactionType::Refund => {
                self.refund_count += 1;
                self.refund_sum += amount;
            }
        }
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Self) {
        self.purchase_count += other.purchase_count;
        self.purchase_sum += other.purchase_sum;
        self.refund_count += other.refund_count;
        self.refund_sum += other.refund_sum;
    }

    /// These of the window that starts at `start_ms`, in milliseconds since 1970.
    #[must_use]
    pub fn line(&self, start_ms: i64, currency: Currency) -> WindowLine {
        WindowLine {
            start_ms,
            currency: currency.to_string(),
            purchase_count: self.purchase_count,
            purchase_sum_units: self.purchase_sum.units().to_string(),
            refund_count: self.refund_count,
            refund_sum_units: self.refund_sum.units().to_string(),
        }
    }
}
