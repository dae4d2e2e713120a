//! Ids that do not fit into twelve bytes, where the process has forgotten their texts but for those
//! that it needs.
//!
//! One test in a process of its own: the texts are the process's, and a test beside it would keep
//! what it makes.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod support;

use std::panic;
use std::sync::atomic::{AtomicU32, Ordering};

use millrace_domain::texts::{self, InFlight};
use millrace_domain::{ShortId, Transaction};
use millrace_engine::windowed::{MergePolicy, PartialPolicy, Totals as _, records};
use millrace_engine::{Disposition, HashSeed, Operator};
use millrace_payments::{MerchantOutput, MergeAggregate, PartialAggregate};
use support::{MerchantResult, short_id, transaction};

const MERCHANTS: [&str; 4] = [
    "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11",
    "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a12",
    "123456789012345",
    "m-1",
];

/// Two collections are due before so many have come.
const COMING: u32 = 140_000;

fn policy() -> PartialPolicy {
    PartialPolicy::new(10_000, 0, 0).unwrap()
}

fn stage_1() -> PartialAggregate {
    support::stage_1(policy(), HashSeed::FIXED)
}

fn stage_2() -> MergeAggregate {
    support::stage_2(MergePolicy::new(1, 0).unwrap(), HashSeed::FIXED)
}

/// Two users of each merchant, in one window; their UUIDs differ in the last digit.
fn transactions() -> Vec<Transaction> {
    let merchants = MERCHANTS.iter().enumerate();
    merchants
        .flat_map(|(at, merchant)| {
            (0..4_u64).map(move |number| {
                let user = format!("01890a5d-ac96-774b-bcce-b302099a805{}", number % 2);
                let mut record = transaction(at as u64 * 4 + number, &user, 0, 0, 101, 1_000);
                record.merchant_id = short_id(merchant);
                record
            })
        })
        .collect()
}

/// So many users come but once that whatever nobody holds is forgotten.
fn forget() {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = NEXT.fetch_add(COMING, Ordering::Relaxed);
    for number in first..first + COMING {
        let _round = InFlight::begin();
        assert!(short_id(&format!("a user who comes but once, {number}")).is_long());
    }
    assert!(texts::count() <= 150_000, "{} texts", texts::count());
}

fn is_forgotten(id: ShortId) -> bool {
    panic::catch_unwind(|| id.text().as_str().to_owned()).is_err()
}

/// The name, the count and the distinct users of what the second stage makes of the first one's
/// outputs.
fn shown(outputs: &[MerchantResult]) -> Vec<(String, u64, u64)> {
    let mut shown: Vec<_> = outputs
        .iter()
        .map(|out| {
            (
                out.key.merchant_id.to_string(),
                out.totals.count(),
                out.totals.distinct_users,
            )
        })
        .collect();
    shown.sort();
    shown
}

fn expected() -> Vec<(String, u64, u64)> {
    let mut expected: Vec<_> = MERCHANTS.iter().map(|name| ((*name).to_owned(), 4, 2)).collect();
    expected.sort();
    expected
}

fn snapshot(operator: &mut impl Operator) -> Vec<u8> {
    let mut state = Vec::new();
    operator.snapshot(&mut state);
    state
}

#[test]
fn texts_come_back_from_states_and_go_with_the_last_window_that_has_them() {
    let (mut first, surrogates) = {
        let _round = InFlight::begin();
        let mut first = stage_1();
        for record in transactions() {
            assert_eq!(first.process(&record, &mut Vec::new()), Disposition::Accepted);
        }
        let ids = transactions()
            .into_iter()
            .flat_map(|record| [record.user_id, record.merchant_id]);
        let long: Vec<_> = ids.filter(ShortId::is_long).collect();
        (first, long)
    };
    let (user, merchant) = (surrogates[0], surrogates[1]);

    // The window holds its merchants; a user's text is asked for by nobody.
    forget();
    assert_eq!(merchant.to_string(), MERCHANTS[0]);
    assert!(is_forgotten(user));
    let frozen = first.freeze();
    let state = snapshot(&mut first);
    drop(first);
    forget();
    let mut later = Vec::new();
    frozen.write(&mut later);
    assert!(later == state, "a frozen state holds what it needs");
    forget();
    assert!(is_forgotten(merchant));

    // Another process, as far as texts go: they come back from the state, through both stages.
    let mut restored = stage_1();
    restored.restore(&state).unwrap();
    forget();
    assert!(snapshot(&mut restored) == state);
    let mut second = stage_2();
    {
        let _round = InFlight::begin();
        for record in transactions() {
            assert_eq!(restored.process(&record, &mut Vec::new()), Disposition::Duplicate);
        }
        let mut outputs: Vec<MerchantOutput> = Vec::new();
        restored.advance(20_000, &mut outputs);
        for record in records(0, &outputs) {
            if record.key().is_some() {
                assert_eq!(second.process(&record, &mut Vec::new()), Disposition::Accepted);
            }
        }
    }
    drop(restored);
    forget();
    let state = snapshot(&mut second);
    drop(second);
    forget();
    assert!(is_forgotten(merchant));
    let mut restored = stage_2();
    restored.restore(&state).unwrap();
    forget();
    {
        let _round = InFlight::begin();
        let mut results = Vec::new();
        restored.advance(20_000, &mut results);
        // The window is gone, and its results are in flight.
        assert_eq!(shown(&results), expected());
    }
    forget();
    assert!(is_forgotten(merchant));
}
