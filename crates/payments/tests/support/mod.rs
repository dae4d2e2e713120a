//! What the engine's tests share: transactions, a small random generator, and the naive oracle.
#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod golden;
pub(crate) mod naive;
pub(crate) mod schedules;
pub(crate) mod stream;

use std::collections::{BTreeMap, BTreeSet};

use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Totals, Transaction, TransactionId, TransactionType,
};
use millrace_engine::windowed::{FINAL, MergePolicy, PartialPolicy};
use millrace_engine::{Disposition, HashSeed, Operator};
use millrace_payments::{
    MerchantKey, MerchantOutput, MerchantTotals, MergeAggregate, PartialAggregate, PerMerchant,
};

/// What stage 2 takes.
pub(crate) type Record = millrace_engine::windowed::Record<MerchantKey, MerchantTotals>;
/// What a source adds to a group.
pub(crate) type Contribution = millrace_engine::windowed::Contribution<MerchantKey, MerchantTotals>;
pub(crate) use millrace_payments::MerchantResult;

pub(crate) fn stage_1(policy: PartialPolicy, seed: HashSeed) -> PartialAggregate {
    PartialAggregate::new(PerMerchant, policy, seed)
}

pub(crate) fn stage_2(policy: MergePolicy, seed: HashSeed) -> MergeAggregate {
    MergeAggregate::new(PerMerchant, policy, seed)
}

/// One event of a partition, in its order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    Record(Transaction),
    Advance(i64),
    Configure(Times),
}

/// Gives stage 1 an event. Early results stay as they are.
pub(crate) fn feed(
    operator: &mut PartialAggregate,
    event: &Event,
    outputs: &mut Vec<MerchantOutput>,
) -> Option<Disposition> {
    match event {
        Event::Record(record) => return Some(operator.process(record, outputs)),
        Event::Advance(to_ms) => operator.advance(*to_ms, outputs),
        Event::Configure(times) => {
            let policy = times.policy().with_early(operator.policy().early());
            operator.configure(&policy, outputs);
        }
    }
    None
}

/// Window, allowed lateness and allowed disorder, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) window: i64,
    pub(crate) lateness: i64,
    pub(crate) disorder: i64,
}

impl Times {
    pub(crate) fn policy(self) -> PartialPolicy {
        PartialPolicy::new(self.window, self.lateness, self.disorder).unwrap()
    }
}

pub(crate) fn short_id(text: &str) -> ShortId {
    ShortId::new(text, "test").unwrap()
}

/// A transaction with what the aggregates depend on.
pub(crate) fn transaction(
    id: u64,
    user: &str,
    merchant: u64,
    currency: u64,
    units: i64,
    time_ms: i64,
) -> Transaction {
    Transaction {
        transaction_id: TransactionId::from_bytes(u128::from(id).to_be_bytes()),
        user_id: short_id(user),
        amount: Amount::from_units(units).unwrap(),
        transaction_time_ms: time_ms,
        merchant_id: short_id(&format!("m-{merchant}")),
        transaction_type: TransactionType::ALL[usize::from(units % 5 == 0)],
        location: short_id("Berlin"),
        payment_method: PaymentMethod::Paypal,
        is_international: false,
        currency: Currency::parse([b"EUR", b"USD", b"CHF"][currency as usize % 3]).unwrap(),
    }
}

pub(crate) fn window_start(times: Times, time_ms: i64) -> i64 {
    time_ms.div_euclid(times.window) * times.window
}

/// The final aggregates of transactions whose windows are closed by `watermark_ms`, by window,
/// merchant and currency.
pub(crate) fn naive_aggregates(
    times: Times,
    watermark_ms: i64,
    accepted: impl IntoIterator<Item = Transaction>,
) -> Vec<MerchantResult> {
    let mut groups: BTreeMap<_, (Totals, BTreeSet<ShortId>)> = BTreeMap::new();
    for record in accepted {
        let start_ms = window_start(times, record.transaction_time_ms);
        if start_ms + times.window + times.lateness > watermark_ms {
            continue;
        }
        let add = (record.transaction_type, record.amount);
        groups
            .entry((start_ms, record.merchant_id, record.currency))
            .and_modify(|(totals, _)| totals.add(add.0, add.1))
            .or_insert_with(|| (Totals::of(add.0, add.1), BTreeSet::new()))
            .1
            .insert(record.user_id);
    }
    groups
        .into_iter()
        .map(
            |((window_start_ms, merchant_id, currency), (sums, users))| MerchantResult {
                key: MerchantKey {
                    merchant_id,
                    currency,
                },
                window_start_ms,
                window_end_ms: window_start_ms + times.window,
                totals: MerchantTotals {
                    sums,
                    distinct_users: users.len() as u64,
                },
                revision: FINAL,
            },
        )
        .collect()
}

/// Which of `partitions` a merchant's partials go to; any fixed function does.
pub(crate) fn partition_of(merchant_id: ShortId, partitions: usize) -> usize {
    merchant_id
        .text()
        .as_bytes()
        .iter()
        .map(|&byte| usize::from(byte))
        .sum::<usize>()
        % partitions
}

/// SplitMix64: small, and the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// True once in `times`.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}
