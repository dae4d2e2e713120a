//! How long to wait before trying again.

use std::time::Duration;

/// Exponential back-off with "equal jitter" (M. Brooker, "Exponential Backoff and Jitter", 2015):
/// half of each pause is fixed, half is chance, so that instances which failed together do not come
/// back together.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first pause, at most.
    pub initial: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Backoff {
    /// The pause after the failed attempt `attempt`, counted from 0. `chance` is from 0 to 1.
    #[must_use]
    pub fn pause(&self, attempt: u32, chance: f64) -> Duration {
        let doubled = 2_u32
            .checked_pow(attempt)
            .and_then(|factor| self.initial.checked_mul(factor));
        let whole = doubled.map_or(self.max, |pause| pause.min(self.max));
        whole.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }

    /// Waits after the failed attempt `attempt`, counted from 0.
    pub async fn wait(&self, attempt: u32) {
        tokio::time::sleep(self.pause(attempt, rand::random())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BACKOFF: Backoff = Backoff {
        initial: Duration::from_millis(100),
        max: Duration::from_secs(30),
    };

    #[test]
    fn doubles_up_to_the_longest() {
        let pauses: Vec<u128> = (0..11)
            .map(|attempt| BACKOFF.pause(attempt, 1.0).as_millis())
            .collect();
        assert_eq!(
            pauses,
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000
            ]
        );
    }

    proptest! {
        #[test]
        fn stays_between_half_and_whole(attempt: u32, chance in 0.0..=1.0) {
            let (low, pause, high) =
                (BACKOFF.pause(attempt, 0.0), BACKOFF.pause(attempt, chance), BACKOFF.pause(attempt, 1.0));
            prop_assert!(low <= pause && pause <= high);
            prop_assert!(low >= high / 2 - Duration::from_nanos(1));
            prop_assert!(high <= BACKOFF.max);
        }
    }
}
