//! Random rule sets over random streams, with disorder, duplicates and several currencies, against
//! an oracle that keeps every record.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod bounded;
mod lists;
mod oracle;
mod rules;
mod stream;
mod trace;

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use self::oracle::Oracle;
use super::Evaluator;
use crate::cost::Budget;
use crate::file::{Rule, parse_rules};
use crate::program::Program;
use crate::version::Version;

const FREE: Budget = Budget {
    bytes_a_user: f64::INFINITY,
    ns_a_record: f64::INFINITY,
};

fn version(text: &str) -> Arc<Version> {
    let rules = parse_rules(text).unwrap_or_else(|problems| panic!("{}", problems[0].line(text, text)));
    Arc::new(Version::new(rules, &FREE).unwrap())
}

fn is_same(one: f64, other: f64) -> bool {
    (one.is_nan() && other.is_nan()) || (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0)
}

fn agrees(text: &str, steps: &[stream::Step], restores: &[bool]) -> Result<u64, TestCaseError> {
    let version = version(text);
    let mut evaluator = Evaluator::new(Arc::clone(&version), 7);
    let mut oracle = Oracle::new(version.rules());
    for (transaction, restore) in stream::transactions(steps).iter().zip(restores.iter().cycle()) {
        let mut fired = Vec::new();
        evaluator.process(transaction, &mut fired);
        oracle.learn(transaction);
        for (slot, (name, found)) in version.plan().slots.iter().zip(evaluator.features(transaction)) {
            prop_assert_eq!(&slot.text, name);
            let Some(expected) = oracle.feature(name) else {
                continue;
            };
            prop_assert!(is_same(found, expected), "{}: {} for {}", name, found, expected);
        }
        let found: Vec<_> = fired.iter().map(|fired| fired.rule).collect();
        prop_assert_eq!(found, oracle.judge(), "{}", text);
        if *restore {
            let (mut bytes, mut again) = (Vec::new(), Vec::new());
            evaluator.encode(&mut bytes);
            let (mut restored, anew) = Evaluator::decode(Arc::clone(&version), 8, &bytes).unwrap();
            prop_assert!(anew.is_empty(), "{:?}", anew);
            restored.encode(&mut again);
            prop_assert_eq!(&bytes, &again);
            evaluator = restored;
        }
    }
    Ok(oracle.fired())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn every_feature_and_every_rule_is_what_the_whole_history_shows(
        text in rules::file(),
        steps in stream::stream(120),
        restores in prop::collection::vec(prop::bool::weighted(0.05), 1..40),
    ) {
        agrees(&text, &steps, &restores)?;
    }

    /// A state that was frozen stays as it was, whatever is processed before it is written; and a
    /// change of version in place gives what the other version reads from the state's bytes.
    #[test]
    fn a_frozen_state_stays_and_a_change_in_place_is_one_of_its_bytes(
        (one, other) in (rules::file(), rules::file()),
        steps in stream::stream(120),
        at in any::<prop::sample::Index>(),
    ) {
        let (one, other) = (version(&one), version(&other));
        let transactions = stream::transactions(&steps);
        let (before, after) = transactions.split_at(at.index(transactions.len() + 1));
        let mut evaluator = Evaluator::new(one, 7);
        for transaction in before {
            evaluator.advance(transaction.transaction_time_ms - 90_000_000);
            evaluator.process(transaction, &mut Vec::new());
        }
        let (mut bytes, mut late) = (Vec::new(), Vec::new());
        evaluator.encode(&mut bytes);
        let frozen = evaluator.freeze();
        let mut changed = evaluator.clone();
        let anew_in_place = changed.change(&other);
        let (mut read, anew) = Evaluator::decode(other, 9, &bytes).unwrap();
        let sorted = |mut texts: Vec<String>| { texts.sort(); texts };
        prop_assert_eq!(sorted(anew_in_place), sorted(anew));
        for transaction in after {
            evaluator.process(transaction, &mut Vec::new());
            let (mut of_changed, mut of_read) = (Vec::new(), Vec::new());
            changed.process(transaction, &mut of_changed);
            read.process(transaction, &mut of_read);
            prop_assert_eq!(of_changed, of_read);
        }
        frozen.write(|part| late.extend_from_slice(part));
        prop_assert_eq!(late, bytes);
        let (mut of_changed, mut of_read) = (Vec::new(), Vec::new());
        changed.encode(&mut of_changed);
        read.encode(&mut of_read);
        prop_assert_eq!(of_changed, of_read);
    }

    /// The same rules in another order, and written otherwise, are the same version.
    #[test]
    fn the_hash_is_that_of_the_meaning(text in rules::file()) {
        let rules = parse_rules(&text).unwrap();
        let reversed: Vec<Rule> = rules.iter().rev().cloned().collect();
        let hash = Version::new(rules, &FREE).unwrap().hash();
        prop_assert_eq!(Version::new(reversed, &FREE).unwrap().hash(), hash);
        let spread = text.replace(" and ", "  &&  ").replace('(', "( ");
        prop_assert_eq!(version(&spread).hash(), hash);
    }

    /// Any bytes give a state or an error.
    #[test]
    fn no_bytes_of_a_state_panic(
        steps in stream::stream(30),
        at in any::<prop::sample::Index>(),
        byte: u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let version = version(EVERYTHING);
        let mut evaluator = Evaluator::new(Arc::clone(&version), 7);
        for transaction in stream::transactions(&steps) {
            evaluator.process(&transaction, &mut Vec::new());
        }
        let mut bytes = Vec::new();
        evaluator.encode(&mut bytes);
        let cut = cut.index(bytes.len());
        prop_assert!(Evaluator::decode(Arc::clone(&version), 7, &bytes[..cut]).is_err());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok((mut evaluator, _)) = Evaluator::decode(version, 7, &bytes) {
            for transaction in stream::transactions(&steps) {
                evaluator.process(&transaction, &mut Vec::new());
            }
        }
    }
}

/// A rule that asks for every kind of state.
const EVERYTHING: &str = "rules:
  - name: everything
    when: >-
      count(\"10m\") > 1 and sum(\"1h\", amount) > usual and distinct(\"24h\", merchant) > 1
      or first_seen(\"7d\", location) and streak(international) > 1
      or since_last() < 10s and zscore(\"1h\", amount) > 1
      or distance_km(place(location), last(place(location))) > 100
    severity: low
    quiet: 1m
    reason: all
    mode: live
";

fn one_rule(when: &str, mode: &str) -> String {
    format!("rules:\n  - name: a\n    when: '{when}'\n    severity: low\n    reason: r\n    mode: {mode}\n")
}

#[test]
fn equal_features_are_computed_once_and_windows_share_a_state() {
    let text = one_rule(
        "count(\"10m\") > 3 and count(\"10m\").by(user) > 4 and count(\"1h\") > 5 and sum(\"1h\", amount) > usual and zscore(log(amount), type == \"purchase\") > 3",
        "live",
    );
    let version = version(&text);
    let slots: Vec<_> = version.features().collect();
    assert_eq!(slots.len(), 5, "{slots:?}");
    // The counts share one, the sum has one, and `usual` and the score share the habit.
    assert_eq!(version.plan().measures.len(), 3);
    assert_eq!(version.plan().measures[0].longest_ms, 3_600_000);
}

#[test]
fn what_no_rule_asks_for_is_not_kept() {
    let when = "count(\"10m\") > 3";
    assert_eq!(version(&one_rule(when, "draft")).features().count(), 0);
    assert_eq!(version(&one_rule(when, "paused")).features().count(), 1);
    assert!(version(&one_rule(when, "paused")).plan().steps.is_empty());
}

#[test]
fn guards_are_looked_at_before_features() {
    let text = one_rule(
        "count(\"10m\") > 3 and amount > 100 EUR and type == \"purchase\"",
        "live",
    );
    let version = version(&text);
    let ranks: Vec<_> = version.plan().steps[0]
        .conditions
        .iter()
        .map(|program| program.rank().0)
        .collect();
    assert_eq!(ranks, [0, 0, 1]);
}

/// A look into a list is one of the guards, after those that cost less, and its price is known.
#[test]
fn a_list_is_looked_into_before_features_and_after_a_comparison() {
    let when = "count(\"10m\") > 3 and listed(\"deny\", user) and amount > 100 EUR";
    let version = version(&one_rule(when, "live"));
    let conditions = &version.plan().steps[0].conditions;
    let ranks: Vec<_> = conditions.iter().map(Program::rank).collect();
    assert_eq!(ranks, [(0, 3), (0, 8), (1, 3)]);
    let without = when.replace(" and listed(\"deny\", user)", "");
    let more = version.cost().ns_a_record - self::version(&one_rule(&without, "live")).cost().ns_a_record;
    assert_eq!(more, 16.0);
}

#[test]
fn a_version_over_budget_is_refused_with_the_three_dearest_features() {
    let when = "count(\"30d\") > 3 and distinct(\"30d\", merchant) > 3 and sum(\"7d\", amount) > usual and count(\"1m\").by(user, merchant) > 3";
    let rules = parse_rules(&one_rule(when, "live")).unwrap();
    let budget = Budget {
        bytes_a_user: 400.0,
        ns_a_record: 1_000.0,
    };
    let error = Version::new(rules, &budget).unwrap_err().to_string();
    insta::assert_snapshot!("over_budget", error);
}

#[test]
fn money_of_another_currency_is_unknown_and_counted() {
    let version = version(&one_rule("amount > 1 JPY", "live"));
    let mut evaluator = Evaluator::new(version, 7);
    let mut fired = Vec::new();
    evaluator.process(&stream::purchase(1, 0), &mut fired);
    assert!(fired.is_empty());
    assert_eq!(evaluator.tallies()[0].unknown, 1);
}

#[test]
fn a_share_is_of_users_and_shadow_tells_nobody() {
    let count = |mode: &str| {
        let mut evaluator = Evaluator::new(version(&one_rule("amount > 1 EUR", mode)), 7);
        let mut fired = Vec::new();
        for number in 0..2_000 {
            evaluator.process(&stream::of_user(number, &format!("u-{number}")), &mut fired);
        }
        (fired.len(), fired.iter().filter(|fired| fired.alerts).count())
    };
    assert_eq!(count("shadow"), (2_000, 0));
    assert_eq!(count("live"), (2_000, 2_000));
    assert_eq!(count("paused"), (0, 0));
    let (judged, told) = count("10 %");
    assert_eq!(judged, 2_000);
    assert!((120..280).contains(&told), "{told}");
}

#[test]
fn an_entity_without_records_is_forgotten() {
    let mut evaluator = Evaluator::new(version(&one_rule("count(\"1h\") > 3", "live")), 7);
    for number in 0..100 {
        evaluator.process(&stream::of_user(number, &format!("u-{number}")), &mut Vec::new());
    }
    assert_eq!(evaluator.entities(crate::Entity::User), 100);
    evaluator.advance(stream::START_MS + 10 * 3_600_000);
    let later = stream::purchase(1_000, 11 * 3_600_000);
    for _ in 0..200 {
        evaluator.process(&later, &mut Vec::new());
    }
    assert_eq!(evaluator.entities(crate::Entity::User), 1);
}

#[test]
fn another_version_takes_over_what_both_keep() {
    let one = version(&one_rule(
        "count(\"1h\") > 3 and distinct(\"24h\", merchant) > 1",
        "live",
    ));
    let other = version(&one_rule(
        "count(\"10m\") > 3 and sum(\"1h\", amount) > usual",
        "live",
    ));
    let mut evaluator = Evaluator::new(one, 7);
    for number in 0..5 {
        evaluator.process(&stream::purchase(number, number as i64), &mut Vec::new());
    }
    let mut bytes = Vec::new();
    evaluator.encode(&mut bytes);
    let (mut evaluator, anew) = Evaluator::decode(other, 7, &bytes).unwrap();
    assert_eq!(anew.len(), 2, "{anew:?}");
    let next = stream::purchase(6, 6);
    evaluator.process(&next, &mut Vec::new());
    let count = evaluator
        .features(&next)
        .into_iter()
        .find(|(name, _)| name.starts_with("count"))
        .unwrap();
    assert_eq!(count.1, 6.0);
}
