//! The clock of a simulated cluster, which goes on when the schedule says so.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// One clock, however often it is cloned.
#[derive(Debug, Clone)]
pub(super) struct Clock(Rc<Cell<Instant>>);

impl Default for Clock {
    /// What it begins with shows nowhere: nothing is asked but how much time has passed.
    fn default() -> Self {
        Self(Rc::new(Cell::new(Instant::now())))
    }
}

impl Clock {
    pub(super) fn now(&self) -> Instant {
        self.0.get()
    }

    pub(super) fn pass(&self, time: Duration) {
        self.0.set(self.0.get() + time);
    }
}
