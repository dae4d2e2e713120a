//! What an operator tells of itself, for metrics and tests.

use std::collections::BTreeMap;

use millrace_rules::Evaluator;

use super::DetectOperator;

impl DetectOperator {
    /// The highest event time accepted, in milliseconds since 1970.
    #[must_use]
    pub fn max_event_time_ms(&self) -> Option<i64> {
        self.watermark.max_event_time_ms()
    }

    /// Number of users with a profile in memory.
    #[must_use]
    pub fn profiles(&self) -> usize {
        self.profiles.len()
    }

    /// Number of transaction ids remembered.
    #[must_use]
    pub fn remembered_ids(&self) -> usize {
        self.payloads.len()
    }

    /// What runs the rule set; `None` where there is none.
    #[must_use]
    pub fn evaluator(&self) -> Option<&Evaluator> {
        self.rule_set.as_ref().map(|rule_set| rule_set.evaluator())
    }

    /// Card purchases since the start of this process in a place that the reference data does not
    /// know: the impossible-travel rule skipped them. A figure for a metric, no part of the state.
    #[must_use]
    pub fn unknown_locations(&self) -> u64 {
        self.unknown_locations
    }

    /// Alerts since the start of this process that were not raised as they are snoozed, by rule.
    /// Figures for a metric, no part of the state.
    #[must_use]
    pub fn snoozed(&self) -> &BTreeMap<String, u64> {
        self.snoozed.counts()
    }
}
