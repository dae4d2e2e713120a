//! An alert, as incidents take it.

use millrace_domain::{Currency, Severity, TransactionId};

/// A rule that fired for a transaction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alert<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// How bad the rule says it is.
    pub severity: Severity,
    /// The rule's score, where it has one that is known.
    pub score: Option<f64>,
    /// The transaction.
    pub transaction: TransactionId,
    /// Who pays.
    pub user: &'a str,
    /// Who is paid.
    pub merchant: &'a str,
    /// The amount in units of 1/10,000.
    pub amount_units: i64,
    /// The amount's currency.
    pub currency: Currency,
    /// Event time in milliseconds since 1970.
    pub time_ms: i64,
}
