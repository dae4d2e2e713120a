//! Keeps the threads of a simulated time together.
//!
//! With the machine's clock all threads have the same time. A simulated time advances with a
//! thread's own records, so a thread that runs ahead would push the watermark past what a slower
//! one has yet to send, and make it late. So none runs ahead of what the slowest has had
//! acknowledged by more than a bound well within the disorder that consumers allow. That bounds how
//! much faster than the event rate two threads can send: about `MAX_AHEAD_MS` of it for each round
//! trip. With one thread there is nothing to wait for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How far a thread may be ahead in event time.
const MAX_AHEAD_MS: i64 = 500;
const WAIT: Duration = Duration::from_millis(1);

/// One thread's view of all threads' progress.
#[derive(Debug)]
pub struct Skew {
    thread: usize,
    acknowledged_until_ms: Arc<[AtomicI64]>,
    limit_ms: i64,
}

impl Skew {
    /// One for each of `threads` threads that start at `start_ms`.
    #[must_use]
    pub fn of(threads: usize, start_ms: i64) -> Vec<Self> {
        let shared: Arc<[AtomicI64]> = (0..threads).map(|_| AtomicI64::new(start_ms)).collect();
        (0..threads)
            .map(|thread| Self {
                thread,
                acknowledged_until_ms: Arc::clone(&shared),
                limit_ms: start_ms,
            })
            .collect()
    }

    /// How long to wait before a record of that event time is sent; `None` if it may go.
    #[inline]
    pub fn wait_at(&mut self, event_time_ms: i64) -> Option<Duration> {
        if event_time_ms <= self.limit_ms {
            return None;
        }
        let slowest = self
            .acknowledged_until_ms
            .iter()
            .map(|time| time.load(Ordering::Relaxed))
            .min();
        self.limit_ms = slowest.unwrap_or(i64::MAX).saturating_add(MAX_AHEAD_MS);
        (event_time_ms > self.limit_ms).then_some(WAIT)
    }

    /// Tells the others how far this thread is.
    pub fn acknowledged_until(&self, event_time_ms: i64) {
        self.acknowledged_until_ms[self.thread].fetch_max(event_time_ms, Ordering::Relaxed);
    }
}

impl Drop for Skew {
    /// A thread that ended holds nobody up.
    fn drop(&mut self) {
        self.acknowledged_until(i64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_runs_ahead_of_the_slowest() {
        let mut threads = Skew::of(2, 0);
        let (mut slow, mut fast) = (threads.remove(0), threads.remove(0));
        assert_eq!(fast.wait_at(500), None);
        fast.acknowledged_until(500);
        assert_eq!(fast.wait_at(501), Some(WAIT));
        assert_eq!(slow.wait_at(500), None);
        slow.acknowledged_until(300);
        assert_eq!(fast.wait_at(800), None);
        assert_eq!(fast.wait_at(801), Some(WAIT));
        drop(slow);
        assert_eq!(fast.wait_at(1_000), None);
    }
}
