//! What rules said of each transaction, beside its label.

use std::collections::HashMap;
use std::hash::Hash;

use millrace_domain::texts::InFlight;
use millrace_domain::{Currency, ShortId, Transaction};
use millrace_evaluation::Outcome;
use millrace_producer::replay::Transactions;
use millrace_rules::{Fired, Version};

use super::labels::{Label, Labels};
use crate::detect::{Judge, Judged};

/// What rules said, by time.
pub(crate) struct Collected {
    pub(super) outcomes: Vec<Outcome>,
    /// By outcome: the kind of fraud.
    pub(super) scenarios: Vec<u16>,
    /// The place of an outcome, and of a rule that alerted for it.
    pub(super) alerts: Vec<(usize, usize)>,
    /// The rules' names.
    pub(super) rules: Vec<String>,
    /// The hash of the rules.
    pub(super) version: String,
    /// The currencies, by their numbers.
    pub(super) currencies: Vec<String>,
    pub(crate) duplicates: u64,
    pub(crate) rejected: u64,
    cards: HashMap<ShortId, u32>,
    currency_numbers: HashMap<Currency, u32>,
}

impl Collected {
    /// Nothing yet, of these rules.
    pub(crate) fn of(version: &Version) -> Self {
        let names = version.rules().iter().map(|rule| rule.name().to_owned());
        Self {
            rules: names.collect(),
            version: version.hash().to_string(),
            outcomes: Vec::new(),
            scenarios: Vec::new(),
            alerts: Vec::new(),
            currencies: Vec::new(),
            duplicates: 0,
            rejected: 0,
            cards: HashMap::new(),
            currency_numbers: HashMap::new(),
        }
    }

    /// What the rules said of the next transaction.
    pub(crate) fn take(&mut self, transaction: &Transaction, fired: &[Fired], label: Label) {
        let currency = number(&mut self.currency_numbers, transaction.currency);
        if currency as usize == self.currencies.len() {
            self.currencies.push(transaction.currency.to_string());
        }
        let at = self.outcomes.len();
        let alerting = fired.iter().filter(|fired| fired.alerts);
        self.alerts.extend(alerting.map(|fired| (at, fired.rule)));
        self.scenarios.push(label.scenario);
        self.outcomes.push(Outcome {
            time_ms: transaction.transaction_time_ms,
            card: number(&mut self.cards, transaction.user_id),
            amount_units: transaction.amount.units(),
            currency,
            score: score(fired),
            is_fraud: label.is_fraud,
        });
    }
}

/// Judges all transactions before `until_ms`.
///
/// # Errors
/// A file cannot be read, or a transaction has no label.
pub(super) fn collect(
    mut transactions: Transactions,
    mut judge: Judge,
    labels: &Labels,
    until_ms: Option<i64>,
) -> anyhow::Result<Collected> {
    let mut collected = Collected::of(judge.version());
    loop {
        let _round = InFlight::begin();
        let Some(transaction) = transactions.read()? else {
            break;
        };
        if until_ms.is_some_and(|until_ms| transaction.transaction_time_ms >= until_ms) {
            continue;
        }
        let Judged::New(fired) = judge.judge(&transaction) else {
            collected.duplicates += 1;
            continue;
        };
        let label = labels.of(&transaction.transaction_id)?;
        collected.take(&transaction, fired, label);
    }
    collected.rejected = transactions.rejected();
    Ok(collected)
}

/// The score of a transaction: the sum of the scores of the rules that alert for it. A rule without
/// a score, or with one that is unknown, adds 1.
fn score(fired: &[Fired]) -> Option<f64> {
    let scores = fired.iter().filter(|fired| fired.alerts);
    scores
        .map(|fired| fired.score.unwrap_or(1.0))
        .reduce(|sum, score| sum + score)
}

fn number<K: Hash + Eq>(numbers: &mut HashMap<K, u32>, key: K) -> u32 {
    let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    *numbers.entry(key).or_insert(next)
}
