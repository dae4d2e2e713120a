//! What a producer's ledger adds up of a shop's events, for who writes it and who reads it.

use serde::{Deserialize, Serialize};

/// The events of a window, each id once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowLine {
    /// Start of the window in milliseconds since 1970.
    pub window_start_ms: i64,
    /// Events.
    pub events: u64,
    /// Purchases among them.
    pub purchases: u64,
    /// What they came to, in 1/10,000.
    pub revenue_units: i64,
}
