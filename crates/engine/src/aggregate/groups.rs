//! The merchants and currencies of one window.

use std::num::NonZeroU32;

use millrace_domain::texts::{self, Held};
use millrace_domain::{Amount, Contribution, Currency, ShortId, Sum, Totals, Transaction, TransactionType};

use crate::RestoreError;
use crate::hash::HashSeed;
use crate::index::Index;
use crate::pages::Pages;
use crate::snapshot::{StateReader, StateWriter};

/// What one window adds up to, for each merchant and currency.
#[derive(Debug, Clone)]
pub(super) struct Groups {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    seed: HashSeed,
    /// In the order in which they were first seen: their numbers.
    groups: Pages<Group, PAGE_BYTES>,
    /// Of the groups that have any: most have none.
    refunds: Pages<Refunds, PAGE_BYTES>,
    /// The texts of merchants with long ids.
    texts: Pages<Held, PAGE_BYTES>,
    index: Index,
}

const PAGE_BYTES: usize = 64 * 1024;

/// Bytes of merchant and currency in a snapshot.
pub(super) const KEY_LEN: usize = 12 + 3;
/// Bytes of one group in a snapshot.
const GROUP_LEN: usize = KEY_LEN + 8 + 16 + 8 + 16 + 8 + 8 + 8;

/// One merchant and currency: a cache line, so that a record waits for one of them, and a group of
/// a single purchase, as most are among a million merchants, writes no more.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Group {
    purchase_sum: Sum,
    merchant_id: ShortId,
    currency: Currency,
    purchase_count: u64,
    min_amount: Amount,
    max_amount: Amount,
    /// As many as positions of 32 bits can tell apart.
    distinct_users: u32,
    /// The number of its [`Refunds`], plus one.
    refunds: Option<NonZeroU32>,
}

const _: () = assert!(size_of::<Group>() == 64);

/// The refunds of one group.
#[derive(Debug, Clone, Copy)]
struct Refunds {
    sum: Sum,
    count: u64,
}

impl Refunds {
    const NONE: Self = Self {
        sum: Sum::ZERO,
        count: 0,
    };
}

impl Group {
    fn new(merchant_id: ShortId, currency: Currency, amount: Amount) -> Self {
        Self {
            purchase_sum: Sum::ZERO,
            merchant_id,
            currency,
            purchase_count: 0,
            min_amount: amount,
            max_amount: amount,
            distinct_users: 0,
            refunds: None,
        }
    }

    /// As [`Totals::add`] of a purchase, in place.
    #[inline]
    fn add_purchase(&mut self, amount: Amount) {
        self.purchase_count += 1;
        self.purchase_sum += amount;
        self.widen(amount, amount);
    }

    #[inline]
    fn widen(&mut self, min_amount: Amount, max_amount: Amount) {
        self.min_amount = self.min_amount.min(min_amount);
        self.max_amount = self.max_amount.max(max_amount);
    }

    /// Where its refunds are, if it has any.
    #[inline]
    fn refunds_at(&self) -> Option<usize> {
        self.refunds.map(|number| number.get() as usize - 1)
    }

    /// By merchant and currency, in the order of their bytes.
    fn order(&self) -> u128 {
        let (low, high) = self.merchant_id.to_words();
        let [a, b, c] = *self.currency.as_bytes();
        let (high, currency) = (high.swap_bytes(), u32::from_be_bytes([0, a, b, c]));
        u128::from(low.swap_bytes()) << 64 | u128::from(high) << 32 | u128::from(currency)
    }

    /// With the refunds that `refunds` has at a place.
    fn totals(&self, refunds: impl FnOnce(usize) -> Refunds) -> Totals {
        let refunds = self.refunds_at().map_or(Refunds::NONE, refunds);
        Totals {
            purchase_count: self.purchase_count,
            purchase_sum: self.purchase_sum,
            refund_count: refunds.count,
            refund_sum: refunds.sum,
            min_amount: self.min_amount,
            max_amount: self.max_amount,
        }
    }
}

impl Groups {
    /// An empty window with room for `capacity` groups.
    pub(super) fn with_capacity(start_ms: i64, end_ms: i64, capacity: usize, seed: HashSeed) -> Self {
        Self {
            start_ms,
            end_ms,
            seed,
            groups: Pages::with_capacity(capacity),
            refunds: Pages::new(),
            texts: Pages::new(),
            index: Index::with_capacity(capacity),
        }
    }

    /// Number of groups; their numbers are dense below it.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// The hash by which a transaction's group is found.
    #[inline]
    pub(super) fn hash(&self, transaction: &Transaction) -> u64 {
        hash(self.seed, &transaction.merchant_id, transaction.currency)
    }

    /// A place that finding the group with a hash reads from: see [`crate::near`].
    #[inline]
    pub(super) fn line(&self, hash: u64) -> &u64 {
        self.index.first_line(hash)
    }

    /// The number that the group with a hash most probably has, and a place in it.
    #[inline]
    pub(super) fn guess(&self, hash: u64) -> Option<(usize, &u64)> {
        let group = self.index.guess(hash)? as usize;
        Some((group, &self.groups.get(group).purchase_count))
    }

    /// Adds a transaction to its group, and gives the group's number. Distinct users are the
    /// caller's to count.
    #[inline]
    pub(super) fn add(&mut self, transaction: &Transaction) -> usize {
        let &Transaction {
            ref merchant_id,
            currency,
            transaction_type,
            amount,
            ..
        } = transaction;
        let group = self.find_or_insert(merchant_id, currency, amount);
        match transaction_type {
            TransactionType::Purchase => self.groups.get_mut(group).add_purchase(amount),
            TransactionType::Refund => {
                self.groups.get_mut(group).widen(amount, amount);
                let refunds = self.refunds_mut(group);
                refunds.count += 1;
                refunds.sum += amount;
            }
        }
        group
    }

    /// The number of a group; a new one has nothing but an amount that is the least and the most.
    #[inline]
    fn find_or_insert(&mut self, merchant_id: &ShortId, currency: Currency, amount: Amount) -> usize {
        let hash = hash(self.seed, merchant_id, currency);
        let groups = &self.groups;
        let found = self.index.find(hash, |at| {
            let group = groups.get(at as usize);
            group.merchant_id == *merchant_id && group.currency == currency
        });
        match found {
            Some(group) => group as usize,
            None => self.insert(hash, Group::new(*merchant_id, currency, amount)),
        }
    }

    /// Adds a group that is not there; its number.
    fn insert(&mut self, hash: u64, group: Group) -> usize {
        if self.index.is_full() {
            let groups = self.groups.iter();
            let hashes = groups.map(|group| self::hash(self.seed, &group.merchant_id, group.currency));
            self.index.grow(hashes.zip(0..));
        }
        if let Some(text) = Held::of(&group.merchant_id) {
            self.texts.push(text);
        }
        let at = self.groups.push(group);
        self.index.insert(hash, at as u32);
        at
    }

    /// The refunds of a group, to be changed.
    fn refunds_mut(&mut self, group: usize) -> &mut Refunds {
        let known = self.groups.get(group).refunds_at();
        let at = known.unwrap_or_else(|| self.refunds.push(Refunds::NONE));
        // There are no more of them than groups, which 32 bits number.
        self.groups.get_mut(group).refunds = NonZeroU32::new(at as u32 + 1);
        self.refunds.get_mut(at)
    }

    fn totals(&self, group: &Group) -> Totals {
        group.totals(|at| *self.refunds.get(at))
    }

    /// Counts one more user of a group.
    #[inline]
    pub(super) fn count_user(&mut self, group: usize) {
        self.groups.get_mut(group).distinct_users += 1;
    }

    /// Merges what another partition adds to one group. Of distinct users, no more are counted than
    /// 32 bits can.
    pub(super) fn merge(&mut self, contribution: &Contribution) {
        let Contribution {
            merchant_id,
            currency,
            totals,
            distinct_users,
            ..
        } = contribution;
        let number = self.find_or_insert(merchant_id, *currency, totals.min_amount);
        let group = self.groups.get_mut(number);
        group.purchase_count += totals.purchase_count;
        group.purchase_sum += totals.purchase_sum;
        group.widen(totals.min_amount, totals.max_amount);
        let users = u32::try_from(*distinct_users).unwrap_or(u32::MAX);
        group.distinct_users = group.distinct_users.saturating_add(users);
        if totals.refund_count > 0 {
            let refunds = self.refunds_mut(number);
            refunds.count += totals.refund_count;
            refunds.sum += totals.refund_sum;
        }
    }

    /// To be called before a window that was sent is dropped: its merchants are in flight.
    pub(super) fn release(&self) {
        if !self.texts.is_empty() {
            texts::release(self.groups.iter().map(|group| &group.merchant_id));
        }
    }

    fn contribution(&self, group: &Group) -> Contribution {
        Contribution {
            merchant_id: group.merchant_id,
            currency: group.currency,
            window_start_ms: self.start_ms,
            window_end_ms: self.end_ms,
            totals: self.totals(group),
            distinct_users: u64::from(group.distinct_users),
        }
    }

    /// The groups by merchant and currency.
    pub(super) fn sorted(&self) -> impl Iterator<Item = Contribution> {
        sorted(self.groups.iter()).map(|group| self.contribution(group))
    }

    /// The groups with more transactions than `counts` has for them, by merchant and currency; then
    /// `counts` has as many as they. Groups after its end had none.
    pub(super) fn take_grown(&self, counts: &mut Vec<u64>) -> impl Iterator<Item = Contribution> {
        counts.resize(self.len(), 0);
        let grown = self.groups.iter().zip(counts).filter_map(|(group, count)| {
            let present = self.totals(group).count();
            (std::mem::replace(count, present) < present).then_some(group)
        });
        sorted(grown).map(|group| self.contribution(group))
    }

    /// The state of this moment: what is given appends it, in the order in which the groups were
    /// first seen.
    pub(super) fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<> {
        let (start_ms, end_ms) = (self.start_ms, self.end_ms);
        let (groups, refunds) = (self.groups.freeze(), self.refunds.freeze());
        let texts = self.texts.freeze();
        move |writer| {
            writer.i64(start_ms);
            writer.i64(end_ms);
            writer.count(groups.len());
            groups.for_each_page(|groups| {
                for group in groups {
                    put_group(writer, group, group.totals(|at| *refunds.get(at)));
                }
            });
            // Held until the last of them was written.
            drop(texts);
        }
    }

    /// Reads what [`Groups::freeze`] gave.
    pub(super) fn restore(reader: &mut StateReader<'_>, seed: HashSeed) -> Result<Self, RestoreError> {
        let at = reader.position();
        let (start_ms, end_ms) = (reader.i64()?, reader.i64()?);
        if start_ms >= end_ms {
            return Err(RestoreError::Invalid { what: "window", at });
        }
        let count = reader.count("groups", GROUP_LEN)?;
        let mut groups = Self::with_capacity(start_ms, end_ms, count, seed);
        for _ in 0..count {
            let at = reader.position();
            let (merchant_id, currency) = (reader.short_id("merchant")?, reader.currency()?);
            let Figures {
                totals,
                distinct_users,
            } = read_figures(reader)?;
            let before = groups.len();
            groups.merge(&Contribution {
                merchant_id,
                currency,
                window_start_ms: start_ms,
                window_end_ms: end_ms,
                totals,
                distinct_users,
            });
            if groups.len() == before {
                return Err(RestoreError::Invalid {
                    what: "group, a second time",
                    at,
                });
            }
        }
        Ok(groups)
    }
}

/// Groups by merchant and currency.
fn sorted<'a>(groups: impl Iterator<Item = &'a Group>) -> impl Iterator<Item = &'a Group> {
    // With the keys beside them: a comparison that looked into the groups would wait for memory.
    let mut groups: Vec<_> = groups.map(|group| (group.order(), group)).collect();
    groups.sort_unstable_by_key(|(order, _)| *order);
    groups.into_iter().map(|(_, group)| group)
}

fn put_group(writer: &mut StateWriter<'_>, group: &Group, totals: Totals) {
    writer.short_id(group.merchant_id);
    writer.currency(group.currency);
    let figures = Figures {
        totals,
        distinct_users: u64::from(group.distinct_users),
    };
    put_figures(&figures, writer);
}

/// What is added up for a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    pub(super) totals: Totals,
    pub(super) distinct_users: u64,
}

/// Appends a group's figures.
pub(super) fn put_figures(figures: &Figures, writer: &mut StateWriter<'_>) {
    writer.u64(figures.totals.purchase_count);
    writer.i128(figures.totals.purchase_sum.units());
    writer.u64(figures.totals.refund_count);
    writer.i128(figures.totals.refund_sum.units());
    writer.amount(figures.totals.min_amount);
    writer.amount(figures.totals.max_amount);
    writer.u64(figures.distinct_users);
}

/// Reads what [`put_figures`] wrote.
pub(super) fn read_figures(reader: &mut StateReader<'_>) -> Result<Figures, RestoreError> {
    Ok(Figures {
        totals: Totals {
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

#[inline]
fn hash(seed: HashSeed, merchant_id: &ShortId, currency: Currency) -> u64 {
    seed.hash_words(words(merchant_id, currency))
}

/// Merchant and currency in the words of a key.
#[inline]
pub(super) fn words(merchant_id: &ShortId, currency: Currency) -> (u64, u64) {
    let (low, high) = merchant_id.to_words();
    let [a, b, c] = *currency.as_bytes();
    let currency = u32::from_le_bytes([a, b, c, 0]);
    (low, u64::from(currency) << 32 | u64::from(high))
}
