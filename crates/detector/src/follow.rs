//! Follows a topic of one partition on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;

/// How long the brokers may take to answer where nobody says.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Pause before whoever does not answer is asked again.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// Tries again what brokers that are busy, or are just starting, have not answered. Blocks.
///
/// # Errors
/// The last one's after a minute, or any other at once.
pub fn patiently<T>(attempt: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    patiently_until(Instant::now() + PATIENCE, attempt)
}

/// As [`patiently`], until a moment of the caller's.
///
/// # Errors
/// The last one's after the deadline, or any other at once.
pub fn patiently_until<T>(
    deadline: Instant,
    mut attempt: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.is::<KafkaError>() && Instant::now() < deadline => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "Kafka does not answer; trying again"
                );
                sleep(PAUSE);
            }
            done => return done,
        }
    }
}

/// A thread that follows a topic until this is dropped.
pub(crate) struct Follower {
    is_wanted: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Starts what follows, for as long as the flag is set.
    pub(crate) fn start(follow: impl FnOnce(&AtomicBool) + Send + 'static) -> Self {
        let is_wanted = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&is_wanted);
        Self {
            is_wanted,
            thread: Some(spawn(move || follow(&flag))),
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.is_wanted.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
