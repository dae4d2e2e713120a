//! The rules that are judged by, with since when they know what they ask for.

use anyhow::Context as _;
use millrace_domain::RuleChange;
use millrace_fraud::RuleHistory;
use millrace_rules::{Histories, Known, Version};
use millrace_settings::Settings;
use std::sync::Arc;

use super::change::Rules;

/// The rules that are judged by.
pub(super) struct State {
    /// The change that they are of; `None` of the configuration's files.
    pub(super) change: Option<RuleChange>,
    /// `None` of no rules.
    pub(super) version: Option<Arc<Version>>,
    /// By rule of the version; empty where no change says since when.
    pub(super) known: Vec<Known>,
}

impl State {
    /// Follows the changes that have held up to the one in force.
    ///
    /// # Errors
    /// The rules in force are none for a detector of these settings.
    pub(super) fn of(settings: &Settings, history: &RuleHistory) -> anyhow::Result<Self> {
        let two_keys = settings.detector.rules.two_keys;
        let mut histories = Histories::default();
        for change in history.held(two_keys) {
            // What cannot be judged by was passed over by the detector too.
            match Rules::of(change).policy(settings) {
                Ok(policy) => match policy.version() {
                    Some(version) => histories.go_on(version, change.time_ms),
                    None => histories = Histories::default(),
                },
                Err(error) => tracing::warn!(change = change.number, %error, "a change is passed over"),
            }
        }
        let change = history.in_force(two_keys).cloned();
        let rules = Rules::in_force(settings, history)?;
        let policy = rules.policy(settings).context("the rules in force")?;
        let version = policy.version().cloned();
        let known = match (&change, &version) {
            (Some(_), Some(version)) => (0..version.rules().len())
                .map(|rule| histories.of_rule(version, rule))
                .collect(),
            _ => Vec::new(),
        };
        Ok(Self {
            change,
            version,
            known,
        })
    }
}
