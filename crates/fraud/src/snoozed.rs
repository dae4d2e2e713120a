//! Alerts that are not raised, as somebody has said so for a while.

use std::collections::BTreeMap;

use millrace_domain::{Anomaly, ShortId};

use crate::listings::ListSettings;

/// How many alerts were not raised as they are snoozed, by rule, since the start of this process.
/// What rules keep goes on as without: only what they say is left out. Figures for a metric, no
/// part of the state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snoozed(BTreeMap<String, u64>);

impl Snoozed {
    /// Whether an alert of a rule about a user is left out; counts it then.
    #[cold]
    pub(crate) fn take(&mut self, lists: &ListSettings, rule: &str, user: &ShortId, time_ms: i64) -> bool {
        let is_snoozed = lists.is_snoozed(rule, user, time_ms);
        if is_snoozed {
            match self.0.get_mut(rule) {
                Some(count) => *count += 1,
                None => {
                    self.0.insert(rule.to_owned(), 1);
                }
            }
        }
        is_snoozed
    }

    /// Raises an anomaly, unless it is snoozed.
    #[cold]
    pub(crate) fn raise(
        &mut self,
        lists: &ListSettings,
        anomaly: Option<Anomaly>,
        outputs: &mut Vec<Anomaly>,
    ) {
        outputs.extend(anomaly.filter(|anomaly| {
            let (rule, time_ms) = (&anomaly.rule, anomaly.event_time_ms);
            !self.take(lists, rule, &anomaly.entity, time_ms)
        }));
    }

    /// By rule.
    pub(crate) fn counts(&self) -> &BTreeMap<String, u64> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snooze_holds_to_the_millisecond_of_its_end_for_one_rule_and_one_user() {
        let id = |text: &str| ShortId::new(text, "test").unwrap();
        let lists = ListSettings {
            snoozes: BTreeMap::from([("velocity".to_owned(), BTreeMap::from([("u-1".to_owned(), 1_000)]))]),
            ..ListSettings::default()
        };
        let mut snoozed = Snoozed::default();
        assert!(snoozed.take(&lists, "velocity", &id("u-1"), 999));
        assert!(!snoozed.take(&lists, "velocity", &id("u-1"), 1_000));
        assert!(!snoozed.take(&lists, "velocity", &id("u-2"), 999));
        assert!(!snoozed.take(&lists, "replay", &id("u-1"), 999));
        assert!(!snoozed.take(&ListSettings::default(), "velocity", &id("u-1"), 0));
        assert_eq!(snoozed.counts(), &BTreeMap::from([("velocity".to_owned(), 1)]));
    }
}
