//! When the open batch is committed.
//!
//! A worker does nothing else while it commits, and one commit costs the brokers about forty
//! requests: its own, those of the followers of every log that it is written to, and those of the
//! readers that it wakes. So a batch is committed soon where somebody waits for what is in it, and
//! else seldom.

use std::time::Duration;

/// Where nobody waits, and however long commits take, a batch is open no longer than this, unless
/// more is configured.
const MOST: Duration = Duration::from_secs(1);
/// A batch is open this many times as long as the last commit took: on a cluster that is short of
/// processor time, workers that went on committing at the same pace would do little but wait.
const FACTOR: u32 = 2;
/// Records that have been in the log for longer than this are a backlog: nobody sees whether an
/// output of theirs comes a second later.
const BACKLOG_MS: i64 = 2_000;

/// How long a batch may stay open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    least: Duration,
    most: Duration,
}

impl Pace {
    /// By the configured interval, and well within the life of a transaction, whatever that is.
    pub(super) fn new(commit_interval_ms: u64, transaction_ms: u64) -> Self {
        let least = Duration::from_millis(commit_interval_ms);
        Self {
            least,
            most: MOST.min(Duration::from_millis(transaction_ms / 4)).max(least),
        }
    }

    /// Time from the first record of a batch to its commit, when the last one `took` so long.
    /// `is_awaited`: the batch has outputs, and they are not of a backlog.
    pub(super) fn interval(self, took: Duration, is_awaited: bool) -> Duration {
        if is_awaited {
            (took * FACTOR).clamp(self.least, self.most)
        } else {
            self.most
        }
    }
}

/// Whether a record that was appended at one time and is read at the other is of a backlog; a time
/// below 0 is unknown.
pub(super) fn is_backlog(appended_ms: i64, now_ms: i64) -> bool {
    appended_ms >= 0 && now_ms.saturating_sub(appended_ms) > BACKLOG_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_that_take_long_are_further_apart_within_bounds() {
        let ms = Duration::from_millis;
        let interval = |least, life, took| Pace::new(least, life).interval(ms(took), true);
        assert_eq!(interval(100, 30_000, 0), ms(100));
        assert_eq!(interval(100, 30_000, 50), ms(100));
        assert_eq!(interval(100, 30_000, 200), ms(400));
        assert_eq!(interval(100, 30_000, 30_000), ms(1_000));
        assert_eq!(interval(100, 1_000, 30_000), ms(250));
        assert_eq!(interval(5_000, 30_000, 30_000), ms(5_000));
    }

    #[test]
    fn what_nobody_waits_for_is_committed_seldom() {
        let ms = Duration::from_millis;
        let interval = |least, life| Pace::new(least, life).interval(Duration::ZERO, false);
        assert_eq!(interval(100, 30_000), ms(1_000));
        assert_eq!(interval(100, 1_000), ms(250));
        assert_eq!(interval(5_000, 30_000), ms(5_000));
    }

    #[test]
    fn a_backlog_is_what_has_been_in_the_log_for_long() {
        assert!(is_backlog(1_000, 3_001));
        assert!(!is_backlog(1_000, 3_000));
        assert!(!is_backlog(5_000, 3_000));
        assert!(!is_backlog(-1, 3_000));
    }
}
