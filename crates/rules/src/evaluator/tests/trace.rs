//! What a trace says of a record against what the evaluator did with it.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::{Judgement, RuleTrace, Unit};
use super::{Evaluator, one_rule, rules, stream, version};
use crate::Version;

/// Each record, with what the rules said of it.
fn traces(version: &Arc<Version>, records: usize) -> Vec<RuleTrace> {
    let mut evaluator = Evaluator::new(Arc::clone(version), 7);
    let mut last = Vec::new();
    for number in 0..records {
        let transaction = stream::purchase(number as u128, 1_000 * number as i64);
        let before = evaluator.clone();
        evaluator.process(&transaction, &mut Vec::new());
        last = evaluator.trace(&before, &transaction);
    }
    last
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// What it says fired is what fired; its conditions all hold just where the rule fired or was
    /// quiet, and one is false just where the rule did not hold; the values are those of the
    /// features.
    #[test]
    fn it_tells_what_was_judged(text in rules::file_with_lists(), steps in stream::stream(80)) {
        let version = version(&text);
        let mut evaluator = Evaluator::new(Arc::clone(&version), 7);
        for transaction in stream::transactions(&steps) {
            let before = evaluator.clone();
            let mut fired = Vec::new();
            evaluator.process(&transaction, &mut fired);
            let traces = evaluator.trace(&before, &transaction);
            prop_assert_eq!(traces.len(), version.rules().len());
            for (at, trace) in traces.iter().enumerate() {
                prop_assert_eq!(trace.rule, at);
                let of_rule = fired.iter().find(|fired| fired.rule == at);
                prop_assert_eq!(of_rule.is_some(), trace.judgement == Judgement::Fired, "{:?}", trace);
                prop_assert!(of_rule.is_none_or(|fired| fired.alerts == trace.alerts));
                let answers: Vec<_> = trace.conditions.iter().map(|condition| condition.holds).collect();
                let expected = match trace.judgement {
                    Judgement::Fired | Judgement::Quiet => answers.iter().all(|holds| *holds == Some(true)),
                    Judgement::Not => answers.contains(&Some(false)),
                    Judgement::Unknown => !answers.contains(&Some(false)) && answers.contains(&None),
                    Judgement::NotJudged => answers.is_empty(),
                };
                prop_assert!(expected, "{:?}", trace);
                let holds = matches!(trace.judgement, Judgement::Fired | Judgement::Quiet);
                prop_assert!(!holds || trace.gap == Some(0.0), "{:?}", trace);
                let is_quiet = trace.judgement == Judgement::Quiet;
                prop_assert!(!is_quiet || trace.quiet_until_ms.is_some(), "{:?}", trace);
                let evidence = evaluator.evidence(&transaction, at);
                let told = trace.features.iter().map(|told| (told.feature.as_str(), told.value, told.unit));
                let wanted = evidence.iter().map(|found| (found.feature, found.value, found.unit));
                prop_assert!(told.eq(wanted), "{:?}", trace);
            }
        }
    }
}

#[test]
fn a_comparison_has_what_is_asked_its_value_and_the_threshold() {
    let when = "count(\"10m\") >= 4 and amount < 100 EUR and since_last() < 10s";
    let traces = traces(&version(&one_rule(when, "live")), 3);
    let [trace] = &traces[..] else {
        panic!("{traces:?}")
    };
    assert_eq!(trace.judgement, Judgement::Not);
    let sides: Vec<_> = trace
        .conditions
        .iter()
        .flat_map(|condition| &condition.checks)
        .filter_map(|check| check.sides.as_ref())
        .map(|sides| {
            let (value, limit) = (sides.value, sides.limit);
            (value.value, sides.sign, limit.value, limit.unit == value.unit)
        })
        .collect();
    let amount = stream::purchase(0, 0).amount.to_f64();
    for wanted in [
        (Some(3.0), ">=", Some(4.0), true),
        (Some(amount), "<", Some(100.0), true),
        (Some(1.0), "<", Some(10.0), true),
    ] {
        assert!(sides.contains(&wanted), "{wanted:?} in {sides:?}");
    }
    assert_eq!(trace.gap, Some(0.25), "three are a quarter off four");
    let count = trace
        .features
        .iter()
        .find(|told| told.feature.starts_with("count"));
    let count = count.unwrap();
    assert_eq!(
        (count.value, count.without, count.unit),
        (Some(3.0), Some(2.0), Unit::None)
    );
    let since = trace
        .features
        .iter()
        .find(|told| told.feature.starts_with("since"));
    let since = since.unwrap();
    assert_eq!(
        (since.value, since.without, since.unit),
        (Some(1.0), None, Unit::Seconds)
    );
}

#[test]
fn what_has_no_number_has_no_distance_and_of_two_ways_the_nearer_counts() {
    let gap = |when: &str| traces(&version(&one_rule(when, "live")), 3)[0].gap;
    assert_eq!(gap("location == \"Nowhere\""), None);
    assert_eq!(gap("location == \"Nowhere\" and count(\"1h\") > 2"), None);
    assert_eq!(gap("location == \"Nowhere\" or count(\"1h\") > 5"), Some(0.4));
    assert_eq!(gap("count(\"1h\") > 29 or count(\"1h\") > 5"), Some(0.4));
    assert_eq!(gap("count(\"1h\") > 29 and count(\"1h\") > 5"), Some(26.0 / 29.0));
    assert_eq!(gap("not (count(\"1h\") <= 5)"), Some(0.4));
    assert_eq!(gap("count(\"1h\") > 3"), Some(0.0), "it lacks equality alone");
    assert_eq!(gap("usual > 1 EUR"), None, "unknown yet");
}

#[test]
fn a_rule_that_is_not_judged_and_one_in_shadow_are_told_apart() {
    let trace = |mode| traces(&version(&one_rule("count(\"1h\") > 1", mode)), 3).remove(0);
    let told = |mode| {
        let trace = trace(mode);
        (trace.judgement, trace.alerts, trace.conditions.len())
    };
    assert_eq!(told("live"), (Judgement::Fired, true, 1));
    assert_eq!(told("shadow"), (Judgement::Fired, false, 1));
    assert_eq!(told("paused"), (Judgement::NotJudged, false, 0));
    assert_eq!(told("draft"), (Judgement::NotJudged, false, 0));
}

#[test]
fn until_when_a_rule_is_quiet_is_told() {
    let rule = one_rule("count(\"1h\") > 1", "live") + "    quiet: 1m\n";
    let trace = traces(&version(&rule), 3).remove(0);
    assert_eq!(trace.judgement, Judgement::Quiet);
    // It fired for the second, a second after the start.
    assert_eq!(trace.quiet_until_ms, Some(stream::START_MS + 61_000));
}
