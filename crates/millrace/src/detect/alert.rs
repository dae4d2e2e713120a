//! An alert as it is written.

use millrace_domain::Transaction;
use millrace_rules::{Evaluator, Evidence, Fired};
use serde::Serialize;

use super::time_text;

/// A rule that fired for a transaction.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert<'a> {
    transaction_id: String,
    user_id: String,
    merchant_id: String,
    /// RFC 3339, UTC.
    transaction_time: String,
    amount: f64,
    currency: &'a str,
    rule: &'a str,
    /// The hash of what the rule means.
    revision: String,
    /// The hash of what all the rules mean.
    rule_set_version: &'a str,
    severity: &'static str,
    score: Option<f64>,
    reason: &'a str,
    /// What the rule asked for, and what it was.
    features: Vec<Feature<'a>>,
}

#[derive(Debug, Serialize)]
struct Feature<'a> {
    feature: &'a str,
    /// `null` where it is unknown.
    value: Option<f64>,
    /// A currency, or `s`; left out of counts and ratios.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
}

impl<'a> Alert<'a> {
    pub(super) fn new(
        evaluator: &'a Evaluator,
        version: &'a str,
        transaction: &'a Transaction,
        fired: &Fired,
    ) -> Self {
        let rule = &evaluator.version().rules()[fired.rule];
        Self {
            transaction_id: transaction.transaction_id.to_string(),
            user_id: transaction.user_id.to_string(),
            merchant_id: transaction.merchant_id.to_string(),
            transaction_time: time_text(transaction.transaction_time_ms),
            // The nearest double of at most four decimals: it is printed with just these.
            amount: transaction.amount.to_f64(),
            currency: transaction.currency.as_str(),
            rule: rule.name(),
            revision: rule.revision().to_string(),
            rule_set_version: version,
            severity: fired.severity.as_str(),
            score: fired.score,
            reason: rule.reason(),
            features: evaluator
                .evidence(transaction, fired.rule)
                .into_iter()
                .map(Feature::from)
                .collect(),
        }
    }
}

impl<'a> From<Evidence<'a>> for Feature<'a> {
    fn from(evidence: Evidence<'a>) -> Self {
        Self {
            feature: evidence.feature,
            value: evidence.value,
            unit: evidence.unit.text(),
        }
    }
}
