//! What was measured.

use std::collections::HashSet;

use anyhow::bail;
use millrace_domain::Sum;
use millrace_evaluation::budget::{AtBudget, at_budget, chosen};
use millrace_evaluation::cards::card_precision_top_k;
use millrace_evaluation::delay::time_to_detect;
use millrace_evaluation::ranking::{average_precision, roc_auc};
use millrace_evaluation::value::value_detected;
use millrace_evaluation::{Outcome, known_cards};
use serde::Serialize;

use super::collect::Collected;
use super::labels::Labels;
use crate::detect::time_text;

/// Alerts of 10,000 transactions that are looked into.
const BUDGETS: [u32; 5] = [1, 5, 10, 50, 100];
/// The budget by which recall of each kind of fraud is told: 1 %.
const SCENARIO_BUDGET: u32 = 100;

/// Of what is measured, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measure<'a> {
    /// The column of labels, for messages.
    pub(crate) labels: &'a str,
    /// From when on transactions count, in milliseconds since 1970.
    pub(crate) since_ms: Option<i64>,
    /// Whether users who had a fraud before that are left out.
    pub(crate) remove_known_users: bool,
    /// Users that are looked into on a day, for card precision.
    pub(crate) top_k: u32,
}

/// What was measured, and of what.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) rule_set_version: String,
    /// The first and the last transaction that count.
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) transactions: usize,
    pub(crate) frauds: usize,
    pub(crate) users: usize,
    /// Transactions that were judged, and do not count: before `--since`.
    pub(crate) warm_up_transactions: usize,
    /// Users who were left out with all their transactions, by `--remove-known-users`.
    pub(crate) known_users: usize,
    pub(crate) duplicates: u64,
    pub(crate) rejected: u64,
    pub(crate) average_precision: Option<f64>,
    pub(crate) roc_auc: Option<f64>,
    pub(crate) card_precision: CardPrecision,
    pub(crate) alerted: Alerted,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) value_detected: Vec<Value>,
    pub(crate) time_to_detect: TimeToDetect,
    pub(crate) rules: Vec<RuleQuality>,
}

#[derive(Debug, Serialize)]
pub(crate) struct CardPrecision {
    pub(crate) top_k: u32,
    pub(crate) days: u32,
    pub(crate) mean: f64,
    pub(crate) ceiling: f64,
}

/// Transactions with an alert of any rule.
#[derive(Debug, Serialize)]
pub(crate) struct Alerted {
    pub(crate) transactions: usize,
    pub(crate) caught: usize,
    pub(crate) precision: Option<f64>,
    pub(crate) recall: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Budget {
    pub(crate) per_10_000: u32,
    pub(crate) looked_into: u64,
    pub(crate) caught: u64,
    pub(crate) precision: Option<f64>,
    pub(crate) recall: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) frauds: usize,
    /// Of those, which had an alert.
    pub(crate) recall_of_alerts: Option<f64>,
    /// Of those, which are among the 1 % that are looked into.
    pub(crate) recall_at_1_percent: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Value {
    pub(crate) currency: String,
    pub(crate) fraud: String,
    pub(crate) alerted: String,
    pub(crate) rate: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct TimeToDetect {
    pub(crate) users: usize,
    pub(crate) never: usize,
    /// In seconds; none where fewer were ever detected.
    pub(crate) p50_s: Option<f64>,
    pub(crate) p90_s: Option<f64>,
    pub(crate) p99_s: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct RuleQuality {
    pub(crate) rule: String,
    pub(crate) alerts: usize,
    pub(crate) caught: usize,
    pub(crate) precision: Option<f64>,
    pub(crate) recall: Option<f64>,
}

impl Report {
    /// Measures.
    ///
    /// # Errors
    /// No transaction is left, or none of them is fraud.
    pub(crate) fn new(collected: &Collected, labels: &Labels, measure: &Measure<'_>) -> anyhow::Result<Self> {
        let since_ms = measure.since_ms.unwrap_or(i64::MIN);
        let known = if measure.remove_known_users {
            known_cards(&collected.outcomes, since_ms)
        } else {
            HashSet::new()
        };
        let all = &collected.outcomes;
        let kept: Vec<usize> = (0..all.len())
            .filter(|&at| all[at].time_ms >= since_ms && !known.contains(&all[at].card))
            .collect();
        let outcomes: Vec<Outcome> = kept.iter().map(|&at| all[at]).collect();
        let (Some(first), Some(last)) = (outcomes.first(), outcomes.last()) else {
            bail!("no transaction is left to measure: look at --since, --until and the reject file");
        };
        let frauds = outcomes.iter().filter(|outcome| outcome.is_fraud).count();
        if frauds == 0 {
            bail!(
                "none of the {} transactions is fraud: is {} the right column?",
                outcomes.len(),
                measure.labels
            );
        }
        Ok(Self {
            rule_set_version: collected.version.clone(),
            first: time_text(first.time_ms),
            last: time_text(last.time_ms),
            transactions: outcomes.len(),
            frauds,
            users: users(&outcomes),
            warm_up_transactions: all.iter().filter(|outcome| outcome.time_ms < since_ms).count(),
            known_users: known.len(),
            duplicates: collected.duplicates,
            rejected: collected.rejected,
            average_precision: average_precision(&outcomes),
            roc_auc: roc_auc(&outcomes),
            card_precision: card_precision(&outcomes, measure.top_k),
            alerted: alerted(&outcomes, frauds),
            budgets: BUDGETS
                .map(|budget| Budget::from(at_budget(&outcomes, budget)))
                .to_vec(),
            scenarios: scenarios(&outcomes, &kept, collected, labels),
            value_detected: values(&outcomes, collected),
            time_to_detect: delays(&outcomes),
            rules: rules(&kept, frauds, collected),
        })
    }
}

fn users(outcomes: &[Outcome]) -> usize {
    let cards: HashSet<u32> = outcomes.iter().map(|outcome| outcome.card).collect();
    cards.len()
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    millrace_evaluation::ratio(part as u64, whole as u64)
}

fn card_precision(outcomes: &[Outcome], top_k: u32) -> CardPrecision {
    let found = card_precision_top_k(outcomes, top_k as usize);
    CardPrecision {
        top_k,
        days: found.map_or(0, |found| found.days),
        mean: found.map_or(0.0, |found| found.mean),
        ceiling: found.map_or(0.0, |found| found.ceiling),
    }
}

fn alerted(outcomes: &[Outcome], frauds: usize) -> Alerted {
    let transactions = outcomes.iter().filter(|outcome| outcome.score.is_some()).count();
    let caught = outcomes
        .iter()
        .filter(|outcome| outcome.is_fraud && outcome.score.is_some())
        .count();
    Alerted {
        transactions,
        caught,
        precision: ratio(caught, transactions),
        recall: ratio(caught, frauds),
    }
}

impl From<AtBudget> for Budget {
    fn from(found: AtBudget) -> Self {
        Self {
            per_10_000: found.per_10_000,
            looked_into: found.looked_into,
            caught: found.caught,
            precision: found.precision,
            recall: found.recall,
        }
    }
}

fn scenarios(outcomes: &[Outcome], kept: &[usize], collected: &Collected, labels: &Labels) -> Vec<Scenario> {
    let chosen: HashSet<usize> = chosen(outcomes, SCENARIO_BUDGET).into_iter().collect();
    let mut found: Vec<Scenario> = Vec::new();
    for (number, name) in labels.scenarios.iter().enumerate() {
        let of: Vec<usize> = (0..outcomes.len())
            .filter(|&at| outcomes[at].is_fraud && usize::from(collected.scenarios[kept[at]]) == number)
            .collect();
        let alerted = of.iter().filter(|&&at| outcomes[at].score.is_some()).count();
        let looked_into = of.iter().filter(|at| chosen.contains(at)).count();
        found.push(Scenario {
            name: name.clone(),
            frauds: of.len(),
            recall_of_alerts: ratio(alerted, of.len()),
            recall_at_1_percent: ratio(looked_into, of.len()),
        });
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

fn values(outcomes: &[Outcome], collected: &Collected) -> Vec<Value> {
    let money = |units: i128| Sum::from_units(units).to_string();
    value_detected(outcomes)
        .into_iter()
        .map(|value| Value {
            currency: collected.currencies[value.currency as usize].clone(),
            fraud: money(value.fraud_units),
            alerted: money(value.alerted_units),
            rate: value.rate(),
        })
        .collect()
}

fn delays(outcomes: &[Outcome]) -> TimeToDetect {
    let found = time_to_detect(outcomes);
    let seconds = |percent| found.percentile_ms(percent).map(|ms| ms as f64 / 1_000.0);
    TimeToDetect {
        users: found.cards(),
        never: found.never,
        p50_s: seconds(50),
        p90_s: seconds(90),
        p99_s: seconds(99),
    }
}

fn rules(kept: &[usize], frauds: usize, collected: &Collected) -> Vec<RuleQuality> {
    let kept: HashSet<usize> = kept.iter().copied().collect();
    let mut counts = vec![(0, 0); collected.rules.len()];
    for &(at, rule) in collected.alerts.iter().filter(|(at, _)| kept.contains(at)) {
        let (alerts, caught) = &mut counts[rule];
        *alerts += 1;
        *caught += usize::from(collected.outcomes[at].is_fraud);
    }
    let names = collected.rules.iter().cloned();
    names
        .zip(counts)
        .map(|(rule, (alerts, caught))| RuleQuality {
            rule,
            alerts,
            caught,
            precision: ratio(caught, alerts),
            recall: ratio(caught, frauds),
        })
        .collect()
}
