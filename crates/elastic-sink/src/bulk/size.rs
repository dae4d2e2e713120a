//! How many bytes a bulk request may have: less where the server or something before it does not
//! get through more, and again more when it does.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Fewer bytes than this are no relief to a server that does not answer in time.
const LEAST_BYTES: usize = 16_384;

/// A lone document above this may be too large for a proxy; one below is not what a limit of size
/// is made against.
const LARGE_DOCUMENT_BYTES: usize = 100_000;

/// Full requests that must succeed in a row before more is tried …
const SUCCESSES: u32 = 4;

/// … and the most of them, where trying more has failed again and again.
const MAX_SUCCESSES: u32 = 256;

/// Shared by the requests under way.
#[derive(Debug)]
pub struct BulkSize {
    timeout: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The most that is ever sent.
    max: usize,
    /// The most that is sent now.
    limit: usize,
    /// Full requests that succeeded since the limit was changed.
    successes: u32,
    /// How many of them raise the limit.
    needed: u32,
    /// Whether the last change was to raise it.
    was_raised: bool,
    /// The size from which a lone document may be refused for its size.
    large_document: usize,
}

impl BulkSize {
    /// At most `max` bytes; `timeout` is how long a request may take.
    #[must_use]
    pub fn new(max: usize, timeout: Duration) -> Self {
        Self {
            timeout,
            state: Mutex::new(State {
                max,
                limit: max,
                successes: 0,
                needed: SUCCESSES,
                was_raised: false,
                large_document: LARGE_DOCUMENT_BYTES,
            }),
        }
    }

    /// Notes the largest request that the server says it takes.
    pub fn server_takes(&self, bytes: usize) {
        self.with(|state| {
            state.max = state.max.min(bytes);
            state.limit = state.limit.min(bytes);
            state.large_document = state.large_document.min(bytes);
        });
    }

    /// The most bytes of the next request.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.with(|state| state.limit)
    }

    /// Whether a document of this size, alone in its request, may be refused for its size.
    #[must_use]
    pub fn is_large_document(&self, bytes: usize) -> bool {
        self.with(|state| bytes > state.large_document)
    }

    /// A request of `bytes` was answered after `took`. What took long would take longer yet with
    /// more in it.
    pub fn succeeded(&self, bytes: usize, took: Duration) {
        self.with(|state| {
            let was_full = bytes >= state.limit / 2;
            if state.limit >= state.max || !was_full || took > self.timeout / 3 {
                return;
            }
            state.successes += 1;
            if state.successes >= state.needed {
                state.successes = 0;
                state.limit = state.limit.saturating_mul(2).min(state.max);
                if state.was_raised {
                    state.needed = SUCCESSES;
                }
                state.was_raised = true;
            }
        });
    }

    /// A request of `bytes` was not answered in time, or was more than the server has memory for.
    pub fn overloaded(&self, bytes: usize) {
        self.with(|state| state.shrink((bytes / 2).max(LEAST_BYTES.min(state.max))));
    }

    /// A request of `bytes` was refused for its size.
    pub fn too_large(&self, bytes: usize) {
        self.with(|state| {
            if state.was_raised {
                state.needed = (state.needed * 2).min(MAX_SUCCESSES);
            }
            state.shrink((bytes / 2).max(1));
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Requests under way at once fail at once: all of them are one reason to send less.
    fn shrink(&mut self, bytes: usize) {
        self.successes = 0;
        self.was_raised = false;
        self.limit = self.limit.min(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);
    const FAST: Duration = Duration::from_millis(20);

    /// A server that needs a second for each 100 kB; gives how often a request was not answered in
    /// time.
    fn work_off(size: &BulkSize, mut backlog: usize) -> u32 {
        let mut timeouts = 0;
        while backlog > 0 {
            let bytes = backlog.min(size.limit());
            let took = Duration::from_secs_f64(bytes as f64 / 100_000.0);
            if took > TIMEOUT {
                timeouts += 1;
                size.overloaded(bytes);
            } else {
                size.succeeded(bytes, took);
                backlog -= bytes;
            }
        }
        timeouts
    }

    #[test]
    fn a_slow_server_gets_less_until_it_answers_and_then_no_more_than_that() {
        let size = BulkSize::new(5_000_000, TIMEOUT);
        assert_eq!(work_off(&size, 3_700_000), 3);
        assert_eq!(work_off(&size, 100_000_000), 0);
        assert!((200_000..500_000).contains(&size.limit()), "{}", size.limit());
    }

    #[test]
    fn a_server_that_is_fast_again_gets_all_again() {
        let size = BulkSize::new(5_000_000, TIMEOUT);
        for _ in 0..30 {
            size.overloaded(size.limit());
        }
        assert_eq!(size.limit(), LEAST_BYTES);
        let mut requests = 0;
        while size.limit() < 5_000_000 {
            size.succeeded(size.limit(), FAST);
            requests += 1;
        }
        assert!(requests <= 40, "{requests}");
    }

    #[test]
    fn requests_that_fail_at_once_halve_once() {
        let size = BulkSize::new(4_000_000, TIMEOUT);
        for _ in 0..3 {
            size.overloaded(4_000_000);
        }
        assert_eq!(size.limit(), 2_000_000);
    }

    #[test]
    fn a_limit_of_a_proxy_is_tried_ever_more_seldom() {
        let size = BulkSize::new(5_000_000, TIMEOUT);
        let (mut refused, mut taken) = (0, 0);
        while taken < 2_000 {
            let bytes = size.limit();
            if bytes > 20_000 {
                refused += 1;
                size.too_large(bytes);
            } else {
                taken += 1;
                size.succeeded(bytes, FAST);
            }
        }
        assert!(refused < 30, "{refused}");
    }

    #[test]
    fn what_was_cut_to_lone_documents_grows_back_soon() {
        let size = BulkSize::new(5_000_000, TIMEOUT);
        while size.limit() > 300 {
            size.too_large(size.limit());
        }
        let mut requests = 0;
        while size.limit() < 5_000_000 {
            size.succeeded(size.limit(), FAST);
            requests += 1;
        }
        assert!(requests <= 70, "{requests}");
    }

    #[test]
    fn small_requests_say_nothing_of_large_ones() {
        let size = BulkSize::new(4_000_000, TIMEOUT);
        size.overloaded(4_000_000);
        for _ in 0..100 {
            size.succeeded(500, FAST);
        }
        assert_eq!(size.limit(), 2_000_000);
    }

    #[test]
    fn the_servers_own_limit_holds() {
        let size = BulkSize::new(5_000_000, TIMEOUT);
        assert!(!size.is_large_document(600) && size.is_large_document(100_001));
        size.server_takes(50_000);
        assert_eq!(size.limit(), 50_000);
        assert!(size.is_large_document(50_001));
    }
}
