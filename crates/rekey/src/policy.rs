//! What of the settings decides which records are dead letters.

use serde::{Deserialize, Serialize};

/// The bounds of event times. They may be changed over an existing run: a change holds from the
/// next record on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RekeyPolicy {
    /// How far an event time may be ahead of the broker's append time, in milliseconds.
    pub max_future_ms: i64,
    /// The earliest event time, in milliseconds since 1970.
    pub earliest_ms: i64,
}

impl RekeyPolicy {
    /// As it is written to the control topic: JSON, its fields in one order.
    pub(crate) fn to_text(self) -> String {
        // Two numbers: nothing can fail to be written.
        serde_json::to_string(&self).unwrap_or_default()
    }

    /// The policy that was written so.
    pub(crate) fn of_text(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}
