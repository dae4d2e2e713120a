//! Counts and sums by window and currency: the common form of what is compared.

use std::collections::BTreeMap;

use millrace_domain::{Currency, Sum, Transaction, TransactionType};

/// Counts and sums of some transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Number of purchases.
    pub purchase_count: u64,
    /// What the purchases add up to.
    pub purchase_sum: Sum,
    /// Number of refunds.
    pub refund_count: u64,
    /// What the refunds add up to; positive.
    pub refund_sum: Sum,
}

impl Totals {
    /// The totals of one transaction.
    #[must_use]
    pub fn of(transaction: &Transaction) -> Self {
        let mut totals = Self::default();
        match transaction.transaction_type {
            TransactionType::Purchase => {
                totals.purchase_count = 1;
                totals.purchase_sum += transaction.amount;
            }
            TransactionType::Refund => {
                totals.refund_count = 1;
                totals.refund_sum += transaction.amount;
            }
        }
        totals
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.purchase_count += other.purchase_count;
        self.purchase_sum += other.purchase_sum;
        self.refund_count += other.refund_count;
        self.refund_sum += other.refund_sum;
    }

    /// Whether these lie between `least` and `least` with any part of `doubtful`. Equal where nothing is in doubt.
    #[must_use]
    pub fn is_within(&self, least: &Self, doubtful: &Self) -> bool {
        let mut most = *least;
        most.add(doubtful);
        (least.purchase_count..=most.purchase_count).contains(&self.purchase_count)
            && (least.purchase_sum..=most.purchase_sum).contains(&self.purchase_sum)
            && (least.refund_count..=most.refund_count).contains(&self.refund_count)
            && (least.refund_sum..=most.refund_sum).contains(&self.refund_sum)
    }

    /// Whether anything is above what `least` and all of `doubtful` give: more than was ever sent.
    #[must_use]
    pub fn exceeds(&self, least: &Self, doubtful: &Self) -> bool {
        let mut most = *least;
        most.add(doubtful);
        self.purchase_count > most.purchase_count
            || self.purchase_sum > most.purchase_sum
            || self.refund_count > most.refund_count
            || self.refund_sum > most.refund_sum
    }
}

/// Totals by start of the window (milliseconds since 1970) and currency.
pub type Windows = BTreeMap<(i64, Currency), Totals>;

/// Adds totals to a window.
pub fn add_to(windows: &mut Windows, start_ms: i64, currency: Currency, totals: &Totals) {
    windows.entry((start_ms, currency)).or_default().add(totals);
}

/// Adds up the windows of each currency.
#[must_use]
pub fn by_currency<'a>(
    windows: impl IntoIterator<Item = (&'a (i64, Currency), &'a Totals)>,
) -> BTreeMap<Currency, Totals> {
    let mut currencies = BTreeMap::<_, Totals>::new();
    for ((_, currency), totals) in windows {
        currencies.entry(*currency).or_default().add(totals);
    }
    currencies
}
