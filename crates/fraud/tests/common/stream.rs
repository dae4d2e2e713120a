//! Random streams in which every rule has something to find.

use millrace_domain::{Amount, PaymentMethod, Transaction, TransactionType};
use proptest::prelude::*;

use super::{currency, purchase, short};

/// What comes next, relative to what came before.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A transaction.
    New(Draft),
    /// One of the last transactions again.
    Copy(usize),
    /// One of the last again, with another amount, maybe for the second time.
    Changed(usize, i64),
    /// Event time goes on.
    Pause(i64),
}

/// A transaction to be.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    user: usize,
    after_ms: i64,
    back_ms: i64,
    euros: f64,
    currency: usize,
    city: usize,
    is_refund: bool,
    method: usize,
}

const USERS: [&str; 3] = ["alice", "bob", "carol"];
/// Of the generator's world, of GeoNames alone, spelled otherwise, and of no world.
const CITIES: [&str; 10] = [
    "Berlin", "Munich", "London", "Sydney", "Atlantis", "Vienna", "OSAKA", "München", "sydney ", "Lyon",
];
const CURRENCIES: [(&str, f64); 5] = [
    ("EUR", 1.0),
    ("JPY", 160.0),
    ("USD", 1.1),
    ("SEK", 11.0),
    ("KRW", 1_500.0),
];

fn draft() -> impl Strategy<Value = Step> {
    let after_ms = prop_oneof![4 => 0_i64..5_000, 2 => 0_i64..30_000, 1 => 0_i64..3_600_000];
    let back_ms = prop_oneof![6 => Just(0_i64), 2 => 0_i64..5_000, 1 => 0_i64..200_000];
    let euros = prop_oneof![6 => 15.0_f64..25.0, 2 => 1.0_f64..100.0, 1 => 100.0_f64..2_000.0];
    let currency = prop_oneof![8 => Just(0_usize), 3 => 0..CURRENCIES.len()];
    let city = prop_oneof![8 => Just(0_usize), 3 => 0..CITIES.len()];
    let is_refund = prop::bool::weighted(0.1);
    let method = prop_oneof![4 => Just(0_usize), 1 => 0..PaymentMethod::ALL.len()];
    (
        0..USERS.len(),
        after_ms,
        back_ms,
        euros,
        currency,
        city,
        is_refund,
        method,
    )
        .prop_map(
            |(user, after_ms, back_ms, euros, currency, city, is_refund, method)| {
                Step::New(Draft {
                    user,
                    after_ms,
                    back_ms,
                    euros,
                    currency,
                    city,
                    is_refund,
                    method,
                })
            },
        )
}

/// Up to `most` steps.
pub(crate) fn stream(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        60 => draft(),
        3 => (0_usize..20).prop_map(Step::Copy),
        3 => (0_usize..20, 1_i64..3).prop_map(|(back, units)| Step::Changed(back, units)),
        1 => prop_oneof![0_i64..7_200_000, 70_000_000_i64..100_000_000].prop_map(Step::Pause),
    ];
    prop::collection::vec(step, 0..most)
}

/// The transactions of a stream.
pub(crate) fn transactions(steps: &[Step]) -> Vec<Transaction> {
    let mut now_ms = 1_000_000;
    let mut sent: Vec<Transaction> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let earlier = |back: usize| sent.len().checked_sub(back + 1).map(|at| sent[at]);
        let transaction = match step {
            Step::New(draft) => {
                now_ms += draft.after_ms;
                Some(draft.transaction(number, now_ms))
            }
            Step::Copy(back) => earlier(*back),
            Step::Changed(back, units) => earlier(*back).map(|earlier| Transaction {
                amount: Amount::from_units(earlier.amount.units() + units).unwrap(),
                ..earlier
            }),
            Step::Pause(pause_ms) => {
                now_ms += pause_ms;
                None
            }
        };
        sent.extend(transaction);
    }
    sent
}

impl Draft {
    fn transaction(&self, number: usize, now_ms: i64) -> Transaction {
        let (code, per_euro) = CURRENCIES[self.currency];
        let units = (self.euros * per_euro * 10_000.0) as i64;
        Transaction {
            amount: Amount::from_units(units).unwrap(),
            currency: currency(code),
            location: short(CITIES[self.city]),
            payment_method: PaymentMethod::ALL[self.method],
            transaction_type: if self.is_refund {
                TransactionType::Refund
            } else {
                TransactionType::Purchase
            },
            ..purchase(id_number(number), USERS[self.user], now_ms - self.back_ms)
        }
    }
}

/// Ids whose order says nothing about the stream's.
fn id_number(number: usize) -> u128 {
    (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}
