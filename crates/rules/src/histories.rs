//! Since when the history of a version's features is kept, as versions follow one another.

use std::collections::BTreeMap;

use crate::catalogue::Entity;
use crate::plan::{Keeps, Measure};
use crate::version::Version;

/// Since when what each feature looks at is kept: what a version asks for that the one before did
/// not, or over a longer window, begins anew with it.
#[derive(Debug, Clone, Default)]
pub struct Histories {
    /// By measure: its longest window, and since when.
    since: BTreeMap<(Entity, Keeps, String), (i64, i64)>,
}

/// What is known of the features that a rule asks for, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// From when on all of its windows are whole; `None` where it asks for no window.
    pub exact_from_ms: Option<i64>,
    /// Since when it learns what it asks for without a window (habits, rows, the last); `None`
    /// where it asks for nothing of the kind.
    pub learns_since_ms: Option<i64>,
}

impl Histories {
    /// Goes on with another version from a time on.
    pub fn go_on(&mut self, version: &Version, time_ms: i64) {
        let since = |measure: &Measure| {
            let key = (measure.entity, measure.keeps, measure.text.clone());
            let before = self.since.get(&key);
            let goes_on = before.filter(|(longest_ms, _)| measure.longest_ms <= *longest_ms);
            let since_ms = goes_on.map_or(time_ms, |(_, since_ms)| *since_ms);
            (key, (measure.longest_ms, since_ms))
        };
        self.since = version.plan().measures.iter().map(since).collect();
    }

    /// What is known of a rule of the version that is gone on with, by its place; nothing of one
    /// that asks for no feature, or is a draft.
    #[must_use]
    pub fn of_rule(&self, version: &Version, rule: usize) -> Known {
        let mut known = Known::default();
        let plan = version.plan();
        let Some(rule) = version.rules().get(rule) else {
            return known;
        };
        for term in rule.terms() {
            term.features(&mut |feature| {
                let text = feature.to_string();
                let Some(slot) = plan.slots.iter().find(|slot| slot.text == text) else {
                    return;
                };
                let measure = &plan.measures[slot.measure];
                let key = (measure.entity, measure.keeps, measure.text.clone());
                let Some((_, since_ms)) = self.since.get(&key) else {
                    return;
                };
                match slot.window_ms {
                    0 => known.learns_since_ms = known.learns_since_ms.max(Some(*since_ms)),
                    window_ms => {
                        known.exact_from_ms = known.exact_from_ms.max(Some(since_ms + window_ms));
                    }
                }
            });
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Budget, parse_rules};

    fn version(conditions: &[&str]) -> Version {
        let rule = |(at, when): (usize, &&str)| {
            format!("  - name: r{at}\n    when: {when}\n    severity: low\n    reason: r\n    mode: live\n")
        };
        let rules: String = conditions.iter().enumerate().map(rule).collect();
        let rules = parse_rules(&format!("rules:\n{rules}")).unwrap();
        Version::new(rules, &Budget::UNLIMITED).unwrap()
    }

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn what_both_versions_ask_for_is_exact_as_it_was() {
        let mut histories = Histories::default();
        let one = version(&["count(\"1h\") > 3", "since_last() < 1h", "amount > 1 EUR"]);
        histories.go_on(&one, 1_000);
        let known = |histories: &Histories, version: &Version, rule| {
            let known = histories.of_rule(version, rule);
            (known.exact_from_ms, known.learns_since_ms)
        };
        assert_eq!(known(&histories, &one, 0), (Some(1_000 + HOUR_MS), None));
        assert_eq!(known(&histories, &one, 1), (None, Some(1_000)));
        assert_eq!(known(&histories, &one, 2), (None, None));
        // A shorter window of the same goes on, another feature begins.
        let other = version(&["count(\"10m\") > 3", "sum(\"1h\", amount) > 9 EUR"]);
        histories.go_on(&other, 5_000);
        assert_eq!(known(&histories, &other, 0), (Some(1_000 + HOUR_MS / 6), None));
        assert_eq!(known(&histories, &other, 1), (Some(5_000 + HOUR_MS), None));
        // The longer window has begun anew, as it was not kept meanwhile.
        histories.go_on(&one, 9_000);
        assert_eq!(known(&histories, &one, 0), (Some(9_000 + HOUR_MS), None));
    }
}
