//! What a producer's ledger adds up of clicks, for who writes it and who reads it.

use serde::{Deserialize, Serialize};

/// The clicks of a window, each id once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowLine {
    /// Start of the window in milliseconds since 1970.
    pub window_start_ms: i64,
    /// Clicks.
    pub views: u64,
}
