//! Finds worker threads that never come back from a call into the Kafka client.
//!
//! Every call of the worker has a bound, but some of librdkafka's do not keep it:
//! `rd_kafka_send_offsets_to_transaction` never looks at its timeout while it waits for a group
//! coordinator that has gone (librdkafka issues 5456 and 5511). The client's settings see to it
//! that this ends soon; this is the last resort, so that a job never stands still in silence.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The thread is not in its loop: it waits for the cluster, with clients that are still to be made.
const RESTING: u64 = u64::MAX;

/// Where each worker thread counts its rounds.
#[derive(Debug)]
pub(crate) struct Pulse(Vec<AtomicU64>);

impl Pulse {
    pub(crate) fn new(threads: usize) -> Self {
        Self((0..threads).map(|_| AtomicU64::new(RESTING)).collect())
    }

    /// A round of `thread`, to be called more often than the limit.
    pub(crate) fn beat(&self, thread: usize) {
        // No other thread writes it; from the resting value it goes to 0.
        let beat = &self.0[thread];
        beat.store(
            beat.load(Ordering::Relaxed).wrapping_add(1) % RESTING,
            Ordering::Relaxed,
        );
    }

    /// The thread leaves its loop.
    pub(crate) fn rest(&self, thread: usize) {
        self.0[thread].store(RESTING, Ordering::Relaxed);
    }
}

/// Looks at a pulse at an interval. It counts its own looks and not the clock's time: if the whole
/// process was stopped, nobody is stuck.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Looks after which a thread is stuck.
    limit: u128,
    /// Each thread's last count, and for how many looks it has been the same.
    seen: Vec<(u64, u128)>,
}

impl Watch {
    /// For looks every `interval`.
    pub(crate) fn new(pulse: &Pulse, limit: Duration, interval: Duration) -> Self {
        Self {
            limit: (limit.as_nanos() / interval.as_nanos().max(1)).max(1),
            seen: vec![(RESTING, 0); pulse.0.len()],
        }
    }

    /// A thread that has been in one round for longer than the limit.
    pub(crate) fn look(&mut self, pulse: &Pulse) -> Option<usize> {
        let threads = self.seen.iter_mut().zip(&pulse.0).enumerate();
        let mut stuck = None;
        for (thread, ((last, looks), beat)) in threads {
            let now = beat.load(Ordering::Relaxed);
            *looks = if now == *last && now != RESTING {
                *looks + 1
            } else {
                0
            };
            *last = now;
            if *looks >= self.limit {
                stuck = Some(thread);
            }
        }
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_thread_in_its_loop_can_be_stuck() {
        let pulse = Pulse::new(2);
        let mut watch = Watch::new(&pulse, Duration::from_secs(3), Duration::from_secs(1));
        let looks = |watch: &mut Watch, count: u32| (0..count).find_map(|_| watch.look(&pulse));
        assert_eq!(looks(&mut watch, 10), None, "both rest");
        pulse.beat(0);
        pulse.beat(1);
        for _ in 0..10 {
            assert_eq!(looks(&mut watch, 2), None);
            pulse.beat(0);
            pulse.beat(1);
        }
        pulse.rest(0);
        assert_eq!(looks(&mut watch, 3), None);
        assert_eq!(looks(&mut watch, 1), Some(1));
        pulse.beat(1);
        assert_eq!(looks(&mut watch, 3), None, "it has come round");
    }

    #[test]
    fn a_count_never_looks_like_rest() {
        let pulse = Pulse::new(1);
        pulse.beat(0);
        assert_eq!(pulse.0[0].load(Ordering::Relaxed), 0);
        pulse.0[0].store(RESTING - 1, Ordering::Relaxed);
        pulse.beat(0);
        assert_eq!(pulse.0[0].load(Ordering::Relaxed), 0);
    }
}
