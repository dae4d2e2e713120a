//! A pace for sources: a token bucket that all threads share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Grants records at a rate. A thread that was held up catches up, for no more than two seconds'
/// worth: people go on paying while a broker pauses, so a short pause must not lower the rate, and
/// an outage is not followed by a flood.
#[derive(Debug)]
pub struct Pacer {
    rate_per_s: u64,
    started: Instant,
    batch: u64,
    catch_up: u64,
    granted: AtomicU64,
}

/// Seconds' worth of records that are made good.
const CATCH_UP_S: u64 = 2;
/// Most records that are granted at once.
const MAX_BATCH: u64 = 256;
/// Grants a second, below the rate at which a batch is full. Each wakes a thread, and for each
/// record that comes alone librdkafka wakes one of its own: with a grant for every record, most of
/// a processor goes into waking.
const BATCHES_PER_S: u64 = 100;

impl Pacer {
    /// A pacer of `rate_per_s` records a second; 0 grants everything at once.
    #[must_use]
    pub fn new(rate_per_s: u64) -> Self {
        let batch = (rate_per_s / BATCHES_PER_S).clamp(1, MAX_BATCH);
        Self {
            rate_per_s,
            started: Instant::now(),
            batch,
            catch_up: rate_per_s.saturating_mul(CATCH_UP_S).max(batch),
            granted: AtomicU64::new(0),
        }
    }

    /// Takes a batch of records.
    ///
    /// # Errors
    /// How long to wait before trying again.
    pub fn take(&self) -> Result<u64, Duration> {
        if self.rate_per_s == 0 {
            return Ok(MAX_BATCH);
        }
        self.take_at(self.started.elapsed())
    }

    fn take_at(&self, elapsed: Duration) -> Result<u64, Duration> {
        let due = (elapsed.as_nanos() * u128::from(self.rate_per_s) / 1_000_000_000) as u64;
        let mut granted = self.granted.load(Ordering::Relaxed);
        loop {
            let after = granted.max(due.saturating_sub(self.catch_up)) + self.batch;
            if after > due {
                let missing = (after - due) as f64 / self.rate_per_s as f64;
                return Err(Duration::from_secs_f64(missing));
            }
            match self
                .granted
                .compare_exchange_weak(granted, after, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(self.batch),
                Err(now) => granted = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted_until(pacer: &Pacer, elapsed: Duration) -> u64 {
        std::iter::from_fn(|| pacer.take_at(elapsed).ok()).sum()
    }

    #[test]
    fn grants_the_rate() {
        for rate in [1, 7, 1_000, 333_333, 2_000_000] {
            let pacer = Pacer::new(rate);
            let mut granted = 0;
            for tick in 1..=1_000 {
                granted += granted_until(&pacer, Duration::from_millis(tick * 10));
            }
            let wanted = rate * 10;
            assert!(
                granted <= wanted && granted + pacer.batch >= wanted,
                "{granted} of {wanted}"
            );
        }
    }

    #[test]
    fn catches_up_by_a_bounded_amount() {
        let pacer = Pacer::new(10_000);
        granted_until(&pacer, Duration::from_secs(1));
        // A minute of outage is not made good.
        let after = granted_until(&pacer, Duration::from_secs(61));
        assert_eq!(after, 10_000 * CATCH_UP_S);
    }

    #[test]
    fn wakes_no_more_often_than_it_must() {
        for rate in [50, 1_000, 20_000] {
            let pacer = Pacer::new(rate);
            let grants = (1..=1_000_u64)
                .map(Duration::from_millis)
                .filter(|elapsed| pacer.take_at(*elapsed).is_ok())
                .count();
            assert!(grants <= 100, "{grants} grants for {rate} records");
        }
    }

    #[test]
    fn says_how_long_to_wait() {
        let pacer = Pacer::new(100);
        let wait = pacer.take_at(Duration::from_millis(4)).unwrap_err();
        assert_eq!(wait, Duration::from_millis(10));
    }
}
