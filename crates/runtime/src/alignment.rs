//! Partitions that wait for each other, so that none is read far ahead of the others in event time.
//!
//! A job that mixes its partitions' records, as the one that rekeys does, would make disorder of
//! whatever one of them is ahead: of a backlog, a whole fetch. So each asks, before a record,
//! whether its event time may come yet. It may where it is no more than the allowed skew ahead of
//! every partition that has more to read. One that is at its end holds nobody up, and neither does
//! one that has not got on for long: it may be unreadable, or without a leader.
//!
//! What a worker has read and not committed comes again after a kill or an abort, behind what the
//! others have committed by then. So a worker goes by what its own partitions have read, which
//! commits or falls with its next record, and by what those of the others have committed. Where
//! only that is behind, they are asked to commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a partition that does not get on holds the others up, and at a start a worker that has
/// no assignment yet.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one does that a worker has given up, and another of the process may be about to get.
const HANDOVER: Duration = Duration::from_secs(5);

/// A place in a partition.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The highest event time of the records before it, and of the next one where it is known.
    event_time_ms: Option<i64>,
    /// The next record's offset.
    next: i64,
}

/// Where a partition is.
#[derive(Debug)]
struct Front {
    worker: usize,
    read: Place,
    committed: Place,
    /// Whether it has read what is not committed.
    is_dirty: bool,
    /// Whether another worker could go on if this one had committed.
    is_awaited: bool,
    /// The log's end, as last heard.
    end: Option<i64>,
    /// Until when it holds the others up.
    until: Instant,
}

impl Front {
    /// Whether it holds up a record of this event time, as far as it is at `place`.
    fn holds_up(&self, place: Place, event_time_ms: i64, skew_ms: i64, now: Instant) -> bool {
        let slowest_ms = place.event_time_ms.unwrap_or(i64::MIN);
        self.end.is_none_or(|end| place.next < end)
            && now < self.until
            && event_time_ms > slowest_ms.saturating_add(skew_ms)
    }

    fn settle(&mut self, place: Place) {
        (self.read, self.committed) = (place, place);
        (self.is_dirty, self.is_awaited) = (false, false);
    }
}

#[derive(Debug)]
struct Fronts {
    max_skew_ms: i64,
    all: BTreeMap<i32, Front>,
    /// Workers that have had no assignment yet: it is not known where theirs are.
    unassigned: BTreeSet<usize>,
    /// Until when they are waited for.
    until: Instant,
}

impl Fronts {
    /// Whether an event time is no more than the skew ahead of every other partition that holds
    /// others up. Those that it waits for only as they have not committed learn of it.
    fn is_due(&mut self, number: i32, event_time_ms: i64, now: Instant) -> bool {
        if now < self.until && !self.unassigned.is_empty() {
            return false;
        }
        let skew_ms = self.max_skew_ms;
        let worker = self.all.get(&number).map(|front| front.worker);
        let (mut is_read, mut is_committed) = (true, true);
        for (_, front) in self.all.iter().filter(|(other, _)| **other != number) {
            is_read &= !front.holds_up(front.read, event_time_ms, skew_ms, now);
            is_committed &=
                Some(front.worker) == worker || !front.holds_up(front.committed, event_time_ms, skew_ms, now);
        }
        if is_read && !is_committed {
            let others = self.all.values_mut().filter(|front| Some(front.worker) != worker);
            for front in others.filter(|front| front.is_dirty) {
                front.is_awaited |= front.holds_up(front.committed, event_time_ms, skew_ms, now);
            }
        }
        is_read && is_committed
    }
}

/// The partitions of a process.
#[derive(Debug)]
pub(crate) struct Alignment(Mutex<Fronts>);

impl Alignment {
    /// Of a process with so many workers, numbered from 0 on.
    pub(crate) fn new(max_skew_ms: i64, workers: usize, now: Instant) -> Self {
        Self(Mutex::new(Fronts {
            max_skew_ms,
            all: BTreeMap::new(),
            unassigned: (0..workers).collect(),
            until: now + PATIENCE,
        }))
    }

    /// Partitions come, perhaps none: until it is known where they are, the others wait for them.
    pub(crate) fn assigned(&self, worker: usize, numbers: &[i32], now: Instant) {
        let mut fronts = self.fronts();
        fronts.unassigned.remove(&worker);
        let place = Place {
            event_time_ms: None,
            next: 0,
        };
        for number in numbers {
            let front = Front {
                worker,
                read: place,
                committed: place,
                is_dirty: false,
                is_awaited: false,
                end: None,
                until: now + PATIENCE,
            };
            fronts.all.insert(*number, front);
        }
    }

    /// Partitions go, perhaps to another worker of this process.
    pub(crate) fn given_up(&self, numbers: &[i32], now: Instant) {
        let mut fronts = self.fronts();
        for number in numbers {
            if let Some(front) = fronts.all.get_mut(number) {
                front.until = front.until.min(now + HANDOVER);
            }
        }
    }

    /// Where a partition ends, by word of its leader; with its position.
    pub(crate) fn ends(&self, number: i32, next: i64, end: i64) {
        if let Some(front) = self.fronts().all.get_mut(&number) {
            front.read.next = front.read.next.max(next);
            if !front.is_dirty {
                front.committed.next = front.read.next;
            }
            front.end = Some(end);
        }
    }

    /// Whether the record at `offset` may be processed at `now`, and takes it for processed then.
    pub(crate) fn admits(&self, number: i32, offset: i64, event_time_ms: Option<i64>, now: Instant) -> bool {
        let mut fronts = self.fronts();
        let Some(front) = fronts.all.get_mut(&number) else {
            return true;
        };
        front.read.next = offset;
        front.read.event_time_ms = front.read.event_time_ms.max(event_time_ms);
        if !front.is_dirty {
            front.committed = front.read;
        }
        front.until = now + PATIENCE;
        let is_admitted = event_time_ms.is_none_or(|ms| fronts.is_due(number, ms, now));
        if is_admitted && let Some(front) = fronts.all.get_mut(&number) {
            front.read.next = offset + 1;
            front.is_dirty = true;
        }
        is_admitted
    }

    /// Whether a partition that waits with a record of this event time may go on with it.
    pub(crate) fn may_go_on(&self, number: i32, event_time_ms: i64, now: Instant) -> bool {
        let mut fronts = self.fronts();
        if let Some(front) = fronts.all.get_mut(&number) {
            front.until = now + PATIENCE;
        }
        fronts.is_due(number, event_time_ms, now)
    }

    /// Whether others wait for a worker's commit.
    pub(crate) fn is_awaited(&self, worker: usize) -> bool {
        let fronts = self.fronts();
        let mut own = fronts.all.values().filter(|front| front.worker == worker);
        own.any(|front| front.is_awaited)
    }

    /// A worker has committed what it has read.
    pub(crate) fn committed(&self, worker: usize) {
        let mut fronts = self.fronts();
        for front in fronts.all.values_mut().filter(|front| front.worker == worker) {
            front.settle(front.read);
        }
    }

    /// A partition is read again from what is committed of it.
    pub(crate) fn rolled_back(&self, number: i32) {
        if let Some(front) = self.fronts().all.get_mut(&number) {
            front.settle(front.committed);
        }
    }

    fn fronts(&self) -> MutexGuard<'_, Fronts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
