//! Partitions that wait until the others have come to where they are: see [`crate::alignment`].

use std::time::{Duration, Instant};

use super::Worker;
use super::turns::Turns;
use crate::Job;
use crate::failure::Failure;

/// How long a partition that waits stays so after the others have come, if they are another
/// worker's: nobody wakes this one then.
const LOOK: Duration = Duration::from_millis(2);

/// Whether a partition waits for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// It does not.
    No,
    /// Its next record, with this event time, was not admitted: what comes is passed over.
    Held(i64),
    /// As above, and it was not to be admitted in a later round either.
    Waits(i64),
}

impl<J: Job> Worker<'_, J> {
    /// Has every partition that need not wait take what comes next of it. Where there is nothing,
    /// it is waited for, `wait` at most.
    pub(super) fn take_turns(&mut self, wait: Duration) -> Result<(), Failure> {
        if self.round()? {
            return Ok(());
        }
        let is_held = self.fetcher.turns().is_some_and(Turns::holds_any);
        self.fetcher
            .batches()
            .wait(if is_held { wait.min(LOOK) } else { wait });
        self.round().map(drop)
    }

    /// Returns whether there was anything to take.
    fn round(&mut self) -> Result<bool, Failure> {
        let (core, unreadable) = (&mut self.core, &mut self.unreadable);
        let Some(turns) = self.fetcher.turns_mut() else {
            return Ok(false);
        };
        let (room, started) = (core.room().min(super::MAX_BATCH), Instant::now());
        let offered = turns.offer(room, |number| {
            unreadable.takes(number) && core.goes_on(number, started)
        });
        if offered == 0 {
            return Ok(false);
        }
        let result = core.batch(unreadable.readable(turns.items(self.shared.job.input_topic())));
        turns.settle(|number| core.position(number));
        core.busy += started.elapsed();
        result.map(|()| true)
    }
}
