//! Every rule against a naive oracle that keeps the whole history, over streams with disorder,
//! duplicates, changed payloads, refunds, unknown places, several currencies and users who stay
//! away.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod common;
mod naive;

use millrace_domain::Anomaly;
use millrace_engine::{Disposition, HashSeed, Operator};
use millrace_fraud::{
    AmountOutlierSettings, DetectOperator, DetectSettings, HabitSettings, RuleSettings, VelocitySettings,
};
use naive::{Alert, Oracle};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestCaseError;

use common::stream::{Step, stream, transactions};

/// Small limits, so that short streams pass them in every way.
fn settings(max_count: u32, smoothing: f64) -> DetectSettings {
    DetectSettings {
        max_disorder_ms: 5_000,
        dedup_horizon_ms: 90_000,
        rules: RuleSettings {
            habit: HabitSettings {
                smoothing,
                min_transactions: 3,
                min_deviation: 0.3,
            },
            velocity: Some(VelocitySettings {
                span_ms: 60_000,
                max_count,
                max_sum_ratio: 8.0,
            }),
            amount_outlier: Some(AmountOutlierSettings { max_z_score: 3.0 }),
            ..RuleSettings::default()
        },
        profile_retention_ms: 86_400_000,
        ..DetectSettings::default()
    }
}

fn alert(anomaly: &Anomaly) -> Alert {
    Alert {
        rule: anomaly.rule.clone(),
        user: anomaly.entity,
        transaction_ids: anomaly.evidence.transaction_ids.clone(),
        event_time_ms: anomaly.event_time_ms,
    }
}

fn agrees_with_the_oracle(settings: &DetectSettings, steps: &[Step]) -> Result<usize, TestCaseError> {
    let mut operator = DetectOperator::new(settings, HashSeed::FIXED).unwrap();
    let mut oracle = Oracle::new(settings);
    let mut ids = std::collections::HashSet::new();
    for transaction in transactions(steps) {
        let mut outputs = Vec::new();
        let disposition = operator.process(&transaction, &mut outputs);
        let Some((expected_disposition, expected)) = oracle.process(&transaction) else {
            // A figure within a hair of its threshold: rounding decides, and the rest of the stream
            // depends on it.
            return Ok(ids.len());
        };
        prop_assert_eq!(disposition, expected_disposition, "{:?}", transaction);
        let found: Vec<_> = outputs.iter().map(alert).collect();
        prop_assert_eq!(&found, &expected, "{:?}", transaction);
        for anomaly in &outputs {
            prop_assert!(ids.insert(anomaly.id), "twice: {:?}", anomaly);
            prop_assert!((0.0..=1.0).contains(&anomaly.score));
            prop_assert!(anomaly.evidence.transaction_ids.len() <= 20);
            prop_assert!(
                anomaly
                    .evidence
                    .figures
                    .iter()
                    .all(|(_, value)| value.is_finite())
            );
            let last = anomaly.evidence.transaction_ids.last();
            prop_assert_eq!(last, Some(&transaction.transaction_id));
        }
    }
    Ok(ids.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_rule_finds_what_the_whole_history_shows(
        steps in stream(200),
        max_count in prop_oneof![1_u32..5, Just(25)],
        smoothing in prop_oneof![Just(0.1), Just(0.5), Just(1.0)],
    ) {
        agrees_with_the_oracle(&settings(max_count, smoothing), &steps)?;
    }

    /// At any step the operator may be replaced by one restored from its snapshot, with another
    /// seed.
    #[test]
    fn a_restored_operator_goes_on_as_the_first_would(
        steps in stream(120),
        restore_at in prop::collection::vec(any::<bool>(), 120),
        max_count in 1_u32..5,
    ) {
        let settings = settings(max_count, 0.1);
        let mut whole = DetectOperator::new(&settings, HashSeed::FIXED).unwrap();
        let mut restored = whole.clone();
        for (at, transaction) in transactions(&steps).iter().enumerate() {
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            let disposition: Disposition = whole.process(transaction, &mut expected);
            prop_assert_eq!(restored.process(transaction, &mut found), disposition);
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(restored.watermark_ms(), whole.watermark_ms());
            prop_assert_eq!(restored.max_event_time_ms(), whole.max_event_time_ms());
            if restore_at[at] {
                let mut bytes = Vec::new();
                restored.snapshot(&mut bytes);
                restored = DetectOperator::new(&settings, HashSeed::new(at as u64)).unwrap();
                restored.restore(&bytes).unwrap();
                let mut again = Vec::new();
                restored.snapshot(&mut again);
                prop_assert_eq!(again, bytes);
            }
        }
    }

    /// A hint is a hint: groups that are prepared give what single transactions give.
    #[test]
    fn preparing_changes_nothing(steps in stream(200), max_count in 1_u32..5, ahead in 1_usize..90) {
        let settings = settings(max_count, 0.1);
        let mut plain = DetectOperator::new(&settings, HashSeed::FIXED).unwrap();
        let mut prepared = plain.clone();
        for group in transactions(&steps).chunks(ahead) {
            prepared.prepare(group);
            for transaction in group {
                let (mut expected, mut found) = (Vec::new(), Vec::new());
                let disposition = plain.process(transaction, &mut expected);
                prop_assert_eq!(prepared.process(transaction, &mut found), disposition);
                prop_assert_eq!(found, expected);
            }
        }
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        plain.snapshot(&mut expected);
        prepared.snapshot(&mut found);
        prop_assert_eq!(found, expected);
    }

    /// What is frozen is the state of that moment, whatever is processed before it is written.
    #[test]
    fn a_frozen_state_is_that_of_its_moment(
        steps in stream(120),
        max_count in 1_u32..5,
        freeze_each in 1_usize..30,
        write_after in 0_usize..40,
    ) {
        let settings = settings(max_count, 0.1);
        let mut operator = DetectOperator::new(&settings, HashSeed::FIXED).unwrap();
        let mut frozen = std::collections::VecDeque::new();
        for (at, transaction) in transactions(&steps).iter().enumerate() {
            if at % freeze_each == 0 {
                let mut expected = Vec::new();
                operator.clone().snapshot(&mut expected);
                frozen.push_back((at + write_after, operator.freeze(), expected));
            }
            operator.process(transaction, &mut Vec::new());
            while frozen.front().is_some_and(|(due, ..)| *due <= at)
                && let Some((_, state, expected)) = frozen.pop_front()
            {
                let mut bytes = Vec::new();
                state.write(&mut bytes);
                prop_assert_eq!(bytes, expected);
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let mut operator = DetectOperator::new(&DetectSettings::default(), HashSeed::FIXED).unwrap();
        prop_assert!(operator.restore(&bytes).is_err());
    }
}

/// The streams above are worth something: each rule fires in them, often.
#[test]
fn the_streams_make_every_rule_fire() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut fired = std::collections::BTreeMap::new();
    for _ in 0..100 {
        let steps = stream(200).new_tree(&mut runner).unwrap().current();
        let mut operator = DetectOperator::new(&settings(4, 0.1), HashSeed::FIXED).unwrap();
        let mut outputs = Vec::new();
        for transaction in transactions(&steps) {
            operator.process(&transaction, &mut outputs);
        }
        for anomaly in outputs {
            *fired.entry(anomaly.rule).or_insert(0) += 1;
        }
    }
    for rule in ["velocity", "amount_outlier", "impossible_travel", "replay"] {
        assert!(
            fired.get(rule).is_some_and(|&count| count > 50),
            "{rule}: {fired:?}"
        );
    }
}
