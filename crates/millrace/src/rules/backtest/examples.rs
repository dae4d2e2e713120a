//! The most telling of the alerts that one side alone has, with what their rules saw.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use millrace_domain::Transaction;
use millrace_rules::{Evaluator, Evidence, Fired};
use serde::Serialize;

use super::compare::Side;
use crate::detect::time_text;

/// How telling an alert is: frauds before others, then by its score, then the earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    is_fraud: bool,
    /// Ordered as the score is.
    score: i64,
    earlier: Reverse<i64>,
}

impl Rank {
    /// That of an alert; a rule without a score counts as 1.
    pub(super) fn new(is_fraud: Option<bool>, score: Option<f64>, time_ms: i64) -> Self {
        // The order of f64::total_cmp.
        let bits = score.unwrap_or(1.0).to_bits().cast_signed();
        Self {
            is_fraud: is_fraud.unwrap_or(false),
            score: bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed(),
            earlier: Reverse(time_ms),
        }
    }
}

/// An alert that one side alone has.
#[derive(Debug, Serialize)]
pub(in crate::rules) struct Example {
    pub(super) rule: String,
    pub(super) severity: &'static str,
    pub(super) score: Option<f64>,
    pub(super) transaction_id: String,
    pub(super) user_id: String,
    pub(super) merchant_id: String,
    pub(super) transaction_time: String,
    pub(super) amount: String,
    pub(super) currency: String,
    /// The label, where there are labels.
    pub(super) is_fraud: Option<bool>,
    /// What the rule asked for, and what it was, as `count("1h") = 12`.
    pub(super) features: Vec<String>,
}

/// The most telling ones of each side.
#[derive(Debug)]
pub(super) struct Examples {
    most: usize,
    /// By rank and, of equal ones, the order in which they came.
    kept: [BTreeMap<(Rank, Reverse<u64>), Example>; 2],
    offered: u64,
}

impl Examples {
    /// Keeps so many of each side.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            kept: [BTreeMap::new(), BTreeMap::new()],
            offered: 0,
        }
    }

    /// Takes an alert in, if it is more telling than the least of those that are kept.
    pub(super) fn offer(
        &mut self,
        side: Side,
        rank: Rank,
        evaluator: &Evaluator,
        transaction: &Transaction,
        fired: &Fired,
        is_fraud: Option<bool>,
    ) {
        let kept = &mut self.kept[side as usize];
        self.offered += 1;
        let key = (rank, Reverse(self.offered));
        let is_full = kept.len() >= self.most;
        if is_full && kept.first_key_value().is_some_and(|(least, _)| *least > key) {
            return;
        }
        kept.insert(key, Example::new(evaluator, transaction, fired, is_fraud));
        if is_full {
            kept.pop_first();
        }
        debug_assert!(kept.len() <= self.most, "what is kept is bounded");
    }

    /// Those added and those removed, the most telling first.
    pub(super) fn into_lists(self) -> (Vec<Example>, Vec<Example>) {
        let [removed, added] = self.kept.map(|kept| kept.into_values().rev().collect());
        (added, removed)
    }
}

impl Example {
    fn new(evaluator: &Evaluator, transaction: &Transaction, fired: &Fired, is_fraud: Option<bool>) -> Self {
        Self {
            rule: evaluator.version().rules()[fired.rule].name().to_owned(),
            severity: fired.severity.as_str(),
            score: fired.score,
            transaction_id: transaction.transaction_id.to_string(),
            user_id: transaction.user_id.to_string(),
            merchant_id: transaction.merchant_id.to_string(),
            transaction_time: time_text(transaction.transaction_time_ms),
            amount: transaction.amount.to_string(),
            currency: transaction.currency.to_string(),
            is_fraud,
            features: evaluator
                .evidence(transaction, fired.rule)
                .iter()
                .map(feature)
                .collect(),
        }
    }
}

fn feature(evidence: &Evidence<'_>) -> String {
    let unit = evidence
        .unit
        .text()
        .map_or_else(String::new, |unit| format!(" {unit}"));
    match evidence.value {
        Some(value) => {
            // Four decimals, and none where they say nothing.
            let value = (value * 1e4).round() / 1e4;
            format!("{} = {value}{unit}", evidence.feature)
        }
        None => format!("{} is unknown", evidence.feature),
    }
}
