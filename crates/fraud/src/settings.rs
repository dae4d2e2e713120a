//! What can be set. The ranges are in [`crate::ranges`].

use std::collections::BTreeMap;
use std::fmt::Display;

use millrace_engine::EventTimeBounds;
use millrace_engine::policy::DAY_MS;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::exact;
use crate::listings::ListSettings;
use crate::ranges::{self, Range};

/// The settings of a [`crate::DetectOperator`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectSettings {
    /// How far the watermark stays behind the highest event time; 0 to a day.
    pub max_disorder_ms: i64,
    /// How long a transaction id is remembered, in event time behind the watermark; 1 ms to a day.
    /// A transaction that is further behind is late: whether it was seen before can no longer be
    /// said.
    pub dedup_horizon_ms: i64,
    /// A user without a transaction for this long, in event time behind the watermark, is
    /// forgotten; 1 to 400 days. This bounds the number of profiles.
    pub profile_retention_ms: i64,
    /// Which event times the operator is given.
    #[serde(default)]
    pub bounds: EventTimeBounds,
    /// The built-in rules.
    pub rules: RuleSettings,
    /// The rule set beside them, as the files that it is written in; none for no rule set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rule_set: Vec<RuleFile>,
    /// Rules of the rule set whose mode is another than their file says, by name, as files write
    /// modes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rule_modes: BTreeMap<String, String>,
    /// The number of the change that the rule set is of, where it was changed while the detector
    /// ran; 0 of what the configuration says.
    #[serde(default, skip_serializing_if = "is_none")]
    pub rule_change: u64,
    /// The lists that rules look into, and the alerts that are not raised.
    #[serde(default, skip_serializing_if = "ListSettings::is_empty")]
    pub lists: ListSettings,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_none(number: &u64) -> bool {
    *number == 0
}

/// A file of rules of the language (docs/rules.md), whole: a policy is read where its files may not
/// be there any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// What messages call it.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl DetectSettings {
    /// 30 days.
    pub const DEFAULT_PROFILE_RETENTION_MS: i64 = 30 * DAY_MS;
}

impl Default for DetectSettings {
    fn default() -> Self {
        Self {
            max_disorder_ms: 5_000,
            dedup_horizon_ms: 120_000,
            profile_retention_ms: Self::DEFAULT_PROFILE_RETENTION_MS,
            bounds: EventTimeBounds::NONE,
            rules: RuleSettings::default(),
            rule_set: Vec::new(),
            rule_modes: BTreeMap::new(),
            rule_change: 0,
            lists: ListSettings::default(),
        }
    }
}

/// The settings of the built-in rules; `None` for one that does not run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSettings {
    /// How a user's usual amounts are learnt. Velocity and amount outlier rest on them.
    pub habit: HabitSettings,
    /// Too many or too much in a short time.
    pub velocity: Option<VelocitySettings>,
    /// An amount far from the user's habit.
    pub amount_outlier: Option<AmountOutlierSettings>,
    /// Two places too far apart for the time between.
    pub impossible_travel: Option<ImpossibleTravelSettings>,
    /// Whether the same transaction id with another payload is an anomaly.
    pub replay: bool,
}

impl Default for RuleSettings {
    fn default() -> Self {
        Self {
            habit: HabitSettings::default(),
            velocity: Some(VelocitySettings::default()),
            amount_outlier: Some(AmountOutlierSettings::default()),
            impossible_travel: Some(ImpossibleTravelSettings::default()),
            replay: true,
        }
    }
}

/// How a user's usual amounts are learnt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HabitSettings {
    /// Weight of the newest amount; above 0, at most 1.
    #[serde(with = "exact")]
    pub smoothing: f64,
    /// Purchases of a user in a currency before their habit in it counts; 1 to 10,000.
    pub min_transactions: u32,
    /// The least standard deviation of a log-amount that is assumed; 0.001 to 100.
    #[serde(with = "exact")]
    pub min_deviation: f64,
}

impl Default for HabitSettings {
    fn default() -> Self {
        Self {
            smoothing: 0.1,
            min_transactions: 10,
            min_deviation: 0.3,
        }
    }
}

/// See [`crate::rules::velocity`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VelocitySettings {
    /// The sliding span; 1 s to a day.
    pub span_ms: i64,
    /// More purchases than this in the span fire; 1 to 1,000, as a user's state may hold one more
    /// than that.
    pub max_count: u32,
    /// More than this multiple of the user's usual amount, summed over the span, fires; 1 to
    /// 1,000,000,000.
    #[serde(with = "exact")]
    pub max_sum_ratio: f64,
}

impl Default for VelocitySettings {
    fn default() -> Self {
        Self {
            span_ms: 60_000,
            max_count: 10,
            max_sum_ratio: 30.0,
        }
    }
}

/// See [`crate::rules::amount_outlier`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmountOutlierSettings {
    /// More standard deviations above the mean than this fire; 0.1 to 1,000.
    #[serde(with = "exact")]
    pub max_z_score: f64,
}

impl Default for AmountOutlierSettings {
    fn default() -> Self {
        Self { max_z_score: 4.5 }
    }
}

/// See [`crate::rules::impossible_travel`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImpossibleTravelSettings {
    /// A higher speed fires; 1 to 1,000,000.
    #[serde(with = "exact")]
    pub max_speed_km_per_h: f64,
    /// Distances below this never fire; 0 to 20,038, the Earth's half circumference.
    #[serde(with = "exact")]
    pub min_distance_km: f64,
}

impl Default for ImpossibleTravelSettings {
    fn default() -> Self {
        Self {
            max_speed_km_per_h: 1_000.0,
            min_distance_km: 300.0,
        }
    }
}

/// A setting that is out of its range.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{key} is {value}: must be from {least} to {most}")]
pub struct SettingError {
    /// The key, as `rules.velocity.max_count`.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// The least that is right.
    pub least: String,
    /// The most that is right.
    pub most: String,
}

impl DetectSettings {
    /// Checks every range.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn validate(&self) -> Result<(), SettingError> {
        check(&ranges::MAX_DISORDER_MS, self.max_disorder_ms)?;
        check(&ranges::DEDUP_HORIZON_MS, self.dedup_horizon_ms)?;
        check(&ranges::PROFILE_RETENTION_MS, self.profile_retention_ms)?;
        self.rules.validate()
    }

    /// A stable description of everything that the state and the outputs depend on.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let habit = self.rules.habit;
        let mut text = format!(
            "max_disorder_ms={} dedup_horizon_ms={} profile_retention_ms={} smoothing={} min_transactions={} min_deviation={}",
            self.max_disorder_ms,
            self.dedup_horizon_ms,
            self.profile_retention_ms,
            habit.smoothing,
            habit.min_transactions,
            habit.min_deviation
        );
        if let Some(rule) = self.rules.velocity {
            text += &format!(
                " velocity(span_ms={} max_count={} max_sum_ratio={})",
                rule.span_ms, rule.max_count, rule.max_sum_ratio
            );
        }
        if let Some(rule) = self.rules.amount_outlier {
            text += &format!(" amount_outlier(max_z_score={})", rule.max_z_score);
        }
        if let Some(rule) = self.rules.impossible_travel {
            text += &format!(
                " impossible_travel(max_speed_km_per_h={} min_distance_km={})",
                rule.max_speed_km_per_h, rule.min_distance_km
            );
        }
        if self.rules.replay {
            text += " replay()";
        }
        text
    }
}

impl RuleSettings {
    fn validate(&self) -> Result<(), SettingError> {
        let habit = self.habit;
        check(&ranges::SMOOTHING, habit.smoothing)?;
        check(&ranges::MIN_TRANSACTIONS, habit.min_transactions)?;
        check(&ranges::MIN_DEVIATION, habit.min_deviation)?;
        if let Some(rule) = self.velocity {
            check(&ranges::VELOCITY_SPAN_MS, rule.span_ms)?;
            check(&ranges::VELOCITY_MAX_COUNT, rule.max_count)?;
            check(&ranges::VELOCITY_MAX_SUM_RATIO, rule.max_sum_ratio)?;
        }
        if let Some(rule) = self.amount_outlier {
            check(&ranges::MAX_Z_SCORE, rule.max_z_score)?;
        }
        if let Some(rule) = self.impossible_travel {
            check(&ranges::MAX_SPEED_KM_PER_H, rule.max_speed_km_per_h)?;
            check(&ranges::MIN_DISTANCE_KM, rule.min_distance_km)?;
        }
        Ok(())
    }
}

fn check<T: PartialOrd + Display + Copy>(range: &Range<T>, value: T) -> Result<(), SettingError> {
    if range.has(&value) {
        return Ok(());
    }
    Err(SettingError {
        key: range.key,
        value: value.to_string(),
        least: range.least.to_string(),
        most: range.most.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_out_of_range_is_named_with_its_range() {
        assert_eq!(DetectSettings::default().validate(), Ok(()));
        let mut settings = DetectSettings::default();
        settings.rules.velocity = Some(VelocitySettings {
            max_count: 0,
            ..VelocitySettings::default()
        });
        assert_eq!(
            settings.validate().unwrap_err().to_string(),
            "rules.velocity.max_count is 0: must be from 1 to 1000"
        );
        settings.rules.velocity = None;
        assert_eq!(settings.validate(), Ok(()));
        settings.rules.habit.smoothing = f64::NAN;
        let error = settings.validate().unwrap_err();
        assert_eq!(error.key, "rules.amount_outlier.smoothing");
    }

    #[test]
    fn the_fingerprint_tells_settings_apart() {
        let all = DetectSettings::default();
        let mut fewer = all.clone();
        fewer.rules.replay = false;
        let mut longer = all.clone();
        longer.dedup_horizon_ms += 1;
        assert_ne!(all.fingerprint(), fewer.fingerprint());
        assert_ne!(all.fingerprint(), longer.fingerprint());
    }
}
