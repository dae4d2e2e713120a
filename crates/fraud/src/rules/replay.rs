//! Replay: a transaction id that is known already, with another payload.
//!
//! *Fires* when an id comes again within `dedup_horizon_ms` of event time and any other field
//! differs from when it came first. The same id with the same payload is a mere duplicate: it is
//! counted, and is no anomaly. Either way the second transaction changes nothing, and no other rule
//! sees it.
//!
//! *Armed again* never for that id, as long as it is remembered: however many variants come, they
//! are one anomaly.
//!
//! *Evidence*: the id; the `amount` that came with it and `dedup_horizon_ms`. Of the first payload
//! only a fingerprint is kept. The score is always 0.6, so high: a tampered message and a broken
//! sender look alike.

use millrace_domain::Transaction;
use serde::{Deserialize, Serialize};

use crate::finding::Finding;

/// The standard name.
pub const NAME: &str = "replay";

const SCORE: f64 = 0.6;

/// Replay: a known transaction id with a changed payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayRule {
    /// Whether the rule runs.
    pub enabled: bool,
}

impl Default for ReplayRule {
    fn default() -> Self {
        Self { enabled: true }
    }
}

#[cold]
pub(crate) fn finding(transaction: &Transaction, dedup_horizon_ms: i64) -> Finding {
    Finding {
        rule: NAME,
        score: SCORE,
        transaction_ids: vec![transaction.transaction_id],
        figures: vec![
            ("amount", transaction.amount.to_f64()),
            ("dedup_horizon_ms", dedup_horizon_ms as f64),
        ],
    }
}
