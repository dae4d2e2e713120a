//! Changes of policy: every rule against the naive oracle, which reads the same transactions,
//! advances and changes, with a restore at any point, into an operator of another policy and seed.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod common;
mod naive;

use std::collections::HashSet;

use millrace_domain::Anomaly;
use millrace_engine::{HashSeed, Operator};
use millrace_fraud::{
    AmountOutlierSettings, DetectOperator, DetectPolicy, DetectSettings, HabitSettings,
    ImpossibleTravelSettings, RuleSettings, VelocitySettings,
};
use naive::{Alert, Oracle};
use proptest::prelude::*;
use proptest::sample::select;

use common::stream::{stream, transactions};

fn rules() -> impl Strategy<Value = RuleSettings> {
    let velocity = (
        select(vec![1_000_i64, 20_000, 60_000, 600_000]),
        select(vec![1_u32, 3, 4, 25]),
        select(vec![3.0, 8.0]),
    )
        .prop_map(|(span_ms, max_count, max_sum_ratio)| VelocitySettings {
            span_ms,
            max_count,
            max_sum_ratio,
        });
    let habit = (
        select(vec![0.1, 0.5, 1.0]),
        select(vec![1_u32, 3, 6]),
        select(vec![0.05, 0.3, 1.0]),
    )
        .prop_map(|(smoothing, min_transactions, min_deviation)| HabitSettings {
            smoothing,
            min_transactions,
            min_deviation,
        });
    let outlier = select(vec![1.5, 3.0]).prop_map(|max_z_score| AmountOutlierSettings { max_z_score });
    let travel = (
        select(vec![250.0, 1_000.0, 4_000.0]),
        select(vec![0.0, 300.0, 700.0]),
    )
        .prop_map(|(max_speed_km_per_h, min_distance_km)| ImpossibleTravelSettings {
            max_speed_km_per_h,
            min_distance_km,
        });
    (
        habit,
        prop::option::weighted(0.85, velocity),
        prop::option::weighted(0.85, outlier),
        prop::option::weighted(0.85, travel),
        prop::bool::weighted(0.8),
    )
        .prop_map(
            |(habit, velocity, amount_outlier, impossible_travel, replay)| RuleSettings {
                habit,
                velocity,
                amount_outlier,
                impossible_travel,
                replay,
            },
        )
}

fn settings() -> impl Strategy<Value = DetectSettings> {
    (
        select(vec![0_i64, 5_000, 60_000]),
        select(vec![4_001_i64, 30_000, 90_000, 600_000]),
        select(vec![86_400_000_i64, 200_000_000]),
        rules(),
    )
        .prop_map(
            |(max_disorder_ms, dedup_horizon_ms, profile_retention_ms, rules)| DetectSettings {
                max_disorder_ms,
                dedup_horizon_ms,
                profile_retention_ms,
                rules,
                ..DetectSettings::default()
            },
        )
}

/// What comes before a transaction.
#[derive(Debug, Clone)]
enum Event {
    Nothing,
    /// To this far behind its event time.
    Advance(i64),
    Configure(Box<DetectSettings>),
    Restore,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        40 => Just(Event::Nothing),
        1 => (-5_000_i64..100_000).prop_map(Event::Advance),
        2 => settings().prop_map(|settings| Event::Configure(Box::new(settings))),
        3 => Just(Event::Restore),
    ]
}

fn alert(anomaly: &Anomaly) -> Alert {
    Alert {
        rule: anomaly.rule.clone(),
        user: anomaly.entity,
        transaction_ids: anomaly.evidence.transaction_ids.clone(),
        event_time_ms: anomaly.event_time_ms,
    }
}

/// Another operator with the same state; and that has the same bytes again.
fn restored(operator: &mut DetectOperator, fresh: &DetectOperator) -> DetectOperator {
    let (mut state, mut again) = (Vec::new(), Vec::new());
    operator.snapshot(&mut state);
    let mut restored = fresh.clone();
    restored.restore(&state).unwrap();
    restored.snapshot(&mut again);
    assert!(state == again, "a restored operator has another state");
    assert_eq!(restored.policy(), operator.policy());
    restored
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn every_rule_finds_what_the_whole_history_shows_whatever_changes(
        first in settings(),
        steps in stream(90),
        events in prop::collection::vec(event(), 90),
    ) {
        let fresh = DetectOperator::new(&DetectSettings::default(), HashSeed::new(9)).unwrap();
        let mut operator = DetectOperator::new(&first, HashSeed::FIXED).unwrap();
        let mut oracle = Oracle::new(&first);
        let mut ids = HashSet::new();
        for (transaction, event) in transactions(&steps).iter().zip(&events) {
            match event {
                Event::Nothing => {}
                Event::Advance(behind_ms) => {
                    let to_ms = transaction.transaction_time_ms - behind_ms;
                    operator.advance(to_ms, &mut Vec::new());
                    oracle.advance(to_ms);
                }
                Event::Configure(settings) => {
                    let policy = DetectPolicy::new(settings.as_ref().clone()).unwrap();
                    let mut outputs = Vec::new();
                    operator.configure(&policy, &mut outputs);
                    prop_assert!(outputs.is_empty());
                    oracle.configure(settings);
                }
                Event::Restore => operator = restored(&mut operator, &fresh),
            }
            let mut outputs = Vec::new();
            let disposition = operator.process(transaction, &mut outputs);
            let Some((expected_disposition, expected)) = oracle.process(transaction) else {
                return Ok(());
            };
            prop_assert_eq!(disposition, expected_disposition, "{:?}", transaction);
            let found: Vec<_> = outputs.iter().map(alert).collect();
            prop_assert_eq!(&found, &expected, "{:?}", transaction);
            for anomaly in &outputs {
                prop_assert!(ids.insert(anomaly.id), "twice: {:?}", anomaly);
            }
        }
    }
}
