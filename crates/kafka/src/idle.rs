//! How far an idle partition's watermark may advance.

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
    /// The clock stands in for the records that do not come: event time is taken to go on as fast as the clock, but not
    /// beyond what closes the last open window, after which nothing waits for it. The other partitions' progress is the
    /// other bound, so that a partition without any record does not hold up the job.
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

#[cfg(test)]
mod tests {
    use super::*;

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
