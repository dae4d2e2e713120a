//! What a run does beyond the settings.

use std::time::Duration;

use crate::replay::ReplayOptions;

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Options {
    /// Generate transactions.
    Generate(GenerateOptions),
    /// Send a recorded file.
    Replay(ReplayOptions),
}

/// How to generate, beyond the settings' `producer` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GenerateOptions {
    /// How many records to send, labels not counted; duplicates and malformed ones are.
    pub count: Option<u64>,
    /// How long to send.
    pub duration: Option<Duration>,
    /// Event time of the first transaction in milliseconds since 1970; the machine's clock if not
    /// given.
    pub start_time_ms: Option<i64>,
    /// With a start time: transactions a second of event time; the rate if not given.
    pub event_rate_per_s: Option<u64>,
}
