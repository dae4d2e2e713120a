//! One flag that says stop, for async tasks and threads alike, raised by SIGTERM, SIGINT or the
//! program itself.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use thiserror::Error;
use tokio::sync::watch;

/// The signals' handlers cannot be set.
#[derive(Debug, Error)]
#[error("SIGTERM and SIGINT cannot be handled")]
pub struct SignalError(#[from] std::io::Error);

/// The flag; its clones are one.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    triggered: watch::Sender<bool>,
    // Threads have no way to wait for a watch with a timeout.
    lock: Mutex<()>,
    changed: Condvar,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// A flag that only [`Shutdown::trigger`] raises.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            triggered: watch::Sender::new(false),
            lock: Mutex::new(()),
            changed: Condvar::new(),
        }))
    }

    /// A flag that the first SIGTERM or SIGINT raises. A second one ends the process at once, with
    /// 128 plus the signal's number.
    ///
    /// # Errors
    /// The system refuses the handlers or their thread.
    pub fn on_signals() -> Result<Self, SignalError> {
        let shutdown = Self::new();
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let flag = shutdown.clone();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                let mut stopping = false;
                for signal in signals.forever() {
                    let name = if signal == SIGTERM { "SIGTERM" } else { "SIGINT" };
                    if stopping {
                        tracing::error!(signal = name, "a second signal: exiting at once");
                        signal_hook::low_level::exit(128 + signal);
                    }
                    stopping = true;
                    tracing::info!(signal = name, "stopping; a second signal exits at once");
                    flag.trigger();
                }
            })?;
        Ok(shutdown)
    }

    /// Raises the flag; it stays up.
    pub fn trigger(&self) {
        let _held = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.triggered.send_replace(true);
        self.0.changed.notify_all();
    }

    /// Whether the flag is up.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        *self.0.triggered.borrow()
    }

    /// Waits until the flag is up.
    pub async fn wait(&self) {
        // The sender lives in `self`, so the wait ends by the flag alone.
        let _ = self
            .0
            .triggered
            .subscribe()
            .wait_for(|triggered| *triggered)
            .await;
    }

    /// Blocks a thread until the flag is up or `timeout` is over; whether it is up.
    #[must_use]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut held = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_triggered() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            held = self
                .0
                .changed
                .wait_timeout(held, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_and_threads_see_the_flag() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.is_triggered());
        assert!(!shutdown.wait_timeout(Duration::ZERO));
        let waiting = shutdown.clone();
        let task = tokio::spawn(async move { waiting.wait().await });
        let waiting = shutdown.clone();
        let thread = std::thread::spawn(move || waiting.wait_timeout(Duration::from_secs(60)));
        shutdown.trigger();
        task.await.expect("the task ends");
        assert!(thread.join().expect("the thread ends"));
        assert!(shutdown.is_triggered());
        shutdown.wait().await;
    }

    #[test]
    fn a_signal_raises_the_flag() {
        let shutdown = Shutdown::on_signals().expect("handlers");
        signal_hook::low_level::raise(SIGTERM).expect("a signal to ourselves");
        assert!(shutdown.wait_timeout(Duration::from_secs(60)));
    }
}
