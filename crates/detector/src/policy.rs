//! What earlier releases called the detector's policy.

use std::collections::BTreeMap;

use millrace_engine::EventTimeBounds;
use millrace_fraud::{
    AmountOutlierSettings, DetectPolicy, DetectSettings, HabitSettings, ImpossibleTravelSettings,
    ListSettings, RuleSettings, VelocitySettings,
};

/// The policy of a state by the fingerprint that releases without policies gave it: names and
/// numbers, and one group in parentheses for each rule that runs.
pub(crate) fn of_fingerprint(fingerprint: &str) -> Option<DetectPolicy> {
    let rule = |name: &str| {
        let (_, after) = fingerprint.split_once(&format!(" {name}("))?;
        Some(after.split_once(')')?.0)
    };
    let velocity = rule("velocity").map(|text| {
        Some(VelocitySettings {
            span_ms: number(text, "span_ms")?,
            max_count: number(text, "max_count")?,
            max_sum_ratio: number(text, "max_sum_ratio")?,
        })
    });
    let outlier = rule("amount_outlier").map(|text| {
        Some(AmountOutlierSettings {
            max_z_score: number(text, "max_z_score")?,
        })
    });
    let travel = rule("impossible_travel").map(|text| {
        Some(ImpossibleTravelSettings {
            max_speed_km_per_h: number(text, "max_speed_km_per_h")?,
            min_distance_km: number(text, "min_distance_km")?,
        })
    });
    let settings = DetectSettings {
        max_disorder_ms: number(fingerprint, "max_disorder_ms")?,
        dedup_horizon_ms: number(fingerprint, "dedup_horizon_ms")?,
        profile_retention_ms: number(fingerprint, "profile_retention_ms")?,
        bounds: EventTimeBounds {
            max_future_ms: number(fingerprint, "max_future_ms")?,
            earliest_ms: None,
            refuses_misplaced: false,
            partitions: None,
        },
        rules: RuleSettings {
            habit: HabitSettings {
                smoothing: number(fingerprint, "smoothing")?,
                min_transactions: number(fingerprint, "min_transactions")?,
                min_deviation: number(fingerprint, "min_deviation")?,
            },
            // A rule that is there and cannot be read is no rule that is not there.
            velocity: transposed(velocity)?,
            amount_outlier: transposed(outlier)?,
            impossible_travel: transposed(travel)?,
            replay: rule("replay").is_some(),
        },
        rule_set: Vec::new(),
        rule_modes: BTreeMap::new(),
        rule_change: 0,
        lists: ListSettings::default(),
    };
    DetectPolicy::new(settings).ok()
}

/// The number behind a name.
fn number<N: std::str::FromStr>(text: &str, name: &str) -> Option<N> {
    let value = text
        .split([' ', '(', ')'])
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value?.parse().ok()
}

fn transposed<T>(rule: Option<Option<T>>) -> Option<Option<T>> {
    match rule {
        None => Some(None),
        Some(found) => found.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use millrace_runtime::processor::{policy_of_text, policy_to_text};

    use super::*;

    /// As the release before policies wrote it into its snapshots.
    const OLD: &str = "max_disorder_ms=5000 dedup_horizon_ms=120000 profile_retention_ms=2592000000 smoothing=0.1 \
        min_transactions=10 min_deviation=0.3 velocity(span_ms=60000 max_count=20 max_sum_ratio=30) \
        amount_outlier(max_z_score=4.5) replay() max_future_ms=60000";

    #[test]
    fn a_fingerprint_of_an_earlier_release_names_its_policy() {
        let mut expected = DetectSettings::default();
        expected.bounds.max_future_ms = 60_000;
        expected.rules.impossible_travel = None;
        if let Some(velocity) = &mut expected.rules.velocity {
            velocity.max_count = 20;
        }
        assert_eq!(of_fingerprint(OLD), Some(DetectPolicy::new(expected).unwrap()));
        let all = format!("{} max_future_ms=7", DetectSettings::default().fingerprint());
        let mut defaults = DetectSettings::default();
        defaults.bounds.max_future_ms = 7;
        assert_eq!(of_fingerprint(&all), Some(DetectPolicy::new(defaults).unwrap()));
        for other in ["", "layout=1", &OLD.replace("max_count=20", "max_count=x")] {
            assert_eq!(of_fingerprint(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_policy_comes_back_from_its_text() {
        let policy = DetectPolicy::new(DetectSettings::default()).unwrap();
        assert_eq!(policy_of_text(&policy_to_text(&policy)), Ok(policy));
        assert!(policy_of_text::<DetectPolicy>("{}").is_err());
    }
}
