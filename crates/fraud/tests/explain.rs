//! What is explained of a transaction against what the operator then does with it, over random
//! streams, rules of every kind, and changes of rules and snoozes.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod common;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use millrace_domain::{Amount, Transaction};
use millrace_engine::{Disposition, HashSeed, Operator as _};
use millrace_fraud::{
    BuiltInTrace, DetectOperator, DetectPolicy, DetectSettings, Explanation, ListSettings, Otherwise,
    RuleFile,
};
use millrace_rules::Judgement;
use proptest::prelude::*;
use proptest::sample::Index;

use common::stream::{stream, transactions};
use common::{START_MS, purchase};

const FIRST: &str = r#"
rules:
  - name: hurry
    when: count("10m") >= 3
    severity: medium
    quiet: 5m
    reason: several payments in ten minutes
    mode: live
  - name: more
    when: sum("1h", amount) > 3 * avg("24h", amount).excluding_current()
    severity: low
    score: amount / avg("24h", amount)
    reason: more than usual
    mode: live
  - name: unseen
    when: count("1m") >= 1
    severity: low
    reason: any
    mode: shadow
  - name: partly
    when: amount > 20 EUR
    severity: low
    reason: any
    mode: 50 %
"#;

const SECOND: &str = r#"
rules:
  - name: hurry
    when: count("10m") >= 3
    severity: medium
    quiet: 5m
    reason: several payments in ten minutes
    mode: live
  - name: elsewhere
    when: first_seen("24h", location) and zscore(log(amount)) > 1
    severity: high
    reason: a new place
    mode: live
  - name: later
    when: count("7d") >= 5
    severity: low
    reason: later
    mode: paused
"#;

/// Limits that short streams reach.
fn policy(rules: &str, lists: ListSettings) -> DetectPolicy {
    let mut settings = DetectSettings {
        dedup_horizon_ms: 90_000,
        rule_set: vec![RuleFile {
            name: "rules.yml".to_owned(),
            text: rules.to_owned(),
        }],
        lists,
        ..DetectSettings::default()
    };
    settings.rules.habit.min_transactions = 2;
    settings.rules.velocity.as_mut().unwrap().max_count = 3;
    settings.rules.amount_outlier.as_mut().unwrap().max_z_score = 2.0;
    DetectPolicy::new(settings).unwrap()
}

fn first() -> DetectPolicy {
    policy(FIRST, ListSettings::default())
}

/// Other rules; four rules are snoozed about a user, for good or for a while.
fn second() -> DetectPolicy {
    let snooze =
        |rule: &str, user: &str, until_ms| (rule.to_owned(), BTreeMap::from([(user.to_owned(), until_ms)]));
    let snoozes = BTreeMap::from([
        snooze("velocity", "alice", i64::MAX),
        snooze("hurry", "bob", i64::MAX),
        snooze("amount_outlier", "carol", START_MS + 2_000_000),
        snooze("replay", "alice", i64::MAX),
    ]);
    let lists = ListSettings {
        snoozes,
        ..ListSettings::default()
    };
    policy(SECOND, lists)
}

fn operator() -> DetectOperator {
    // The distances between all cities take long to work out.
    static FRESH: LazyLock<DetectOperator> = LazyLock::new(|| DetectOperator::of(first(), HashSeed::new(0)));
    FRESH.clone()
}

/// Its state, written.
fn bytes(operator: &mut DetectOperator) -> Vec<u8> {
    let mut bytes = Vec::new();
    operator.freeze().write(&mut bytes);
    bytes
}

fn is_snoozed(explanation: &Explanation, rule: &str) -> bool {
    explanation.snoozed.contains_key(rule)
}

/// The rules that must have raised an anomaly, by what is explained of each.
fn told(explanation: &Explanation, operator: &DetectOperator) -> Vec<String> {
    let built_in = explanation.built_in.iter();
    let fired = built_in.filter(|trace| trace.judgement == Judgement::Fired);
    let mut told: Vec<_> = fired.map(|trace| trace.rule.to_owned()).collect();
    if let Some(evaluator) = operator.evaluator() {
        let rules = evaluator.version().rules();
        let fired = explanation.rules.iter();
        let fired = fired.filter(|trace| trace.judgement == Judgement::Fired && trace.alerts);
        told.extend(fired.map(|trace| rules[trace.rule].name().to_owned()));
    }
    told.retain(|rule| !is_snoozed(explanation, rule));
    told
}

/// Whether the figures of a built-in rule say what became of it.
fn is_by_its_figures(trace: &BuiltInTrace) -> bool {
    let over = |name: &str| {
        let figure = trace.figures.iter().find(|figure| figure.name == name).unwrap();
        figure.value > figure.limit.unwrap()
    };
    let at_least = |name: &str| {
        let figure = trace.figures.iter().find(|figure| figure.name == name).unwrap();
        figure.value >= figure.limit.unwrap()
    };
    let is_over = match (trace.rule, trace.judgement) {
        (_, Judgement::NotJudged | Judgement::Unknown) => return trace.why.is_some(),
        ("velocity", _) => over("transactions_count") || over("sum_ratio"),
        ("amount_outlier", _) => over("z_score"),
        ("impossible_travel", _) => at_least("distance_km") && over("speed_km_per_h"),
        _ => return true,
    };
    let is_told = matches!(trace.judgement, Judgement::Fired | Judgement::Quiet);
    // Two purchases are no burst, whatever they add up to.
    let is_small = trace.rule == "velocity" && trace.figures[0].value < 3.0;
    is_told == (is_over && !is_small) && (trace.gap == Some(0.0) || !is_told)
}

/// The rules that alert where the whole operator gets the transaction as `change` makes it.
fn raised_by(
    operator: &DetectOperator,
    transaction: &Transaction,
    change: impl FnOnce(&mut Transaction),
) -> Vec<String> {
    let (mut changed, mut outputs) = (*transaction, Vec::new());
    change(&mut changed);
    operator.clone().process(&changed, &mut outputs);
    outputs.iter().map(|anomaly| anomaly.rule.to_string()).collect()
}

/// What is told to be decided otherwise is, and is not a step nearer to what was.
fn check_otherwise(
    operator: &DetectOperator,
    transaction: &Transaction,
    otherwise: &Otherwise,
) -> Result<(), TestCaseError> {
    let is_otherwise = |raised: Vec<String>| {
        let is_raised = match &otherwise.rule {
            None => !raised.is_empty(),
            Some(rule) => raised.contains(rule),
        };
        is_raised != otherwise.was_raised
    };
    let with_amount = |units: i64| {
        let amount = Amount::from_units(units).unwrap();
        is_otherwise(raised_by(operator, transaction, |changed| {
            changed.amount = amount;
        }))
    };
    let later = |later_ms: i64| {
        is_otherwise(raised_by(operator, transaction, |changed| {
            changed.transaction_time_ms += later_ms;
        }))
    };
    if let Some(other) = otherwise.amount {
        let (units, own) = (other.amount.units(), transaction.amount.units());
        prop_assert_eq!(other.is_less, units < own);
        prop_assert!(with_amount(units), "{:?}", otherwise);
        let nearer = if other.is_less { units + 100 } else { units - 100 };
        let is_between = if other.is_less { nearer < own } else { nearer > own };
        prop_assert!(!is_between || !with_amount(nearer), "{:?}", otherwise);
    }
    if let Some(later_ms) = otherwise.later_ms {
        prop_assert!(otherwise.was_raised && later(later_ms), "{:?}", otherwise);
        prop_assert!(later_ms == 1_000 || !later(later_ms - 1_000), "{:?}", otherwise);
    }
    Ok(())
}

fn check(operator: &mut DetectOperator, transaction: &Transaction) -> Result<usize, TestCaseError> {
    let before = bytes(operator);
    let explanation = operator.explain(transaction);
    prop_assert_eq!(before, bytes(operator), "it has changed nothing");
    for otherwise in &explanation.otherwise {
        check_otherwise(operator, transaction, otherwise)?;
    }
    let watermark_ms = operator.watermark_ms();
    let mut outputs = Vec::new();
    let disposition = operator.process(transaction, &mut outputs);
    prop_assert!(watermark_ms <= operator.watermark_ms());
    prop_assert_eq!(explanation.disposition, disposition);
    prop_assert_eq!(&explanation.raised, &outputs);
    let raised: Vec<_> = outputs.iter().map(|anomaly| anomaly.rule.to_string()).collect();
    prop_assert_eq!(told(&explanation, operator), raised);
    for trace in &explanation.built_in {
        prop_assert!(is_by_its_figures(trace), "{:?}", trace);
    }
    let is_accepted = disposition == Disposition::Accepted;
    prop_assert!(is_accepted || explanation.rules.is_empty());
    Ok(outputs.len())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn it_is_what_the_operator_does(steps in stream(160), changes_at in any::<Index>()) {
        let transactions = transactions(&steps);
        let changes_at = changes_at.index(transactions.len() + 1);
        let mut operator = operator();
        for (at, transaction) in transactions.iter().enumerate() {
            if at == changes_at {
                operator.configure(&second(), &mut Vec::new());
            }
            check(&mut operator, transaction)?;
        }
    }
}

#[test]
fn the_profile_is_what_was_known_before() {
    let mut operator = operator();
    let new = operator.explain(&purchase(0, "alice", 0));
    assert_eq!(new.profile, millrace_fraud::UserProfile::default());
    for number in 0..3 {
        operator.process(&purchase(number, "alice", number as i64 * 1_000), &mut Vec::new());
    }
    let explanation = operator.explain(&purchase(3, "alice", 3_000));
    let profile = &explanation.profile;
    assert_eq!(profile.newest_ms, Some(START_MS + 2_000));
    assert_eq!(explanation.newest_ms, START_MS + 3_000);
    assert_eq!(profile.recent.map(|(count, _)| count), Some(3));
    assert_eq!(profile.last_place, Some((common::id(2), START_MS + 2_000)));
    let [usual] = &profile.habits[..] else {
        panic!("{profile:?}")
    };
    assert_eq!((usual.currency, usual.purchases), (common::currency("EUR"), 3));
    assert!((usual.usual - 20.0).abs() < 1e-3, "{usual:?}");
    // Much later the purchases are out of the span, and the habit is still known.
    let later = operator.explain(&purchase(4, "alice", 3_600_000));
    assert_eq!(later.profile.recent.map(|(count, _)| count), Some(0));
    assert_eq!(later.profile.habits.len(), 1);
    // After the retention nothing is.
    let gone = operator.explain(&purchase(5, "alice", 40 * 86_400_000));
    assert_eq!(gone.profile, millrace_fraud::UserProfile::default());
}

#[test]
fn what_nearly_fired_is_told_by_how_much() {
    let mut operator = operator();
    operator.process(&purchase(0, "alice", 0), &mut Vec::new());
    let explanation = operator.explain(&purchase(1, "alice", 1_000));
    let rules = operator.evaluator().unwrap().version().rules();
    let hurry = rules.iter().position(|rule| rule.name() == "hurry").unwrap();
    let trace = &explanation.rules[hurry];
    assert_eq!(trace.judgement, Judgement::Not);
    assert_eq!(trace.gap, Some(1.0 / 3.0), "two are a third off three");
    let velocity = &explanation.built_in[0];
    assert_eq!((velocity.rule, velocity.judgement), ("velocity", Judgement::Not));
    assert_eq!(
        velocity.gap,
        Some(1.0 / 3.0),
        "two of three, and more are too many"
    );
}

#[test]
fn what_would_have_had_to_be_otherwise_is_told() {
    let mut operator = operator();
    for number in 0..3 {
        operator.process(&purchase(number, "alice", number as i64 * 1_000), &mut Vec::new());
    }
    // Of 20 euros each: the fourth is one too many for velocity, for as long as the span lasts.
    let explanation = operator.explain(&purchase(3, "alice", 3_000));
    let of_velocity = explanation
        .otherwise
        .iter()
        .find(|otherwise| otherwise.rule.as_deref().is_none_or(|rule| rule == "velocity"));
    let of_velocity = of_velocity.unwrap();
    assert!(of_velocity.was_raised, "{:?}", explanation.otherwise);
    assert!(of_velocity.later_ms.is_some(), "{of_velocity:?}");
    // Of somebody new nothing is known, so that only `partly` may alert: above 20 euros.
    let users = ["bob", "carol", "dave", "erin"];
    let told: Vec<_> = users
        .iter()
        .map(|user| operator.explain(&purchase(9, user, 3_000)).otherwise)
        .collect();
    for otherwise in &told {
        let [one] = &otherwise[..] else { panic!("{told:?}") };
        assert!(!one.was_raised && one.rule.is_none() && one.later_ms.is_none());
        let amount = one.amount.map(|other| (other.amount.units(), other.is_less));
        assert!([None, Some((200_100, false))].contains(&amount), "{one:?}");
    }
    assert!(
        told.iter().any(|otherwise| otherwise[0].amount.is_some()),
        "{told:?}"
    );
}
