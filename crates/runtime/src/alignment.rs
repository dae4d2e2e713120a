//! Partitions that wait for each other, so that none is read far ahead of the others in event time.
//!
//! A job that mixes its partitions' records, as the one that rekeys does, would make disorder of
//! whatever one of them is ahead: of a backlog, a whole fetch. So each asks, before a record,
//! whether its event time may come yet. It may where it is no more than the allowed skew ahead of
//! every partition that has more to read. One that is at its end holds nobody up, and neither does
//! one that has not got on for long: it may be unreadable, or without a leader.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a partition that does not get on holds the others up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one does that a worker has given up, and another of the process may be about to get.
const HANDOVER: Duration = Duration::from_secs(5);

/// Where a partition is.
#[derive(Debug)]
struct Front {
    /// The highest event time that it has read or waits with.
    event_time_ms: Option<i64>,
    /// The next record's offset.
    next: i64,
    /// The log's end, as last heard.
    end: Option<i64>,
    /// Until when it holds the others up.
    until: Instant,
}

impl Front {
    fn holds_up(&self, now: Instant) -> bool {
        self.end.is_none_or(|end| self.next < end) && now < self.until
    }
}

/// The partitions of a process.
#[derive(Debug)]
pub(crate) struct Alignment {
    max_skew_ms: i64,
    fronts: Mutex<BTreeMap<i32, Front>>,
}

impl Alignment {
    pub(crate) fn new(max_skew_ms: i64) -> Self {
        Self {
            max_skew_ms,
            fronts: Mutex::default(),
        }
    }

    /// Partitions come: until it is known where they are, the others wait for them.
    pub(crate) fn assigned(&self, numbers: &[i32], now: Instant) {
        self.with(|fronts| {
            for number in numbers {
                let front = Front {
                    event_time_ms: None,
                    next: 0,
                    end: None,
                    until: now + PATIENCE,
                };
                fronts.insert(*number, front);
            }
        });
    }

    /// Partitions go, perhaps to another worker of this process.
    pub(crate) fn given_up(&self, numbers: &[i32], now: Instant) {
        self.with(|fronts| {
            for number in numbers {
                if let Some(front) = fronts.get_mut(number) {
                    front.until = front.until.min(now + HANDOVER);
                }
            }
        });
    }

    /// Where a partition ends, by word of its leader; with its position.
    pub(crate) fn ends(&self, number: i32, next: i64, end: i64) {
        self.with(|fronts| {
            if let Some(front) = fronts.get_mut(&number) {
                front.next = front.next.max(next);
                front.end = Some(end);
            }
        });
    }

    /// Whether the record at `offset` may be processed at `now`, and takes it for processed then.
    pub(crate) fn admits(&self, number: i32, offset: i64, event_time_ms: Option<i64>, now: Instant) -> bool {
        let mut fronts = self.fronts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(front) = fronts.get_mut(&number) else {
            return true;
        };
        front.next = offset;
        front.event_time_ms = front.event_time_ms.max(event_time_ms);
        let is_admitted = event_time_ms.is_none_or(|ms| is_due(&fronts, number, ms, self.max_skew_ms, now));
        if is_admitted && let Some(front) = fronts.get_mut(&number) {
            front.next = offset + 1;
            front.until = now + PATIENCE;
        }
        is_admitted
    }

    /// Whether a partition that waits with a record of this event time may go on with it.
    pub(crate) fn may_go_on(&self, number: i32, event_time_ms: i64, now: Instant) -> bool {
        let fronts = self.fronts.lock().unwrap_or_else(PoisonError::into_inner);
        is_due(&fronts, number, event_time_ms, self.max_skew_ms, now)
    }

    fn with(&self, change: impl FnOnce(&mut BTreeMap<i32, Front>)) {
        change(&mut self.fronts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Whether an event time is no more than `skew_ms` ahead of every other partition that holds others
/// up.
fn is_due(
    fronts: &BTreeMap<i32, Front>,
    number: i32,
    event_time_ms: i64,
    skew_ms: i64,
    now: Instant,
) -> bool {
    fronts
        .iter()
        .filter(|(other, front)| **other != number && front.holds_up(now))
        .all(|(_, front)| {
            let slowest_ms = front.event_time_ms.unwrap_or(i64::MIN);
            event_time_ms <= slowest_ms.saturating_add(skew_ms)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Partitions 0 and 1 with ten records each.
    fn two(now: Instant) -> Alignment {
        let alignment = Alignment::new(100);
        alignment.assigned(&[0, 1], now);
        alignment.ends(0, 0, 10);
        alignment.ends(1, 0, 10);
        alignment
    }

    #[test]
    fn whoever_is_ahead_waits_for_whoever_has_more_to_read() {
        let now = Instant::now();
        let alignment = two(now);
        assert!(!alignment.admits(0, 0, Some(5_000), now), "nothing of 1 is known");
        assert!(
            alignment.admits(1, 0, Some(4_000), now),
            "0 waits with what is later"
        );
        assert!(!alignment.admits(0, 0, Some(5_000), now));
        assert!(alignment.admits(1, 1, Some(4_900), now));
        assert!(alignment.admits(0, 0, Some(5_000), now));
        assert!(!alignment.admits(0, 1, Some(5_001), now));
        assert!(
            alignment.admits(0, 1, None, now),
            "it has no time that could be ahead"
        );
        assert!(alignment.admits(0, 2, Some(1), now));
    }

    #[test]
    fn one_at_its_end_holds_nobody_up() {
        let now = Instant::now();
        let alignment = two(now);
        alignment.ends(0, 0, 0);
        for offset in 0..10 {
            assert!(alignment.admits(1, offset, Some(0), now), "0 has nothing");
        }
        assert!(alignment.admits(0, 0, Some(1_000_000), now), "1 is through");
        alignment.ends(1, 10, 11);
        assert!(
            !alignment.admits(0, 1, Some(1_000_000), now),
            "1 has a record more"
        );
        assert!(alignment.admits(1, 10, Some(900_000), now));
    }

    #[test]
    fn the_last_of_all_is_never_held_up() {
        let now = Instant::now();
        let alignment = two(now);
        let times = [[0, 900, 10, 950, 960], [3, 400, 850, 700, 2_000]];
        let mut at = [0_usize; 2];
        let mut rounds = 0;
        while at != [5, 5] {
            for partition in 0..2_usize {
                let Some(time) = times[partition].get(at[partition]) else {
                    continue;
                };
                let (number, offset) = (partition as i32, at[partition] as i64);
                at[partition] += usize::from(alignment.admits(number, offset, Some(*time), now));
                if at[partition] == 5 {
                    alignment.ends(number, 5, 5);
                }
            }
            rounds += 1;
            assert!(rounds <= 10, "nobody gets on at {at:?}");
        }
    }

    #[test]
    fn patience_ends() {
        let now = Instant::now();
        let alignment = two(now);
        assert!(!alignment.admits(0, 0, Some(1), now));
        assert!(alignment.admits(0, 0, Some(1), now + PATIENCE));
        let alignment = two(now);
        alignment.given_up(&[1], now);
        assert!(!alignment.admits(0, 0, Some(1), now));
        assert!(alignment.admits(0, 0, Some(1), now + HANDOVER));
    }
}
