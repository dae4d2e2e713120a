//! How many documents may be compared: every one of what a restart repeats, and so many a second of
//! what a replay does.
//!
//! A comparison costs the sink and the server about as much again as the refused write did: of a
//! replay it may cost about a tenth.

use std::time::Instant;

/// Documents a second that may be compared over a long time …
const PER_SECOND: f64 = 250.0;

/// … and at once, after a while without any.
const AT_ONCE: f64 = 10_000.0;

/// A bucket that fills with time.
#[derive(Debug)]
pub(super) struct Budget {
    left: f64,
    at: Option<Instant>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: AT_ONCE,
            at: None,
        }
    }
}

impl Budget {
    /// Takes as much of `wanted` as there is.
    pub(super) fn take(&mut self, wanted: usize, now: Instant) -> usize {
        let since = self
            .at
            .map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.at = Some(now);
        self.left = (self.left + since * PER_SECOND).min(AT_ONCE);
        // At most `AT_ONCE`, and not below 0.
        let taken = wanted.min(self.left as usize);
        self.left -= taken as f64;
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_restart_is_compared_whole_and_a_replay_by_the_second() {
        let (mut budget, start) = (Budget::default(), Instant::now());
        assert_eq!(budget.take(3_000, start), 3_000);
        assert_eq!(budget.take(10_000, start), 7_000);
        assert_eq!(budget.take(1_000, start), 0);
        let later = start + Duration::from_secs(4);
        assert_eq!(budget.take(5_000, later), 1_000);
        let much_later = start + Duration::from_secs(3_600);
        assert_eq!(budget.take(100_000, much_later), 10_000);
    }
}
