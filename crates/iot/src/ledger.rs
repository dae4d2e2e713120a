//! What a producer's ledger adds up of readings, for who writes it and who reads it.

use serde::{Deserialize, Serialize};

/// The readings of a window, each id once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowLine {
    /// Start of the window in milliseconds since 1970.
    pub window_start_ms: i64,
    /// Readings.
    pub readings: u64,
    /// The sum of their temperatures, in 1/1000.
    pub temp_units: i64,
    /// The sum of their humidities, in 1/1000.
    pub humidity_units: i64,
}
