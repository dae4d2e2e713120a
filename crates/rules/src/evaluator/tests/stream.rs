//! Random streams with disorder, duplicates and several currencies.

use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use proptest::prelude::*;

pub(super) const START_MS: i64 = 1_760_000_000_000;

#[derive(Debug, Clone)]
pub(super) enum Step {
    New(Draft),
    /// One of the last again.
    Copy(usize),
}

#[derive(Debug, Clone)]
pub(super) struct Draft {
    user: usize,
    merchant: usize,
    after_ms: i64,
    back_ms: i64,
    units: i64,
    currency: usize,
    city: usize,
    flags: u8,
}

const CURRENCIES: [&str; 4] = ["EUR", "USD", "JPY", "SEK"];
const CITIES: [&str; 5] = ["Berlin", "London", "Sydney", "Atlantis", "berlin "];

fn draft() -> impl Strategy<Value = Step> {
    let after_ms = prop_oneof![
        6 => 0_i64..5_000,
        3 => 0_i64..60_000,
        2 => 0_i64..3_600_000,
        1 => 0_i64..200_000_000
    ];
    let back_ms = prop_oneof![6 => Just(0_i64), 2 => 0_i64..5_000, 1 => 0_i64..4_000_000];
    let units = prop_oneof![4 => 150_000_i64..250_000, 2 => 1_i64..50_000_000];
    let currency = prop_oneof![4 => Just(0_usize), 1 => 0..CURRENCIES.len()];
    (
        0..2_usize,
        0..5_usize,
        after_ms,
        back_ms,
        units,
        currency,
        0..CITIES.len(),
        any::<u8>(),
    )
        .prop_map(
            |(user, merchant, after_ms, back_ms, units, currency, city, flags)| {
                Step::New(Draft {
                    user,
                    merchant,
                    after_ms,
                    back_ms,
                    units,
                    currency,
                    city,
                    flags,
                })
            },
        )
}

pub(super) fn stream(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![20 => draft(), 1 => (0_usize..10).prop_map(Step::Copy)];
    prop::collection::vec(step, 0..most)
}

pub(super) fn transactions(steps: &[Step]) -> Vec<Transaction> {
    let mut now_ms = 0;
    let mut sent: Vec<Transaction> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Copy(back) => {
                let copy = sent.len().checked_sub(back + 1).map(|at| sent[at]);
                sent.extend(copy);
            }
            Step::New(draft) => {
                now_ms += draft.after_ms;
                sent.push(Transaction {
                    user_id: short(["alice", "bob"][draft.user]),
                    merchant_id: short(&format!("m-{}", draft.merchant)),
                    amount: Amount::from_units(draft.units).unwrap(),
                    currency: Currency::parse(CURRENCIES[draft.currency].as_bytes()).unwrap(),
                    location: short(CITIES[draft.city]),
                    transaction_type: TransactionType::ALL[usize::from(draft.flags % 8 == 0)],
                    payment_method: PaymentMethod::ALL[usize::from(draft.flags / 8 % 3)],
                    is_international: draft.flags & 128 != 0,
                    ..purchase(number as u128, now_ms - draft.back_ms)
                });
            }
        }
    }
    sent
}

pub(super) fn short(text: &str) -> ShortId {
    ShortId::new(text, "id").unwrap()
}

/// 20 euros in Berlin, by card.
pub(super) fn purchase(number: u128, after_ms: i64) -> Transaction {
    Transaction {
        transaction_id: TransactionId::from_bytes(number.to_be_bytes()),
        user_id: short("alice"),
        amount: Amount::from_units(200_000).unwrap(),
        transaction_time_ms: START_MS + after_ms,
        merchant_id: short("m-1"),
        transaction_type: TransactionType::Purchase,
        location: short("Berlin"),
        payment_method: PaymentMethod::CreditCard,
        is_international: false,
        currency: Currency::parse(b"EUR").unwrap(),
    }
}

pub(super) fn of_user(number: u128, user: &str) -> Transaction {
    Transaction {
        user_id: short(user),
        ..purchase(number, number as i64)
    }
}
