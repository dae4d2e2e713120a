//! The lines of a ledger of payments, which a producer writes and a verification reads.

use serde::{Deserialize, Serialize};

/// One window and currency. Sums are integers of 1/10,000 as text, as JSON numbers are doubles for
/// most readers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowLine {
    /// Start of the window in milliseconds since 1970.
    pub start_ms: i64,
    /// ISO 4217.
    pub currency: String,
    /// Number of purchases.
    pub purchase_count: u64,
    /// What they add up to, in 1/10,000.
    pub purchase_sum_units: String,
    /// Number of refunds.
    pub refund_count: u64,
    /// What they add up to, in 1/10,000.
    pub refund_sum_units: String,
}
