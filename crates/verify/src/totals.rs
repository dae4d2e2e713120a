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

    /// Whether these lie between `least` and `least` with any part of `doubtful`. Equal where
    /// nothing is in doubt.
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

/// The same windows in larger ones: `window_ms` is a multiple of theirs.
#[must_use]
pub fn in_windows_of(windows: &Windows, window_ms: i64) -> Windows {
    let mut larger = Windows::new();
    for (&(start_ms, currency), totals) in windows {
        add_to(
            &mut larger,
            start_ms - start_ms.rem_euclid(window_ms),
            currency,
            totals,
        );
    }
    larger
}

/// Longest window that others are put together in: the aggregator's divide a day.
const DAY_MS: i64 = 86_400_000;

/// The smallest window that windows of both sizes fit into; `None` if that is more than a day.
#[must_use]
pub fn common_window(one_ms: i64, other_ms: i64) -> Option<i64> {
    let (mut a, mut b) = (one_ms, other_ms);
    if a <= 0 || b <= 0 {
        return None;
    }
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let common = (one_ms / a).checked_mul(other_ms)?;
    (common <= DAY_MS).then_some(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_two_sizes_meet_in_the_smallest_that_holds_both() {
        assert_eq!(common_window(60_000, 60_000), Some(60_000));
        assert_eq!(common_window(60_000, 10_000), Some(60_000));
        assert_eq!(common_window(60_000, 45_000), Some(180_000));
        assert_eq!(common_window(60_000, 7_000_001), None);
        assert_eq!(common_window(60_000, 0), None);
        let eur = Currency::parse(b"EUR").unwrap();
        let one = Totals {
            purchase_count: 1,
            ..Totals::default()
        };
        let small = Windows::from([((-30_000, eur), one), ((0, eur), one), ((30_000, eur), one)]);
        let large = in_windows_of(&small, 60_000);
        let counts: Vec<_> = large.iter().map(|(key, it)| (key.0, it.purchase_count)).collect();
        assert_eq!(counts, [(-60_000, 1), (0, 2)]);
    }
}
