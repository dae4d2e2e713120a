//! From the user's form of the settings to the operator's.

use anyhow::anyhow;
use millrace_engine::EventTimeBounds;
use millrace_fraud::{
    AmountOutlierSettings, DetectSettings, HabitSettings, ImpossibleTravelSettings, RuleSettings,
    VelocitySettings,
};
use millrace_settings::Detector;

/// The operator's settings. A rule that is not enabled is left out. How usual amounts are learnt is set under the amount
/// outlier and holds without that rule too, as velocity rests on it.
///
/// # Errors
/// A value that is out of its range: the message names the key, the value and the range.
pub fn settings(detector: &Detector) -> anyhow::Result<DetectSettings> {
    let rules = &detector.rules;
    let (velocity, outlier, travel) = (&rules.velocity, &rules.amount_outlier, &rules.impossible_travel);
    let settings = DetectSettings {
        max_disorder_ms: detector.event_time.max_disorder_ms,
        dedup_horizon_ms: detector.dedup_horizon_ms,
        profile_retention_ms: DetectSettings::DEFAULT_PROFILE_RETENTION_MS,
        bounds: EventTimeBounds::NONE,
        rules: RuleSettings {
            habit: HabitSettings {
                smoothing: outlier.smoothing,
                min_transactions: outlier.min_transactions,
                min_deviation: outlier.min_deviation,
            },
            velocity: velocity.enabled.then_some(VelocitySettings {
                span_ms: velocity.span_ms,
                max_count: velocity.max_count,
                max_sum_ratio: velocity.max_sum_ratio,
            }),
            amount_outlier: outlier.enabled.then_some(AmountOutlierSettings {
                max_z_score: outlier.max_z_score,
            }),
            impossible_travel: travel.enabled.then_some(ImpossibleTravelSettings {
                max_speed_km_per_h: travel.max_speed_km_per_h,
                min_distance_km: travel.min_distance_km,
            }),
            replay: rules.replay.enabled,
        },
    };
    settings.validate().map_err(|error| anyhow!("detector.{error}"))?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_operator() {
        assert_eq!(settings(&Detector::default()).unwrap(), DetectSettings::default());
    }

    #[test]
    fn a_disabled_rule_is_left_out() {
        let mut detector = Detector::default();
        detector.rules.velocity.enabled = false;
        detector.rules.replay.enabled = false;
        let rules = settings(&detector).unwrap().rules;
        assert_eq!((rules.velocity, rules.replay), (None, false));
        assert!(rules.amount_outlier.is_some() && rules.impossible_travel.is_some());
    }

    #[test]
    fn a_value_out_of_range_is_named() {
        let mut detector = Detector::default();
        detector.rules.velocity.max_count = 2_000;
        assert_eq!(
            settings(&detector).unwrap_err().to_string(),
            "detector.rules.velocity.max_count is 2000: must be from 1 to 1000"
        );
    }
}
