//! Merchant aggregates and the partials they are made of.

use crate::{Amount, Currency, ShortId, Sum, TransactionType};

/// Counts and sums of some transactions of one merchant in one currency. Merging is associative and
/// commutative, so that any grouping of the same transactions gives the same totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Number of purchases.
    pub purchase_count: u64,
    /// What the purchases add up to.
    pub purchase_sum: Sum,
    /// Number of refunds.
    pub refund_count: u64,
    /// What the refunds add up to; positive.
    pub refund_sum: Sum,
    /// The smallest amount of either kind.
    pub min_amount: Amount,
    /// The largest amount of either kind.
    pub max_amount: Amount,
}

impl Totals {
    /// The totals of one transaction.
    #[must_use]
    pub fn of(transaction_type: TransactionType, amount: Amount) -> Self {
        let mut totals = Self {
            purchase_count: 0,
            purchase_sum: Sum::ZERO,
            refund_count: 0,
            refund_sum: Sum::ZERO,
            min_amount: amount,
            max_amount: amount,
        };
        totals.add(transaction_type, amount);
        totals
    }

    /// Number of transactions.
    #[inline]
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.purchase_count + self.refund_count
    }

    /// Adds one transaction.
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
        self.min_amount = self.min_amount.min(amount);
        self.max_amount = self.max_amount.max(amount);
    }

    /// Adds the totals of other transactions.
    pub fn merge(&mut self, other: &Self) {
        self.purchase_count += other.purchase_count;
        self.purchase_sum += other.purchase_sum;
        self.refund_count += other.refund_count;
        self.refund_sum += other.refund_sum;
        self.min_amount = self.min_amount.min(other.min_amount);
        self.max_amount = self.max_amount.max(other.max_amount);
    }
}

/// What one source partition adds to one merchant's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contribution {
    /// The merchant.
    pub merchant_id: ShortId,
    /// The currency of the totals.
    pub currency: Currency,
    /// Start of the window, inclusive, in milliseconds since 1970.
    pub window_start_ms: i64,
    /// End of the window, exclusive.
    pub window_end_ms: i64,
    /// Counts and sums.
    pub totals: Totals,
    /// Distinct users among the source partition's transactions.
    pub distinct_users: u64,
}

impl Contribution {
    /// Whether another is to the same merchant's same window, in whatever currency.
    #[inline]
    #[must_use]
    pub fn is_of_same_window(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.merchant_id, it.window_start_ms, it.window_end_ms);
        of(self) == of(other)
    }
}

/// One record of the partials topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// The partition of the source topic.
    pub source_partition: i32,
    /// The source's watermark.
    pub watermark_ms: i64,
    /// With a watermark alone: every transaction of the source before this event time was sent in a
    /// contribution, and none before it comes any more. `None` in what a release before wrote, too.
    pub complete_ms: Option<i64>,
    /// What it tells.
    pub content: PartialContent,
}

/// What a record of the partials topic tells: of one merchant's window, or of every one.
/// Contributions are at least one, each of another currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartialContent {
    /// How far the source's watermark has come: goes to every partition.
    Watermark,
    /// What the source adds to a window that closes, for the final results: sent once.
    Final(Vec<Contribution>),
    /// What it has of an open window so far, for early results alone.
    Early(Vec<Contribution>),
}

impl PartialContent {
    /// What it tells of a merchant's window; none in a watermark.
    #[must_use]
    pub fn contributions(&self) -> &[Contribution] {
        match self {
            Self::Watermark => &[],
            Self::Final(contributions) | Self::Early(contributions) => contributions,
        }
    }
}

impl Partial {
    /// Whom it is about: it goes to that merchant's partition. `None` for a watermark, which goes
    /// to every one.
    #[must_use]
    pub fn merchant_id(&self) -> Option<&ShortId> {
        let first = self.content.contributions().first()?;
        Some(&first.merchant_id)
    }
}

/// The final result for one merchant, currency and window, or an early one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MerchantAggregate {
    /// The merchant; the record's key.
    pub merchant_id: ShortId,
    /// The currency of the totals.
    pub currency: Currency,
    /// Start of the window, inclusive, in milliseconds since 1970.
    pub window_start_ms: i64,
    /// End of the window, exclusive.
    pub window_end_ms: i64,
    /// Counts and sums.
    pub totals: Totals,
    /// Distinct users, exact.
    pub distinct_users: u64,
    /// [`MerchantAggregate::FINAL`], or below it for an early result: then it is how far the
    /// watermark is from closing the window, in milliseconds, as a negative number. So it rises,
    /// whatever the interval of early results.
    pub revision: i32,
}

impl MerchantAggregate {
    /// The revision of a final result.
    pub const FINAL: i32 = 0;

    /// Whether it is the final result: no other comes for the same merchant, currency and window.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        self.revision == Self::FINAL
    }

    /// The identity of the result, as `m-17_EUR_1760000000000`: the same for every revision.
    #[must_use]
    pub fn document_id(&self) -> String {
        format!("{}_{}_{}", self.merchant_id, self.currency, self.window_start_ms)
    }
}
