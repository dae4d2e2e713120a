//! The detector's policy: settings that were checked.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use millrace_engine::EventTimeBounds;
use millrace_rules::{LiveLists, Version};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::listings::ListSettings;
use crate::rule_set::{self, RuleSetError};
use crate::settings::{DetectSettings, RuleFile, SettingError};

/// Settings in which every value is in its range, and the rule set is one: an operator can work
/// with any.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "DetectSettings", into = "DetectSettings")]
pub struct DetectPolicy {
    settings: DetectSettings,
    /// Of the settings' rule set.
    version: Option<Arc<Version>>,
    /// Of the settings' lists.
    live_lists: Arc<LiveLists>,
}

/// Why settings are no policy.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PolicyError {
    /// A setting is out of its range.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The rule set is none.
    #[error(transparent)]
    RuleSet(#[from] RuleSetError),
}

impl DetectPolicy {
    /// Checks the settings, and plans the rule set.
    ///
    /// # Errors
    /// The first setting that is out of its range, or everything that is wrong with the rules.
    pub fn new(settings: DetectSettings) -> Result<Self, PolicyError> {
        settings.validate()?;
        let version = rule_set::version(&settings)?;
        Ok(Self {
            live_lists: settings.lists.live(),
            settings,
            version,
        })
    }

    /// The same with other lists and snoozes.
    #[must_use]
    pub fn with_lists(mut self, lists: ListSettings) -> Self {
        self.live_lists = lists.live();
        self.settings.lists = lists;
        self
    }

    /// The same with other bounds.
    #[must_use]
    pub fn with_bounds(mut self, bounds: EventTimeBounds) -> Self {
        self.settings.bounds = bounds;
        self
    }

    /// The same with another rule set: its files, modes that differ from them, and the number of
    /// the change that it is of.
    ///
    /// # Errors
    /// Everything that is wrong with the rules.
    pub fn with_rule_set(
        &self,
        files: Vec<RuleFile>,
        modes: BTreeMap<String, String>,
        change: u64,
    ) -> Result<Self, PolicyError> {
        Self::new(DetectSettings {
            rule_set: files,
            rule_modes: modes,
            rule_change: change,
            ..self.settings.clone()
        })
    }

    /// Whether two policies differ in nothing but their rule sets, lists and snoozes.
    pub(crate) fn differs_in_rule_set_alone(&self, other: &Self) -> bool {
        let without = |settings: &DetectSettings| DetectSettings {
            rule_set: Vec::new(),
            rule_modes: BTreeMap::new(),
            rule_change: 0,
            lists: ListSettings::default(),
            ..settings.clone()
        };
        without(&self.settings) == without(&other.settings)
    }

    /// The rule set, planned; `None` where there is none.
    #[must_use]
    pub fn version(&self) -> Option<&Arc<Version>> {
        self.version.as_ref()
    }

    /// The lists, as rules look into them.
    pub(crate) fn live_lists(&self) -> &Arc<LiveLists> {
        &self.live_lists
    }
}

/// Version and lists are functions of the settings.
impl PartialEq for DetectPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Deref for DetectPolicy {
    type Target = DetectSettings;

    fn deref(&self) -> &DetectSettings {
        &self.settings
    }
}

impl TryFrom<DetectSettings> for DetectPolicy {
    type Error = PolicyError;

    fn try_from(settings: DetectSettings) -> Result<Self, PolicyError> {
        Self::new(settings)
    }
}

impl From<DetectPolicy> for DetectSettings {
    fn from(policy: DetectPolicy) -> Self {
        policy.settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Equal to itself, to the last bit of every double.
        #[test]
        fn comes_back_from_its_text(
            smoothing in 1e-6_f64..=1.0,
            max_sum_ratio in 1.0_f64..=1e9,
            min_distance_km in 0.0_f64..=20_038.0,
            has_travel: bool,
        ) {
            let mut settings = DetectSettings::default();
            settings.rules.habit.smoothing = smoothing;
            settings.rules.velocity.as_mut().unwrap().max_sum_ratio = max_sum_ratio;
            settings.rules.impossible_travel.as_mut().unwrap().min_distance_km = min_distance_km;
            if !has_travel {
                settings.rules.impossible_travel = None;
            }
            let policy = DetectPolicy::new(settings).unwrap();
            let text = serde_json::to_string(&policy).unwrap();
            prop_assert_eq!(serde_json::from_str::<DetectPolicy>(&text).unwrap(), policy);
        }
    }

    #[test]
    fn an_impossible_one_is_refused_with_the_key() {
        let policy = DetectPolicy::new(DetectSettings::default()).unwrap();
        let text = serde_json::to_string(&policy).unwrap();
        let impossible = text.replace("\"max_count\":10", "\"max_count\":0");
        let error = serde_json::from_str::<DetectPolicy>(&impossible).unwrap_err();
        let expected = "rules.velocity.max_count is 0: must be from 1 to 1000";
        assert!(error.to_string().contains(expected), "{error}");
    }
}
