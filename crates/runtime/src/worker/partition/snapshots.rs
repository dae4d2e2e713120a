//! When a partition's snapshots were taken, and whether another is worth taking.

use std::time::{Duration, Instant};

/// The times of a partition's snapshots.
#[derive(Debug)]
pub(in crate::worker) struct SnapshotTimes {
    /// Whether the state has changed since the last was taken.
    has_changed: bool,
    /// When the last was taken.
    taken: Instant,
    /// The processor time that it took to write, or, before the first, to restore.
    cost: Duration,
    /// When the last was stored.
    stored: Instant,
}

impl SnapshotTimes {
    /// Of a state that was just restored. Writing takes about what restoring took: a first guess,
    /// so that what has just been restored is not written at once, while it has to catch up.
    pub(super) fn new(now: Instant, cost: Duration) -> Self {
        Self {
            has_changed: false,
            taken: now,
            cost,
            stored: now,
        }
    }

    pub(super) fn state_changed(&mut self) {
        self.has_changed = true;
    }

    pub(super) fn is_due(&self, interval: Duration, now: Instant) -> bool {
        self.has_changed && now.saturating_duration_since(self.taken) >= interval
    }

    /// One is taken, and waits for the store where that has room.
    pub(in crate::worker) fn took(&mut self, is_queued: bool, now: Instant) {
        self.taken = now;
        self.has_changed &= !is_queued;
    }

    /// The one that waited for the store is there.
    pub(in crate::worker) fn stored(&mut self, at: Instant, cost: Duration) {
        self.stored = at;
        self.cost = cost;
    }

    /// It could not be stored: what was to be is still to be.
    pub(in crate::worker) fn failed(&mut self) {
        self.has_changed = true;
    }

    pub(in crate::worker) fn cost(&self) -> Duration {
        self.cost
    }

    /// Time since the last was stored.
    pub(in crate::worker) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.stored)
    }
}
