//! Aborts one after the other: how long to wait after each, and when to tell.
//!
//! An outage ends by itself, and is waited for as long as it takes. But a topic that is gone, or a
//! right that was taken away, ends with a person, who has to hear of it.

use std::time::Duration;

/// The pause after the first abort, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// From so many in a row on, the worker is not ready: a rebalance or a new leader costs one or two.
const PATIENCE: u32 = 3;

/// The aborts since the last commit.
#[derive(Debug, Default)]
pub(super) struct Aborts(u32);

impl Aborts {
    /// Counts one more; the pause after it, and what to tell of it, where it is time to.
    pub(super) fn add(&mut self, reason: &str) -> (Duration, Option<String>) {
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.0.min(10));
        self.0 = self.0.saturating_add(1);
        let told = format!(
            "nothing can be committed: {} transactions in a row were aborted, the last as {reason}. Nothing is lost, and \
             it is tried again",
            self.0
        );
        (pause.min(MAX_PAUSE), (self.0 >= PATIENCE).then_some(told))
    }

    /// Forgets them: there was a commit, or nothing is left to be committed. Whether they were told
    /// of.
    pub(super) fn end(&mut self) -> bool {
        std::mem::take(&mut self.0) >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_in_a_row_are_told_until_the_next_commit() {
        let mut aborts = Aborts::default();
        let mut told = || {
            let (pause, told) = aborts.add("the topic x is unknown");
            (pause.as_millis(), told.is_some())
        };
        let all: Vec<_> = (0..8).map(|_| told()).collect();
        let pauses = [50, 100, 200, 400, 800, 1_600, 2_000, 2_000];
        let expected: Vec<_> = (1..).zip(pauses).map(|(at, pause)| (pause, at >= 3)).collect();
        assert_eq!(all, expected);
        let (_, what) = aborts.add("the topic x is unknown");
        let what = what.unwrap();
        assert!(
            what.contains("9 transactions") && what.contains("the topic x is unknown"),
            "{what}"
        );
        assert!(aborts.end() && !aborts.end());
        assert!(aborts.add("the topic x is unknown").1.is_none(), "it begins anew");
    }
}
