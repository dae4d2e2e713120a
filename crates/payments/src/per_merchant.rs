//! What merchants take: sums, counts and distinct users, for each currency.

use millrace_domain::texts::{self, Held, InFlight};
use millrace_domain::{Amount, Currency, ShortId, Sum, Totals as Sums, Transaction, TransactionType};
use millrace_engine::RestoreError;
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::windowed::{Aggregation, Group, Key, Line, RareSlot, Totals};

use crate::state::{ReadPayment as _, WritePayment as _};

/// Adds up transactions for each merchant and currency. Two currencies are never added.
#[derive(Debug, Clone, Copy)]
pub struct PerMerchant;

/// A merchant and a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MerchantKey {
    /// Who was paid.
    pub merchant_id: ShortId,
    /// The currency of every amount.
    pub currency: Currency,
}

impl Key for MerchantKey {
    const LEAST_LEN: usize = 12 + 3;

    type Held = Held;

    #[inline]
    fn words(&self) -> (u64, u64) {
        let (low, high) = self.merchant_id.to_words();
        let [a, b, c] = *self.currency.as_bytes();
        let currency = u32::from_le_bytes([a, b, c, 0]);
        (low, u64::from(currency) << 32 | u64::from(high))
    }

    #[inline]
    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.short_id(self.merchant_id);
        writer.currency(self.currency);
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            merchant_id: reader.short_id("merchant")?,
            currency: reader.currency()?,
        })
    }

    /// A merchant's partition has all of its currencies.
    #[inline]
    fn goes_with(&self, other: &Self) -> bool {
        self.merchant_id == other.merchant_id
    }

    #[inline]
    fn hold(&self) -> Option<Held> {
        Held::of(&self.merchant_id)
    }

    fn release(keys: impl Iterator<Item = Self>) {
        let merchants: Vec<_> = keys.map(|key| key.merchant_id).collect();
        texts::release(merchants.iter());
    }

    fn reading<T>(read: impl FnOnce() -> T) -> T {
        let _round = InFlight::begin();
        read()
    }
}

/// One merchant and currency in memory: a cache line, so that a record waits for one of them, and a
/// group of a single purchase, as most are among a million merchants, writes no more.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct MerchantLine {
    purchase_sum: Sum,
    key: MerchantKey,
    purchase_count: u64,
    min_amount: Amount,
    max_amount: Amount,
    /// As many as positions of 32 bits can tell apart.
    distinct_users: u32,
    refunds: RareSlot,
}

const _: () = assert!(size_of::<MerchantLine>() == 64);

impl MerchantLine {
    #[inline]
    fn widen(&mut self, amount: Amount) {
        self.min_amount = self.min_amount.min(amount);
        self.max_amount = self.max_amount.max(amount);
    }
}

impl Line for MerchantLine {
    type Key = MerchantKey;

    #[inline]
    fn key(&self) -> MerchantKey {
        self.key
    }

    #[inline]
    fn count_member(&mut self) {
        self.distinct_users += 1;
    }

    #[inline]
    fn rare(&self) -> RareSlot {
        self.refunds
    }

    #[inline]
    fn set_rare(&mut self, slot: RareSlot) {
        self.refunds = slot;
    }
}

/// The refunds of one group: most have none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Refunds {
    sum: Sum,
    count: u64,
}

/// What a merchant's group adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MerchantTotals {
    /// Counts and sums.
    pub sums: Sums,
    /// Distinct users.
    pub distinct_users: u64,
}

impl Totals for MerchantTotals {
    const LEN: usize = 8 + 16 + 8 + 16 + 8 + 8 + 8;
    const EMPTY: Self = Self {
        sums: Sums {
            purchase_count: 0,
            purchase_sum: Sum::ZERO,
            refund_count: 0,
            refund_sum: Sum::ZERO,
            min_amount: Amount::MAX,
            max_amount: Amount::MIN,
        },
        distinct_users: 0,
    };

    #[inline]
    fn count(&self) -> u64 {
        self.sums.count()
    }

    fn merge(&mut self, other: &Self) {
        self.sums.merge(&other.sums);
        self.distinct_users += other.distinct_users;
    }

    fn write(&self, writer: &mut StateWriter<'_>) {
        writer.u64(self.sums.purchase_count);
        writer.i128(self.sums.purchase_sum.units());
        writer.u64(self.sums.refund_count);
        writer.i128(self.sums.refund_sum.units());
        writer.amount(self.sums.min_amount);
        writer.amount(self.sums.max_amount);
        writer.u64(self.distinct_users);
    }

    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            sums: Sums {
                purchase_count: reader.u64()?,
                purchase_sum: Sum::from_units(reader.i128()?),
                refund_count: reader.u64()?,
                refund_sum: Sum::from_units(reader.i128()?),
                min_amount: reader.amount()?,
                max_amount: reader.amount()?,
            },
            distinct_users: reader.u64()?,
        })
    }
}

impl Aggregation for PerMerchant {
    const PARTIAL: &'static str = "aggregate-partial";
    const MERGE: &'static str = "aggregate-merge";

    type Event = Transaction;
    type Key = MerchantKey;
    type Line = MerchantLine;
    type Rare = Refunds;
    type Totals = MerchantTotals;

    #[inline]
    fn key(&self, transaction: &Transaction) -> MerchantKey {
        MerchantKey {
            merchant_id: transaction.merchant_id,
            currency: transaction.currency,
        }
    }

    #[inline]
    fn open(&self, key: MerchantKey) -> MerchantLine {
        MerchantLine {
            purchase_sum: Sum::ZERO,
            key,
            purchase_count: 0,
            min_amount: Amount::MAX,
            max_amount: Amount::MIN,
            distinct_users: 0,
            refunds: RareSlot::NONE,
        }
    }

    /// As [`Sums::add`], in place.
    #[inline]
    fn add(&self, group: &mut Group<'_, Self>, transaction: &Transaction) {
        let amount = transaction.amount;
        match transaction.transaction_type {
            TransactionType::Purchase => {
                group.line.purchase_count += 1;
                group.line.purchase_sum += amount;
                group.line.widen(amount);
            }
            TransactionType::Refund => {
                group.line.widen(amount);
                let refunds = group.rare();
                refunds.count += 1;
                refunds.sum += amount;
            }
        }
    }

    #[inline]
    fn totals(&self, line: &MerchantLine, refunds: Option<&Refunds>) -> MerchantTotals {
        let refunds = refunds.copied().unwrap_or_default();
        MerchantTotals {
            sums: Sums {
                purchase_count: line.purchase_count,
                purchase_sum: line.purchase_sum,
                refund_count: refunds.count,
                refund_sum: refunds.sum,
                min_amount: line.min_amount,
                max_amount: line.max_amount,
            },
            distinct_users: u64::from(line.distinct_users),
        }
    }

    /// Of distinct users, no more are counted than 32 bits can.
    fn set(&self, group: &mut Group<'_, Self>, totals: &MerchantTotals) {
        let sums = &totals.sums;
        let line = &mut group.line;
        line.purchase_count = sums.purchase_count;
        line.purchase_sum = sums.purchase_sum;
        line.min_amount = sums.min_amount;
        line.max_amount = sums.max_amount;
        line.distinct_users = u32::try_from(totals.distinct_users).unwrap_or(u32::MAX);
        if sums.refund_count > 0 {
            *group.rare() = Refunds {
                sum: sums.refund_sum,
                count: sums.refund_count,
            };
        }
    }

    #[inline]
    fn member(&self, transaction: &Transaction) -> Option<(u64, u32)> {
        Some(transaction.user_id.to_words())
    }
}
