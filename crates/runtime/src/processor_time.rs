//! What a thread has had of a processor.

use std::time::Duration;

use nix::time::ClockId;

/// The processor time of the calling thread so far; none, should the system not tell.
pub(crate) fn of_this_thread() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID
        .now()
        .map_or(Duration::ZERO, Duration::from)
}
