//! Waiting for a service to answer.

use std::fmt::Display;
use std::time::{Duration, Instant};

use anyhow::bail;
use futures::FutureExt as _;

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Why an attempt failed.
pub(super) enum Failure {
    /// The next may succeed. Why this one did not is not known: nobody answered.
    Silence(String),
    /// The next may succeed. The service or its client has said why this one did not.
    Passing(String),
    /// It would fail in the same way: what is wrong is the configuration.
    Final(anyhow::Error),
}

impl Failure {
    /// One that the next attempt may not meet.
    pub(super) fn passing(error: impl Display) -> Self {
        Self::Passing(error.to_string())
    }
}

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

    /// What is left, for an attempt that has a timeout of its own; never nothing, so that each has
    /// one attempt.
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
        let attempt = || attempt().map(|tried| tried.map_err(Failure::passing));
        self.until_final(service, attempt).await
    }

    /// As [`Deadline::until_answer`]; a failure that another try would meet too ends the wait at
    /// once.
    ///
    /// # Errors
    /// That failure, as it is; or no attempt succeeded.
    pub(super) async fn until_final<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        service: &str,
        attempt: impl Fn() -> F,
    ) -> anyhow::Result<T> {
        // A reason that was given says more than the silence of the last attempt, which had less
        // time than a client needs to be told it.
        let mut given = None;
        loop {
            let left = self.left();
            let failure = match tokio::time::timeout(left, attempt()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(Failure::Final(error))) => return Err(error),
                Ok(Err(Failure::Passing(reason))) => given.insert(reason).clone(),
                Ok(Err(Failure::Silence(words))) => given.clone().unwrap_or(words),
                Err(_) => given
                    .clone()
                    .unwrap_or_else(|| format!("no answer in {:.1} s", left.as_secs_f64())),
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
        // The last attempt has too little time to be told what the one before was.
        let told = Cell::new(false);
        let short = Deadline::after(PAUSE * 2);
        let silent = short.until_final("Kafka at x", || async {
            Err::<(), _>(match told.replace(true) {
                true => Failure::Silence("transport failure".to_owned()),
                false => Failure::passing("no trusted certificate"),
            })
        });
        assert_eq!(
            silent.await.unwrap_err().to_string(),
            "Kafka at x did not answer within 1s: is it running? The last attempt: no trusted certificate"
        );
        let refused = deadline.until_final("Kafka at x", || async {
            Err::<(), _>(Failure::Final(anyhow::anyhow!("kafka.properties.a: unknown")))
        });
        assert_eq!(
            refused.await.unwrap_err().to_string(),
            "kafka.properties.a: unknown"
        );
        assert_eq!(
            error.to_string(),
            "Kafka at x did not answer within 0s: is it running? The last attempt: refused"
        );
    }
}
