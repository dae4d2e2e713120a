//! Beyond the records that are kept one by one, every answer is that of a window that is longer by
//! less than a hop.

use millrace_domain::{Amount, Transaction};
use proptest::prelude::*;

use super::super::Evaluator;
use super::stream::{START_MS, purchase, short};
use super::version;
use crate::state::{EXACT_RECORDS, HOPS};

const RULES: &str = "rules:
  - name: a
    when: >-
      count(\"1m\") + count(\"5m\") + count(\"10m\") + count(\"30m\") + count(\"1h\") + count(\"24h\")
      + count(\"7d\") + count(\"30d\") > 0 and sum(\"1m\", amount) + sum(\"1h\", amount)
      + sum(\"24h\", amount) + sum(\"7d\", amount) > usual
      and min(\"10m\", amount) + min(\"24h\", amount) + max(\"10m\", amount) + max(\"24h\", amount) > usual
      and distinct(\"24h\", merchant) > 3
    severity: low
    reason: r
    mode: live
";

/// Gaps of several sizes, so that some windows are full and some are not.
fn gaps() -> impl Strategy<Value = Vec<(i64, i64, i64)>> {
    let gap_ms = prop_oneof![
        20 => 0_i64..500,
        10 => 0_i64..20_000,
        3 => 0_i64..900_000,
        1 => 0_i64..50_000_000
    ];
    let back_ms = prop_oneof![8 => Just(0_i64), 1 => 0_i64..60_000, 1 => 0_i64..8_000_000];
    prop::collection::vec((gap_ms, back_ms, 1_i64..1_000_000), 200..900)
}

struct Window<'a> {
    records: &'a [Transaction],
    newest_ms: i64,
}

impl Window<'_> {
    fn units(&self, window_ms: i64) -> Vec<i64> {
        let start_ms = self.newest_ms - window_ms;
        let within = self
            .records
            .iter()
            .filter(|record| record.transaction_time_ms > start_ms);
        within.map(|record| record.amount.units()).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn answers_are_within_their_bound(gaps in gaps(), merchants in 1_u32..60) {
        let version = version(RULES);
        let mut evaluator = Evaluator::new(version.clone(), 7);
        let mut records = Vec::new();
        let (mut now_ms, mut newest_ms, mut inexact) = (0, i64::MIN, 0);
        for (number, (gap_ms, back_ms, units)) in gaps.iter().enumerate() {
            now_ms += gap_ms;
            let record = Transaction {
                amount: Amount::from_units(*units).unwrap(),
                merchant_id: short(&format!("m-{}", number as u32 * 7 % merchants)),
                ..purchase(number as u128, now_ms - back_ms)
            };
            records.push(record);
            newest_ms = newest_ms.max(record.transaction_time_ms);
            evaluator.process(&record, &mut Vec::new());
            if number % 7 != 0 && number + 1 != gaps.len() {
                continue;
            }
            let window = Window { records: &records, newest_ms };
            for (slot, (name, found)) in version.plan().slots.iter().zip(evaluator.features(&record)) {
                let Some(&(window_ms, hop_ms)) = HOPS.iter().find(|(ms, _)| *ms == slot.window_ms) else {
                    continue;
                };
                if name.starts_with("distinct") {
                    let start_ms = newest_ms - window_ms;
                    let mut seen: Vec<_> = records
                        .iter()
                        .filter(|record| record.transaction_time_ms > start_ms)
                        .map(|record| record.merchant_id)
                        .collect();
                    seen.sort_unstable();
                    seen.dedup();
                    prop_assert_eq!(found, seen.len().min(25) as f64);
                    continue;
                }
                let (short, long) = (window.units(window_ms), window.units(window_ms + hop_ms - 1));
                let of = |units: &[i64]| match &name[..3] {
                    "cou" => units.len() as f64,
                    "sum" => units.iter().sum::<i64>() as f64,
                    "min" => units.iter().min().map_or(f64::NAN, |units| *units as f64),
                    _ => units.iter().max().map_or(f64::NAN, |units| *units as f64),
                };
                let (one, other) = (of(&short), of(&long));
                let longest = version.plan().measures[slot.measure].longest_ms;
                if window.units(longest).len() <= EXACT_RECORDS && records.len() <= EXACT_RECORDS {
                    prop_assert!(found == one || (found.is_nan() && one.is_nan()), "{} {} {}", name, found, one);
                }
                inexact += u32::from(found != one);
                if one.is_nan() {
                    continue;
                }
                prop_assert!(
                    one.min(other) <= found && found <= one.max(other),
                    "{} is {}, not from {} to {}", name, found, one, other
                );
            }
        }
        let mut bytes = Vec::new();
        evaluator.encode(&mut bytes);
        // Three rings at their bounds.
        prop_assert!(bytes.len() < 3 * (512 * 64 + 128 * 16) + 4_096, "{}", bytes.len());
        let _ = (inexact, START_MS);
    }
}
