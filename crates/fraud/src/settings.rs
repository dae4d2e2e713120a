//! What can be set, beside the built-in rules, whose settings are with them.

use std::collections::BTreeMap;
use std::str::FromStr;

use millrace_engine::EventTimeBounds;
use millrace_engine::policy::DAY_MS;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::listings::ListSettings;
use crate::ranges;
use crate::rules::RuleSettings;

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
        let mut first = None;
        let mut refuse = |error| {
            first.get_or_insert(error);
        };
        ranges::MAX_DISORDER_MS.check(self.max_disorder_ms, &mut refuse);
        ranges::DEDUP_HORIZON_MS.check(self.dedup_horizon_ms, &mut refuse);
        ranges::PROFILE_RETENTION_MS.check(self.profile_retention_ms, &mut refuse);
        self.rules.check(&mut refuse);
        first.map_or(Ok(()), Err)
    }

    /// A stable description of everything that the state and the outputs depend on.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!(
            "max_disorder_ms={} dedup_horizon_ms={} profile_retention_ms={} {}",
            self.max_disorder_ms,
            self.dedup_horizon_ms,
            self.profile_retention_ms,
            self.rules.text()
        )
    }

    /// The settings of a state by the fingerprint that releases without policies gave it: as
    /// [`Self::fingerprint`], with `max_future_ms` behind; `None` where it is none.
    #[must_use]
    pub fn of_fingerprint(fingerprint: &str) -> Option<Self> {
        Some(Self {
            max_disorder_ms: number(fingerprint, "max_disorder_ms")?,
            dedup_horizon_ms: number(fingerprint, "dedup_horizon_ms")?,
            profile_retention_ms: number(fingerprint, "profile_retention_ms")?,
            bounds: EventTimeBounds {
                max_future_ms: number(fingerprint, "max_future_ms")?,
                earliest_ms: None,
                refuses_misplaced: false,
                partitions: None,
            },
            rules: RuleSettings::of_text(fingerprint)?,
            ..Self::default()
        })
    }
}

/// The number behind a name, as `max_count=10`.
pub(crate) fn number<N: FromStr>(text: &str, name: &str) -> Option<N> {
    let value = text
        .split([' ', '(', ')'])
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::velocity::VelocitySettings;

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
