//! The merchants and currencies of one window.

use millrace_domain::{Amount, Contribution, Currency, ShortId, Sum, Totals, Transaction, TransactionType};

use crate::RestoreError;
use crate::hash::{HashSeed, Key};
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
    groups: Pages<Group, { 64 * 1024 }>,
    index: Index,
}

/// Bytes of merchant and currency in a snapshot.
pub(super) const KEY_LEN: usize = 12 + 3;
/// Bytes of one group in a snapshot.
const GROUP_LEN: usize = KEY_LEN + 8 + 16 + 8 + 16 + 8 + 8 + 8;

/// One merchant and currency. All that a purchase looks at and changes, the key included, is in the first of its two
/// cache lines: a record waits for one of them, not for a key here and figures there.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Group {
    key: Key,
    distinct_users: u64,
    purchase_count: u64,
    purchase_sum: Sum,
    min_amount: Amount,
    max_amount: Amount,
    // The second line.
    refund_sum: Sum,
    refund_count: u64,
    merchant_id: ShortId,
    currency: Currency,
}

const _: () = assert!(size_of::<Group>() == 128 && std::mem::offset_of!(Group, refund_sum) == 64);

impl Group {
    fn new(merchant_id: ShortId, currency: Currency, totals: Totals, distinct_users: u64) -> Self {
        Self {
            key: key(merchant_id, currency),
            distinct_users,
            purchase_count: totals.purchase_count,
            purchase_sum: totals.purchase_sum,
            min_amount: totals.min_amount,
            max_amount: totals.max_amount,
            refund_sum: totals.refund_sum,
            refund_count: totals.refund_count,
            merchant_id,
            currency,
        }
    }

    /// As [`Totals::add`], in place.
    #[inline]
    fn add(&mut self, transaction_type: TransactionType, amount: Amount) {
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

    fn totals(&self) -> Totals {
        Totals {
            purchase_count: self.purchase_count,
            purchase_sum: self.purchase_sum,
            refund_count: self.refund_count,
            refund_sum: self.refund_sum,
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
        self.seed
            .hash(&key(transaction.merchant_id, transaction.currency))
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
        Some((group, &self.groups.get(group).distinct_users))
    }

    /// Adds a transaction to its group, and gives the group's number. Distinct users are the caller's to count.
    #[inline]
    pub(super) fn add(&mut self, transaction: &Transaction) -> usize {
        let &Transaction {
            merchant_id,
            currency,
            transaction_type,
            amount,
            ..
        } = transaction;
        let hash = self.hash(transaction);
        match self.find(hash, &key(merchant_id, currency)) {
            Some(group) => {
                self.groups.get_mut(group).add(transaction_type, amount);
                group
            }
            None => {
                let totals = Totals::of(transaction_type, amount);
                self.insert(hash, Group::new(merchant_id, currency, totals, 0))
            }
        }
    }

    #[inline]
    fn find(&self, hash: u64, key: &Key) -> Option<usize> {
        let groups = &self.groups;
        self.index
            .find(hash, |at| groups.get(at as usize).key == *key)
            .map(|at| at as usize)
    }

    /// Adds a group that is not there; its number.
    fn insert(&mut self, hash: u64, group: Group) -> usize {
        if self.index.is_full() {
            let hashes = self.groups.iter().map(|group| self.seed.hash(&group.key));
            self.index.grow(hashes.zip(0..));
        }
        let at = self.groups.push(group);
        self.index.insert(hash, at as u32);
        at
    }

    /// Counts one more user of a group.
    #[inline]
    pub(super) fn count_user(&mut self, group: usize) {
        self.groups.get_mut(group).distinct_users += 1;
    }

    /// Merges what another partition adds to one group.
    pub(super) fn merge(&mut self, contribution: &Contribution) {
        let &Contribution {
            merchant_id,
            currency,
            totals,
            distinct_users,
            ..
        } = contribution;
        let key = key(merchant_id, currency);
        let hash = self.seed.hash(&key);
        let Some(group) = self.find(hash, &key) else {
            self.insert(hash, Group::new(merchant_id, currency, totals, distinct_users));
            return;
        };
        let merged = self.groups.get_mut(group);
        let mut sum = merged.totals();
        sum.merge(&totals);
        *merged = Group::new(merchant_id, currency, sum, merged.distinct_users + distinct_users);
    }

    fn contribution(&self, group: &Group) -> Contribution {
        Contribution {
            merchant_id: group.merchant_id,
            currency: group.currency,
            window_start_ms: self.start_ms,
            window_end_ms: self.end_ms,
            totals: group.totals(),
            distinct_users: group.distinct_users,
        }
    }

    /// The groups by merchant and currency.
    pub(super) fn sorted(&self) -> impl Iterator<Item = Contribution> {
        sorted(self.groups.iter()).map(|group| self.contribution(group))
    }

    /// The groups with more transactions than `counts` has for them, by merchant and currency; then `counts` has as many
    /// as they. Groups after its end had none.
    pub(super) fn take_grown(&self, counts: &mut Vec<u64>) -> impl Iterator<Item = Contribution> {
        counts.resize(self.len(), 0);
        let grown = self.groups.iter().zip(counts).filter_map(|(group, count)| {
            let present = group.purchase_count + group.refund_count;
            (std::mem::replace(count, present) < present).then_some(group)
        });
        sorted(grown).map(|group| self.contribution(group))
    }

    /// The state of this moment: what is given appends it, in the order in which the groups were first seen.
    pub(super) fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<> {
        let (start_ms, end_ms) = (self.start_ms, self.end_ms);
        let groups = self.groups.freeze();
        move |writer| {
            writer.i64(start_ms);
            writer.i64(end_ms);
            writer.count(groups.len());
            groups.for_each_page(|groups| groups.iter().for_each(|group| put_group(writer, group)));
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
            let group = Group::new(merchant_id, currency, totals, distinct_users);
            let hash = seed.hash(&group.key);
            if groups.find(hash, &group.key).is_some() {
                return Err(RestoreError::Invalid {
                    what: "group, a second time",
                    at,
                });
            }
            groups.insert(hash, group);
        }
        Ok(groups)
    }
}

/// Groups by merchant and currency.
fn sorted<'a>(groups: impl Iterator<Item = &'a Group>) -> impl Iterator<Item = &'a Group> {
    let mut groups: Vec<_> = groups.collect();
    groups.sort_unstable_by_key(|group| (group.merchant_id, group.currency));
    groups.into_iter()
}

fn put_group(writer: &mut StateWriter<'_>, group: &Group) {
    writer.short_id(group.merchant_id);
    writer.currency(group.currency);
    let figures = Figures {
        totals: group.totals(),
        distinct_users: group.distinct_users,
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

/// Merchant and currency in one key.
#[inline]
pub(super) fn key(merchant_id: ShortId, currency: Currency) -> Key {
    let mut key = [0; 16];
    key[..12].copy_from_slice(&merchant_id.to_padded());
    key[12..15].copy_from_slice(currency.as_bytes());
    key
}
