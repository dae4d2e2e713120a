//! The detector's rules of today, written in the language, fire for the same transactions.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use std::sync::Arc;

use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use millrace_engine::{Disposition, HashSeed, Operator};
use millrace_fraud::{DetectOperator, DetectSettings};
use millrace_rules::{Budget, Evaluator, TODAY, Version, parse_rules};
use proptest::prelude::*;

const CITIES: [&str; 7] = [
    "Berlin", "Munich", "London", "Sydney", "Atlantis", "OSAKA", "München",
];
const CURRENCIES: [&str; 3] = ["EUR", "JPY", "USD"];
const USERS: [&str; 3] = ["alice", "bob", "carol"];

/// User, gap, disorder, amount, currency, city, kind.
type Draft = (usize, i64, i64, f64, usize, usize, u8);

fn drafts(most_back_ms: i64) -> impl Strategy<Value = Vec<Draft>> {
    let gap_ms = prop_oneof![6 => 0_i64..3_000, 3 => 0_i64..30_000, 1 => 0_i64..7_200_000];
    let back_ms = prop_oneof![6 => Just(0_i64), 2 => 0..=most_back_ms];
    let euros = prop_oneof![6 => 15.0_f64..25.0, 1 => 1.0_f64..100.0, 1 => 100.0_f64..20_000.0];
    let currency = prop_oneof![8 => Just(0_usize), 2 => 0..CURRENCIES.len()];
    let city = prop_oneof![8 => Just(0_usize), 3 => 0..CITIES.len()];
    prop::collection::vec(
        (
            0..USERS.len(),
            gap_ms,
            back_ms,
            euros,
            currency,
            city,
            any::<u8>(),
        ),
        50..400,
    )
}

fn transactions(drafts: &[Draft]) -> Vec<Transaction> {
    let short = |text: &str| ShortId::new(text, "id").unwrap();
    let mut now_ms = 1_760_000_000_000;
    let made = drafts.iter().enumerate().map(|(number, draft)| {
        let &(user, gap_ms, back_ms, euros, currency, city, kind) = draft;
        now_ms += gap_ms;
        Transaction {
            transaction_id: TransactionId::from_bytes((number as u128 + 1).to_be_bytes()),
            user_id: short(USERS[user]),
            amount: Amount::from_units((euros * 10_000.0) as i64).unwrap(),
            transaction_time_ms: now_ms - back_ms,
            merchant_id: short("m-1"),
            transaction_type: TransactionType::ALL[usize::from(kind % 10 == 0)],
            location: short(CITIES[city]),
            payment_method: PaymentMethod::ALL[if kind % 4 == 1 {
                usize::from(kind / 4 % 3)
            } else {
                0
            }],
            is_international: false,
            currency: Currency::parse(CURRENCIES[currency].as_bytes()).unwrap(),
        }
    });
    made.collect()
}

/// The number of a transaction, and the rule that fired.
type Fired = Vec<(usize, String)>;

/// What each finds for one transaction after the other.
fn both(transactions: &[Transaction]) -> (Fired, Fired) {
    let mut operator = DetectOperator::new(&DetectSettings::default(), HashSeed::FIXED).unwrap();
    let rules = parse_rules(TODAY).unwrap();
    let version = Arc::new(Version::new(rules, &Budget::default()).unwrap());
    let mut evaluator = Evaluator::new(Arc::clone(&version), 7);
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for (at, transaction) in transactions.iter().enumerate() {
        let mut outputs = Vec::new();
        if operator.process(transaction, &mut outputs) != Disposition::Accepted {
            continue;
        }
        let mut fired = Vec::new();
        evaluator.process(transaction, &mut fired);
        theirs.extend(outputs.iter().map(|anomaly| (at, anomaly.rule.to_string())));
        ours.extend(
            fired
                .iter()
                .map(|fired| (at, version.rules()[fired.rule].name().to_owned())),
        );
    }
    theirs.sort();
    ours.sort();
    (theirs, ours)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn in_order_all_three_fire_for_the_same_transactions(drafts in drafts(0)) {
        let (theirs, ours) = both(&transactions(&drafts));
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn out_of_order_velocity_and_outlier_do_too(drafts in drafts(90_000)) {
        let (mut theirs, mut ours) = both(&transactions(&drafts));
        theirs.retain(|(_, rule)| rule != "impossible_travel");
        ours.retain(|(_, rule)| rule != "impossible_travel");
        prop_assert_eq!(ours, theirs);
    }
}

/// The streams above have something to find.
#[test]
fn each_rule_fires() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut found = std::collections::BTreeMap::new();
    for _ in 0..50 {
        let drafts = proptest::strategy::ValueTree::current(&drafts(0).new_tree(&mut runner).unwrap());
        for (_, rule) in both(&transactions(&drafts)).1 {
            *found.entry(rule).or_insert(0) += 1;
        }
    }
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.values().all(|times| *times > 10), "{found:?}");
}
