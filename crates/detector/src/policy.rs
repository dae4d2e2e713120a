//! What earlier releases called the detector's policy.

use millrace_fraud::{DetectPolicy, DetectSettings};

/// The policy of a state by the fingerprint that releases without policies gave it: names and
/// numbers, and one group in parentheses for each rule that runs.
pub(crate) fn of_fingerprint(fingerprint: &str) -> Option<DetectPolicy> {
    DetectPolicy::new(DetectSettings::of_fingerprint(fingerprint)?).ok()
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
