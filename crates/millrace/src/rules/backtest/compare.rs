//! What two sets of rules said of the same transactions, side by side.

use std::collections::{BTreeMap, HashSet};

use millrace_domain::{ShortId, Transaction};
use millrace_rules::{Fired, MeaningHash, Version};
use serde::Serialize;

const DAY_MS: i64 = 86_400_000;

/// Which set of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Those that are compared with.
    Before,
    /// Those that are checked.
    Now,
}

/// An alert that one side alone has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    /// Who has it.
    pub(super) side: Side,
    /// What that side's rule said.
    pub(super) fired: Fired,
}

/// What one side said.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) alerts: u64,
    /// Transactions with an alert or several.
    pub(super) transactions: u64,
    /// Users with such a transaction.
    pub(super) users: HashSet<ShortId>,
    /// By day (UTC, since 1970): alerts.
    pub(super) days: BTreeMap<i64, u64>,
}

/// What became of a rule's alerts. A rule is known by its name.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct RuleChange {
    pub(super) rule: String,
    /// What became of its meaning: new, gone, changed or same.
    pub(super) change: &'static str,
    pub(super) before: u64,
    pub(super) now: u64,
    pub(super) added: u64,
    pub(super) removed: u64,
    pub(super) severity_changed: u64,
    pub(super) score_changed: u64,
}

impl RuleChange {
    /// Before the first transaction.
    fn new((rule, revisions): (&str, [Option<MeaningHash>; 2])) -> Self {
        Self {
            rule: rule.to_owned(),
            change: match revisions {
                [None, _] => "new",
                [_, None] => "gone",
                [before, now] if before == now => "same",
                _ => "changed",
            },
            ..Self::default()
        }
    }
}

/// Compares, transaction by transaction.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) rules: Vec<RuleChange>,
    /// By side, and by the rule's place there: its place in `rules`.
    places: [Vec<usize>; 2],
    pub(super) said: [Said; 2],
    pub(super) transactions: u64,
    pub(super) times_ms: Option<(i64, i64)>,
    /// Transactions with an alert now that had none, and the other way about.
    pub(super) transactions_added: u64,
    pub(super) transactions_removed: u64,
}

impl Comparison {
    /// Before the first transaction.
    pub(super) fn new(before: &Version, now: &Version) -> Self {
        // The hashes of what a rule means, by side.
        let mut by_name: BTreeMap<&str, [Option<MeaningHash>; 2]> = BTreeMap::new();
        for (side, version) in [before, now].into_iter().enumerate() {
            for rule in version.rules() {
                by_name.entry(rule.name()).or_default()[side] = Some(rule.revision());
            }
        }
        let places = [before, now].map(|version| {
            let place = |name: &str| by_name.keys().position(|known| *known == name);
            let rules = version.rules().iter();
            // Each is there: it was put there above.
            rules.filter_map(|rule| place(rule.name())).collect()
        });
        Self {
            rules: by_name.into_iter().map(RuleChange::new).collect(),
            places,
            said: [Said::default(), Said::default()],
            transactions: 0,
            times_ms: None,
            transactions_added: 0,
            transactions_removed: 0,
        }
    }

    /// Compares what was said of the next transaction. Returns what one side alone alerts of, the
    /// alerts that are gone first.
    pub(super) fn take(
        &mut self,
        transaction: &Transaction,
        before: &[Fired],
        now: &[Fired],
    ) -> Vec<Difference> {
        let time_ms = transaction.transaction_time_ms;
        self.transactions += 1;
        let first_ms = self.times_ms.map_or(time_ms, |(first_ms, _)| first_ms);
        self.times_ms = Some((first_ms, time_ms));
        let alerted = [before, now].map(|fired| alerts(fired).count() as u64);
        for (said, alerts) in self.said.iter_mut().zip(alerted) {
            if alerts > 0 {
                said.alerts += alerts;
                said.transactions += 1;
                said.users.insert(transaction.user_id);
                *said.days.entry(time_ms.div_euclid(DAY_MS)).or_default() += alerts;
            }
        }
        self.transactions_added += u64::from(alerted[0] == 0 && alerted[1] > 0);
        self.transactions_removed += u64::from(alerted[0] > 0 && alerted[1] == 0);
        if alerted == [0, 0] {
            return Vec::new();
        }
        self.take_rules(before, now)
    }

    fn take_rules(&mut self, before: &[Fired], now: &[Fired]) -> Vec<Difference> {
        let mut differences = Vec::new();
        for alert in alerts(before) {
            let place = self.places[0][alert.rule];
            self.rules[place].before += 1;
            if !alerts(now).any(|other| self.places[1][other.rule] == place) {
                self.rules[place].removed += 1;
                differences.push(Difference {
                    side: Side::Before,
                    fired: alert.clone(),
                });
            }
        }
        for alert in alerts(now) {
            let place = self.places[1][alert.rule];
            let known = alerts(before).find(|other| self.places[0][other.rule] == place);
            let rule = &mut self.rules[place];
            rule.now += 1;
            match known {
                None => {
                    rule.added += 1;
                    differences.push(Difference {
                        side: Side::Now,
                        fired: alert.clone(),
                    });
                }
                Some(known) => {
                    rule.severity_changed += u64::from(known.severity != alert.severity);
                    let bits = |score: Option<f64>| score.map(f64::to_bits);
                    rule.score_changed += u64::from(bits(known.score) != bits(alert.score));
                }
            }
        }
        differences
    }
}

fn alerts(fired: &[Fired]) -> impl Iterator<Item = &Fired> {
    fired.iter().filter(|fired| fired.alerts)
}
