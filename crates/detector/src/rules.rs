//! From the user's form of the settings to the operator's.

use anyhow::anyhow;
use millrace_fraud::DetectSettings;
use millrace_settings::Detector;

/// The operator's settings, without the rules of files. A rule that is not enabled is left out.
///
/// # Errors
/// A value that is out of its range: the message names the key, the value and the range.
pub fn settings(detector: &Detector) -> anyhow::Result<DetectSettings> {
    let settings = DetectSettings {
        max_disorder_ms: detector.event_time.max_disorder_ms,
        dedup_horizon_ms: detector.dedup_horizon_ms,
        rules: detector.rules.settings(),
        ..DetectSettings::default()
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

    /// What the configuration takes, the operator takes too, and the other way round: at the edges
    /// of every range.
    #[test]
    fn the_configuration_and_the_operator_have_the_same_ranges() {
        type Edit = fn(&mut Detector, f64);
        let edits: [(Edit, f64, f64); 11] = [
            (|it, value| it.dedup_horizon_ms = value as i64, 1.0, 86_400_000.0),
            (
                |it, value| it.event_time.max_disorder_ms = value as i64,
                0.0,
                86_400_000.0,
            ),
            (
                |it, value| it.rules.velocity.span_ms = value as i64,
                1_000.0,
                86_400_000.0,
            ),
            (
                |it, value| it.rules.velocity.max_count = value as u32,
                1.0,
                1_000.0,
            ),
            (|it, value| it.rules.velocity.max_sum_ratio = value, 1.0, 1e9),
            (|it, value| it.rules.amount_outlier.smoothing = value, 1e-6, 1.0),
            (
                |it, value| it.rules.amount_outlier.min_transactions = value as u32,
                1.0,
                10_000.0,
            ),
            (
                |it, value| it.rules.amount_outlier.min_deviation = value,
                0.001,
                100.0,
            ),
            (
                |it, value| it.rules.amount_outlier.max_z_score = value,
                0.1,
                1_000.0,
            ),
            (
                |it, value| it.rules.impossible_travel.max_speed_km_per_h = value,
                1.0,
                1e6,
            ),
            (
                |it, value| it.rules.impossible_travel.min_distance_km = value,
                0.0,
                20_038.0,
            ),
        ];
        for (number, (edit, least, most)) in edits.into_iter().enumerate() {
            let middle = (least + most) / 2.0;
            for (value, is_right) in [
                (least, true),
                (middle, true),
                (most, true),
                (least - 1.0, false),
                (least - 1e-9, false),
                (most + 1.0, false),
                (f64::NAN, false),
            ] {
                let mut all = millrace_settings::Settings::default();
                edit(&mut all.detector, value);
                let by_operator = settings(&all.detector).is_ok();
                let by_configuration = all.validate().is_ok();
                assert_eq!(by_configuration, by_operator, "setting {number}, {value}");
                // Of whole numbers, what is between two is one of them, and not-a-number is 0.
                let is_whole = least.fract() == 0.0 && most > 2.0 && value.fract() != 0.0;
                assert!(is_whole || by_operator == is_right, "setting {number}, {value}");
            }
        }
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
