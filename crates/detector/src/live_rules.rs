//! The policy of a detector whose rules change while it runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use anyhow::{Context as _, bail};
use millrace_domain::RuleChange;
use millrace_fraud::{DetectPolicy, ListSettings, RuleFile, RuleHistory};
use millrace_runtime::processor::policy_to_text;
use millrace_settings::RuleBudget;

use crate::rule_files;

/// The policy as it is by now: that of the settings, with the rule set of the newest change that
/// holds, and the lists and snoozes of the topic. The jobs of a process share it.
#[derive(Debug)]
pub struct LiveRules {
    policy: RwLock<DetectPolicy>,
    changes: AtomicU64,
}

impl LiveRules {
    /// With this policy to begin with.
    #[must_use]
    pub fn new(policy: DetectPolicy) -> Self {
        Self {
            policy: RwLock::new(policy),
            changes: AtomicU64::new(0),
        }
    }

    /// The policy as it is by now.
    #[must_use]
    pub fn policy(&self) -> DetectPolicy {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often it has changed.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Goes on with another rule set, and with the lists and snoozes that there are.
    ///
    /// # Errors
    /// As of [`check_len`]: all stays as it was.
    pub fn set_rules(&self, policy: DetectPolicy) -> anyhow::Result<()> {
        self.change(|before| policy.with_lists(before.lists.clone()))
    }

    /// Goes on with other lists and snoozes, and with the rule set that there is.
    ///
    /// # Errors
    /// As of [`check_len`]: all stays as it was.
    pub fn set_lists(&self, lists: ListSettings) -> anyhow::Result<()> {
        self.change(|before| before.clone().with_lists(lists))
    }

    fn change(&self, of: impl FnOnce(&DetectPolicy) -> DetectPolicy) -> anyhow::Result<()> {
        let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        let next = of(&policy);
        check_len(&next)?;
        // An entry that says the same once more is no change: nothing has to be recorded.
        if *policy != next {
            *policy = next;
            self.changes.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }
}

/// The most bytes of a policy within a control record: a change of policy is one with the policy
/// before and after it, and a record of a megabyte is all that a topic need take.
const MAX_POLICY_LEN: usize = 480_000;

/// Checks that a change to this policy can be recorded.
///
/// # Errors
/// Rules, lists and snoozes are too long together.
pub fn check_len(policy: &DetectPolicy) -> anyhow::Result<()> {
    let text = policy_to_text(policy);
    // As a text within a text: quotes, backslashes and ends of lines take one byte more.
    let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n'));
    let length = text.len() + escaped.count();
    if length > MAX_POLICY_LEN {
        bail!(
            "the rules, lists and snoozes have {length} bytes together as they are recorded: at most \
             {MAX_POLICY_LEN}. `millrace lists remove --expired` takes away what is over"
        );
    }
    Ok(())
}

/// The policy of the settings with the rule set of a change.
///
/// # Errors
/// What is wrong with the rules for a detector of these settings, or that they cost more than the
/// budget.
pub fn policy_of(
    base: &DetectPolicy,
    change: &RuleChange,
    budget: &RuleBudget,
) -> anyhow::Result<DetectPolicy> {
    let of_change = || format!("change {} of fraud_rules, by {}", change.number, change.author);
    let file = |file: &millrace_domain::RuleText| RuleFile {
        name: file.name.clone(),
        text: file.text.clone(),
    };
    let modes: BTreeMap<_, _> = change.modes.iter().cloned().collect();
    let files = change.files.iter().map(file).collect();
    let policy = base
        .with_rule_set(files, modes, change.number)
        .with_context(of_change)?;
    rule_files::check_cost(&policy, budget).with_context(of_change)?;
    Ok(policy)
}

/// The policy of the newest change that holds and that a detector of these settings can judge by,
/// and why newer ones were passed over; of no change, that of the settings.
pub(crate) fn newest(
    base: &DetectPolicy,
    history: &RuleHistory,
    (budget, two_keys): (&RuleBudget, bool),
) -> (DetectPolicy, Vec<anyhow::Error>) {
    let mut refused = Vec::new();
    let held: Vec<_> = history.held(two_keys).collect();
    for change in held.into_iter().rev() {
        match policy_of(base, change, budget) {
            Ok(policy) => return (policy, refused),
            Err(error) => refused.push(error),
        }
    }
    (base.clone(), refused)
}

#[cfg(test)]
mod tests {
    use millrace_domain::{RuleChangeStatus, RuleText};
    use millrace_fraud::DetectSettings;

    use super::*;

    fn change(number: u64, when: &str) -> RuleChange {
        let text = format!(
            "rules:\n  - name: high\n    when: {when}\n    severity: low\n    reason: r\n    mode: live\n"
        );
        RuleChange {
            number,
            status: RuleChangeStatus::InForce,
            action: "apply".to_owned(),
            base: number - 1,
            proposal: None,
            version: String::new(),
            files: vec![RuleText {
                name: "r.yml".to_owned(),
                text,
            }],
            modes: vec![("high".to_owned(), "shadow".to_owned())],
            author: "ann".to_owned(),
            approved_by: None,
            reason: "r".to_owned(),
            time_ms: 0,
        }
    }

    fn base() -> DetectPolicy {
        DetectPolicy::new(DetectSettings::default()).unwrap()
    }

    #[test]
    fn the_newest_change_that_can_be_judged_by_is_taken() {
        let mut history = RuleHistory::default();
        let budget = RuleBudget::default();
        assert_eq!(newest(&base(), &history, (&budget, false)).0, base());
        history.add(change(1, "amount > 100 EUR"));
        history.add(change(2, "amuont > 100 EUR"));
        let (policy, refused) = newest(&base(), &history, (&budget, false));
        assert_eq!(policy.rule_change, 1);
        let mode = policy.version().unwrap().rules()[0].mode().to_string();
        assert_eq!(mode, "shadow");
        let [refused] = &refused[..] else {
            panic!("{refused:?}")
        };
        let told = format!("{refused:#}");
        assert!(
            told.contains("change 2") && told.contains("no `amuont`"),
            "{told}"
        );
    }

    #[test]
    fn a_mode_of_no_rule_or_that_is_none_is_refused() {
        let mut wrong = change(1, "amount > 100 EUR");
        wrong.modes = vec![("hihg".to_owned(), "live".to_owned())];
        let error = policy_of(&base(), &wrong, &RuleBudget::default()).unwrap_err();
        assert!(
            format!("{error:#}").contains("no rule `hihg` in the rule set"),
            "{error:#}"
        );
        wrong.modes = vec![("high".to_owned(), "110 %".to_owned())];
        let error = policy_of(&base(), &wrong, &RuleBudget::default()).unwrap_err();
        assert!(format!("{error:#}").contains("\"110 %\" is no mode"), "{error:#}");
    }

    #[test]
    fn whoever_asks_sees_a_change_by_its_count() {
        let rules = LiveRules::new(base());
        assert_eq!(rules.changes(), 0);
        let next = policy_of(&base(), &change(7, "amount > 1 EUR"), &RuleBudget::default()).unwrap();
        rules.set_rules(next.clone()).unwrap();
        assert_eq!((rules.changes(), rules.policy()), (1, next.clone()));
        let lists = ListSettings {
            snoozes: BTreeMap::from([("high".to_owned(), BTreeMap::from([("u-1".to_owned(), 5)]))]),
            ..ListSettings::default()
        };
        rules.set_lists(lists.clone()).unwrap();
        rules.set_lists(lists.clone()).unwrap();
        assert_eq!((rules.changes(), rules.policy().rule_change), (2, 7));
        let next = policy_of(&base(), &change(8, "amount > 2 EUR"), &RuleBudget::default()).unwrap();
        rules.set_rules(next.clone()).unwrap();
        assert_eq!(rules.policy(), next.clone().with_lists(lists));
        let users = (0..12_000).map(|number| (format!("user-of-a-long-name-{number}"), 1_760_000_000_000));
        let long = ListSettings {
            snoozes: BTreeMap::from([("high".to_owned(), users.collect())]),
            ..ListSettings::default()
        };
        let error = rules.set_lists(long.clone()).unwrap_err().to_string();
        assert!(error.contains("at most 480000"), "{error}");
        assert_eq!(rules.changes(), 3, "all stays as it was");
        let text = policy_to_text(&next.clone().with_lists(long.clone()));
        let in_record = serde_json::to_string(&text).unwrap().len() - 2;
        assert!(
            error.contains(&format!("have {in_record} bytes")),
            "{error}, not {in_record}"
        );
    }
}
