//! What wakes a thread that waits for any of several queues.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Rung by librdkafka's threads, heard by the consumer's.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    has_rung: Mutex<bool>,
    rings: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.has_rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.rings.notify_all();
    }

    /// Waits, `timeout` at most, until it has rung since the last call.
    pub(crate) fn wait(&self, timeout: Duration) {
        let has_rung = self.has_rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .rings
            .wait_timeout_while(has_rung, timeout, |has_rung| !*has_rung);
        let (mut has_rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *has_rung = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_ring_is_heard_before_and_in_the_wait_and_once() {
        let bell = Arc::new(Bell::default());
        bell.ring();
        bell.wait(LONG);
        let started = Instant::now();
        bell.wait(Duration::from_millis(20));
        assert!(started.elapsed() >= Duration::from_millis(20), "it was heard");
        let other = Arc::clone(&bell);
        let ringing = std::thread::spawn(move || other.ring());
        bell.wait(LONG);
        assert!(ringing.join().is_ok());
    }
}
