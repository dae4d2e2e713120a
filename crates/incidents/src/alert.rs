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
    /// Who pays, or whoever else it is about.
    pub user: &'a str,
    /// Who is paid, where that is known.
    pub merchant: Option<&'a str>,
    /// The amount in units of 1/10,000 with its currency, where they are known.
    pub amount: Option<(i64, Currency)>,
    /// Event time in milliseconds since 1970.
    pub time_ms: i64,
}
