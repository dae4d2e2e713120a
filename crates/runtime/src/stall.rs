//! How long a watermark has not moved although there is something to move it.

use std::time::{Duration, Instant};

/// What is known of one partition's watermark and input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// When it was looked at.
    pub(crate) at: Instant,
    /// Its watermark.
    pub(crate) watermark_ms: Option<i64>,
    /// The offset of the next record.
    pub(crate) next: i64,
    /// Whether the log has records beyond that.
    pub(crate) has_lag: bool,
    /// Whether it has been without records for so long that its watermark advances without them.
    pub(crate) is_idle: bool,
}

/// Follows one partition from look to look.
#[derive(Debug, Clone)]
pub(crate) struct Stall {
    watermark_ms: Option<i64>,
    next: i64,
    /// When there was first something to move the watermark and nothing moved it.
    since: Option<Instant>,
}

impl Stall {
    /// Begins at a partition's present position and watermark.
    pub(crate) fn new(next: i64, watermark_ms: Option<i64>) -> Self {
        Self {
            watermark_ms,
            next,
            since: None,
        }
    }

    /// Takes a look; how long the watermark has stood still since there was input, which is zero
    /// where it has moved or has no reason to.
    pub(crate) fn observe(&mut self, look: &Look) -> Duration {
        let has_moved = look.watermark_ms > self.watermark_ms;
        let has_input = look.has_lag || look.next > self.next;
        self.watermark_ms = look.watermark_ms;
        self.next = look.next;
        if has_moved || (look.is_idle && !look.has_lag) {
            self.since = None;
        } else if has_input {
            self.since.get_or_insert(look.at);
        }
        self.since
            .map_or(Duration::ZERO, |since| look.at.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at a partition once a second.
    struct Watched {
        stall: Stall,
        look: Look,
    }

    impl Watched {
        fn new() -> Self {
            Self {
                stall: Stall::new(10, Some(100)),
                look: Look {
                    at: Instant::now(),
                    watermark_ms: Some(100),
                    next: 10,
                    has_lag: false,
                    is_idle: false,
                },
            }
        }

        /// One second later, after this change: the seconds of the stall.
        fn after(&mut self, change: impl FnOnce(&mut Look)) -> u64 {
            self.look.at += Duration::from_secs(1);
            change(&mut self.look);
            self.stall.observe(&self.look).as_secs()
        }
    }

    #[test]
    fn records_that_do_not_move_it_are_a_stall_until_it_moves() {
        let mut watched = Watched::new();
        assert_eq!(watched.after(|_| {}), 0, "nothing has come");
        assert_eq!(watched.after(|look| look.next += 5), 0);
        assert_eq!(watched.after(|look| look.next += 5), 1);
        assert_eq!(watched.after(|_| {}), 2, "a pause of the input ends no stall");
        let moves = |look: &mut Look| {
            look.next += 1;
            look.watermark_ms = Some(101);
        };
        assert_eq!(watched.after(moves), 0);
        assert_eq!(watched.after(|_| {}), 0);
        assert_eq!(
            watched.after(moves),
            0,
            "a watermark that keeps moving never stalls"
        );
    }

    #[test]
    fn a_partition_that_is_behind_and_not_read_stalls() {
        let mut watched = Watched::new();
        assert_eq!(watched.after(|look| look.has_lag = true), 0);
        let idle = |look: &mut Look| look.is_idle = true;
        assert_eq!(watched.after(idle), 1, "what has a lag is not idle");
        assert_eq!(watched.after(|look| look.has_lag = false), 0);
    }

    #[test]
    fn a_partition_without_records_does_not_stall() {
        let mut watched = Watched::new();
        assert_eq!(watched.after(|look| look.next += 1), 0);
        assert_eq!(watched.after(|_| {}), 1);
        assert_eq!(watched.after(|look| look.is_idle = true), 0);
        assert_eq!(watched.after(|_| {}), 0);
    }

    #[test]
    fn a_watermark_that_never_came_is_one_that_does_not_move() {
        let mut watched = Watched::new();
        watched.stall = Stall::new(10, None);
        watched.look.watermark_ms = None;
        assert_eq!(watched.after(|look| look.next += 1), 0);
        assert_eq!(watched.after(|look| look.next += 1), 1);
        assert_eq!(watched.after(|look| look.watermark_ms = Some(1)), 0);
    }
}
