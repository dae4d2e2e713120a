//! How far an idle partition's watermark may advance, and what keeps a quiet one from being idle.

use std::time::{Duration, Instant};

/// What is known of an idle partition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Idle {
    /// Its watermark.
    pub(crate) watermark_ms: Option<i64>,
    /// Its highest event time.
    pub(crate) max_event_time_ms: Option<i64>,
    /// The end of its last open window, with the allowed lateness.
    pub(crate) open_until_ms: Option<i64>,
    /// Time since its last record.
    pub(crate) idle_ms: i64,
    /// How far its watermark stays behind its highest event time.
    pub(crate) max_disorder_ms: i64,
    /// The highest watermark that any partition of the job is known to have.
    pub(crate) highest_ms: Option<i64>,
}

impl Idle {
    /// Where the watermark is to go, if that is ahead of where it is.
    ///
    /// The clock stands in for the records that do not come: event time is taken to go on as fast
    /// as the clock, but not beyond what closes the last open window, after which nothing waits for
    /// it. The other partitions' progress is the other bound, so that a partition without any
    /// record does not hold up the job.
    pub(crate) fn target_ms(&self) -> Option<i64> {
        let by_clock = self
            .max_event_time_ms
            .zip(self.open_until_ms)
            .map(|(event_time, open_until)| {
                event_time
                    .saturating_add(self.idle_ms)
                    .saturating_sub(self.max_disorder_ms)
                    .min(open_until)
            });
        // None is below every Some.
        let target = self.highest_ms.max(by_clock);
        target.filter(|_| target > self.watermark_ms)
    }
}

/// Since when an open transaction has held a partition's last stable offset where it is.
#[derive(Debug, Default)]
pub(crate) struct OpenTransaction {
    since: Option<(i64, Instant)>,
    seconds: Duration,
    is_told: bool,
}

impl OpenTransaction {
    /// Takes the partition's last stable offset and its high watermark, if that is known, as of
    /// `at`. Returns for how long the first has stood still below the second.
    pub(crate) fn observe(&mut self, stable: i64, high: Option<i64>, at: Instant) -> Duration {
        let is_open = match high {
            Some(high) => high > stable,
            // As long as nothing else is known, what was seen last holds.
            None => self.since.is_some_and(|(offset, _)| offset == stable),
        };
        self.since = match self.since {
            Some((offset, since)) if is_open && offset == stable => Some((offset, since)),
            _ => is_open.then_some((stable, at)),
        };
        self.is_told &= is_open;
        self.seconds = self
            .since
            .map_or(Duration::ZERO, |(_, since)| at.saturating_duration_since(since));
        self.seconds
    }

    /// Whether it is time for a word about it: once, when it has lasted for `patience`.
    pub(crate) fn is_to_be_told(&mut self, patience: Duration) -> bool {
        let is_due = self.since.is_some() && self.seconds >= patience && !self.is_told;
        self.is_told |= is_due;
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_counts_from_when_the_stable_offset_stopped() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let seconds = Duration::from_secs;
        let mut open = OpenTransaction::default();
        assert_eq!(open.observe(10, Some(10), at(0)), seconds(0), "nothing is hidden");
        assert_eq!(open.observe(10, Some(14), at(1)), seconds(0));
        assert_eq!(open.observe(10, Some(90), at(5)), seconds(4));
        assert_eq!(open.observe(10, None, at(6)), seconds(5), "no leader answers");
        assert!(!open.is_to_be_told(seconds(6)));
        assert!(
            open.is_to_be_told(seconds(5)) && !open.is_to_be_told(seconds(5)),
            "once"
        );
        assert_eq!(
            open.observe(50, Some(90), at(7)),
            seconds(0),
            "the next transaction"
        );
        assert_eq!(open.observe(90, Some(90), at(8)), seconds(0));
        assert_eq!(open.observe(90, None, at(9)), seconds(0));
        assert!(!open.is_to_be_told(seconds(0)));
    }

    const IDLE: Idle = Idle {
        watermark_ms: Some(95),
        max_event_time_ms: Some(100),
        open_until_ms: Some(160),
        idle_ms: 20,
        max_disorder_ms: 5,
        highest_ms: None,
    };

    #[test]
    fn goes_on_with_the_clock_until_the_last_window_can_close() {
        assert_eq!(IDLE.target_ms(), Some(115));
        let later = Idle {
            idle_ms: 1_000,
            ..IDLE
        };
        assert_eq!(later.target_ms(), Some(160));
        let closed = Idle {
            watermark_ms: Some(160),
            open_until_ms: None,
            ..later
        };
        assert_eq!(closed.target_ms(), None, "nothing is left to close");
    }

    #[test]
    fn follows_the_furthest_partition() {
        let others = Idle {
            highest_ms: Some(500),
            ..IDLE
        };
        assert_eq!(others.target_ms(), Some(500));
        let empty = Idle {
            watermark_ms: None,
            max_event_time_ms: None,
            open_until_ms: None,
            ..others
        };
        assert_eq!(empty.target_ms(), Some(500));
        assert_eq!(
            Idle {
                highest_ms: None,
                ..empty
            }
            .target_ms(),
            None
        );
    }

    #[test]
    fn never_goes_back() {
        let behind = Idle {
            highest_ms: Some(90),
            idle_ms: 0,
            ..IDLE
        };
        assert_eq!(behind.target_ms(), None);
    }

    #[test]
    fn does_not_overflow() {
        let far = Idle {
            idle_ms: i64::MAX,
            ..IDLE
        };
        assert_eq!(far.target_ms(), Some(160));
    }
}
