//! The merchants and currencies of one window.

use millrace_domain::{Contribution, Currency, ShortId, Sum, Totals, Transaction};

use crate::RestoreError;
use crate::hash::{HashSeed, Key};
use crate::key_table::KeyTable;
use crate::snapshot::{StateReader, StateWriter};

/// What one window adds up to, for each merchant and currency.
#[derive(Debug, Clone)]
pub(super) struct Groups {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    seed: HashSeed,
    table: KeyTable<Contribution>,
}

/// Bytes of merchant and currency in a snapshot.
pub(super) const KEY_LEN: usize = 12 + 3;
/// Bytes of one group in a snapshot.
const GROUP_LEN: usize = KEY_LEN + 8 + 16 + 8 + 16 + 8 + 8 + 8;

impl Groups {
    /// An empty window with room for `capacity` groups.
    pub(super) fn with_capacity(start_ms: i64, end_ms: i64, capacity: usize, seed: HashSeed) -> Self {
        Self {
            start_ms,
            end_ms,
            seed,
            table: KeyTable::with_capacity(capacity, seed),
        }
    }

    /// Number of groups; their numbers are dense below it.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// A place that finding a transaction's group reads from: see [`crate::near`].
    #[inline]
    pub(super) fn line(&self, transaction: &Transaction) -> &u64 {
        let key = key(transaction.merchant_id, transaction.currency);
        self.table.index().first_line(self.seed.hash(&key))
    }

    /// The number that a transaction's group most probably has, and a place in it.
    #[inline]
    pub(super) fn guess(&self, transaction: &Transaction) -> Option<(usize, &u64)> {
        let key = key(transaction.merchant_id, transaction.currency);
        let group = self.table.index().guess(self.seed.hash(&key))? as usize;
        Some((group, &self.table.value(group).distinct_users))
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
        let (start_ms, end_ms) = (self.start_ms, self.end_ms);
        let key = key(merchant_id, currency);
        let (group, is_new) = self
            .table
            .find_or_insert(self.seed.hash(&key), key, || Contribution {
                merchant_id,
                currency,
                window_start_ms: start_ms,
                window_end_ms: end_ms,
                totals: Totals::of(transaction_type, amount),
                distinct_users: 0,
            });
        if !is_new {
            self.table.value_mut(group).totals.add(transaction_type, amount);
        }
        group
    }

    /// Counts one more user of a group.
    #[inline]
    pub(super) fn count_user(&mut self, group: usize) {
        self.table.value_mut(group).distinct_users += 1;
    }

    /// Merges what another partition adds to one group.
    pub(super) fn merge(&mut self, contribution: &Contribution) {
        let key = key(contribution.merchant_id, contribution.currency);
        let (group, is_new) = self
            .table
            .find_or_insert(self.seed.hash(&key), key, || *contribution);
        if !is_new {
            let merged = self.table.value_mut(group);
            merged.totals.merge(&contribution.totals);
            merged.distinct_users += contribution.distinct_users;
        }
    }

    /// The groups by merchant and currency.
    pub(super) fn sorted(&self) -> Vec<&Contribution> {
        sorted(self.table.values())
    }

    /// The groups with more transactions than `counts` has for them, by merchant and currency; then `counts` has as many
    /// as they. Groups after its end had none.
    pub(super) fn take_grown(&self, counts: &mut Vec<u64>) -> Vec<&Contribution> {
        counts.resize(self.len(), 0);
        let grown = self.table.values().zip(counts).filter_map(|(group, count)| {
            let present = group.totals.count();
            (std::mem::replace(count, present) < present).then_some(group)
        });
        sorted(grown)
    }

    /// The state of this moment: what is given appends it, in the order in which the groups were first seen.
    pub(super) fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<> {
        let (start_ms, end_ms) = (self.start_ms, self.end_ms);
        let groups = self.table.freeze().values;
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
            let group = Contribution {
                merchant_id,
                currency,
                window_start_ms: start_ms,
                window_end_ms: end_ms,
                totals,
                distinct_users,
            };
            let key = key(group.merchant_id, group.currency);
            if !groups.table.find_or_insert(seed.hash(&key), key, || group).1 {
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
fn sorted<'a>(groups: impl Iterator<Item = &'a Contribution>) -> Vec<&'a Contribution> {
    let mut groups: Vec<_> = groups.collect();
    groups.sort_unstable_by_key(|group| (group.merchant_id, group.currency));
    groups
}

fn put_group(writer: &mut StateWriter<'_>, group: &Contribution) {
    writer.short_id(group.merchant_id);
    writer.currency(group.currency);
    let &Contribution {
        totals,
        distinct_users,
        ..
    } = group;
    put_figures(
        &Figures {
            totals,
            distinct_users,
        },
        writer,
    );
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
