//! Waiting for a service to answer.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::bail;

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// A bound on waiting that several waits share.
pub(super) struct Deadline {
    at: Instant,
    total: Duration,
}

impl Deadline {
    pub(super) fn after(total: Duration) -> Self {
        Self {
            at: Instant::now() + total,
            total,
        }
    }

    /// What is left, for an attempt that has a timeout of its own; never nothing, so that each has one attempt.
    pub(super) fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now()).max(PAUSE)
    }

    /// Tries until an attempt succeeds.
    ///
    /// # Errors
    /// None did; with the last failure, and what to look at.
    pub(super) async fn until_answer<T, E: Display, F: Future<Output = Result<T, E>>>(
        &self,
        service: &str,
        attempt: impl Fn() -> F,
    ) -> anyhow::Result<T> {
        loop {
            let left = self.left();
            let failure = match tokio::time::timeout(left, attempt()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer in {:.1} s", left.as_secs_f64()),
            };
            if Instant::now() + PAUSE >= self.at {
                let waited = humantime::format_duration(self.total);
                bail!("{service} did not answer within {waited}: is it running? The last attempt: {failure}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn an_answer_ends_the_wait_and_silence_is_named() {
        let attempts = Cell::new(0);
        let deadline = Deadline::after(Duration::from_secs(60));
        let answer = deadline.until_answer("Kafka at x", || async {
            attempts.set(attempts.get() + 1);
            if attempts.get() < 2 { Err("refused") } else { Ok(7) }
        });
        assert_eq!(answer.await.unwrap(), 7);
        let over = Deadline::after(Duration::ZERO);
        let error = over
            .until_answer("Kafka at x", || async { Err::<(), _>("refused") })
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "Kafka at x did not answer within 0s: is it running? The last attempt: refused"
        );
    }
}
