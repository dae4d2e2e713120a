//! How long a snapshot store that fails is waited for.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// After this the log serves in the store's place, where it has all that is needed: a short outage
/// must not cost a replay from the log's beginning, and a long one must not keep the job from
/// running. Nothing is given up for it.
const LIMIT: Duration = Duration::from_secs(20);

/// Since when the store has failed, for all partitions of a worker.
#[derive(Debug, Default)]
pub(in crate::worker) struct Patience(Cell<Option<Instant>>);

impl Patience {
    /// The store failed; whether that is for too long.
    pub(super) fn is_over(&self) -> bool {
        let since = self.0.get().unwrap_or_else(Instant::now);
        self.0.set(Some(since));
        since.elapsed() > LIMIT
    }

    /// The store answered.
    pub(super) fn renew(&self) {
        self.0.set(None);
    }
}

#[cfg(test)]
impl Patience {
    /// As if the store had failed for too long.
    pub(super) fn exhausted() -> Self {
        Self(Cell::new(Instant::now().checked_sub(LIMIT * 2)))
    }
}
