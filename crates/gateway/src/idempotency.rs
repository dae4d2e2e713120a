//! What became of requests with an `Idempotency-Key`, for those that are sent again
//! (draft-ietf-httpapi-idempotency-key-header).
//!
//! In memory, bounded in number and time. What is kept of a request is its report: an answer that
//! was lost on its way is given again, and nothing is sent a second time. Of a request some of
//! whose items were not acknowledged, the others are not sent again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};

use crate::body::Form;
use crate::problem::Problem;
use crate::report::Report;

/// The header.
pub(crate) const HEADER: &str = "idempotency-key";
/// Longest value of it.
const MAX_KEY_LEN: usize = 255;
/// Errors of all reports that are kept: beside these, an entry has a few hundred bytes.
const MAX_KEPT_ERRORS: usize = 100_000;

/// A request's key, within its client and stream, as a hash: so that all are of one size.
pub(crate) type Key = [u8; 32];

/// Of a request's headers.
///
/// # Errors
/// 400: it is empty, longer than 255 characters, or has others than visible ASCII ones.
pub(crate) fn key(headers: &HeaderMap, client: &str, stream: &str) -> Result<Option<Key>, Problem> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let text = value.as_bytes();
    let is_visible = |byte: &u8| (0x20..0x7f).contains(byte);
    if text.is_empty() || text.len() > MAX_KEY_LEN || !text.iter().all(is_visible) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "idempotency_key",
            format!("Idempotency-Key must be 1 to {MAX_KEY_LEN} visible ASCII characters, as a UUID is"),
        ));
    }
    let mut hash = Sha256::new();
    // Neither name has a NUL.
    for part in [client.as_bytes(), b"\0", stream.as_bytes(), b"\0", text] {
        hash.update(part);
    }
    Ok(Some(hash.finalize().into()))
}

/// What two requests of one key must have in common: form and content, decompressed.
pub(crate) fn fingerprint(form: Form, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update([form as u8]);
    hash.update(body);
    hash.finalize().into()
}

#[derive(Debug)]
enum State {
    InFlight,
    Done(Arc<Report>),
}

impl State {
    fn errors(&self) -> usize {
        match self {
            Self::InFlight => 0,
            Self::Done(report) => report.errors.len(),
        }
    }
}

#[derive(Debug)]
struct Entry {
    fingerprint: [u8; 32],
    state: State,
    /// Tells an entry from an earlier one of the same key.
    number: u64,
}

#[derive(Debug, Default)]
struct Table {
    entries: FxHashMap<Key, Entry>,
    /// Those that are done, by the time they were.
    done: VecDeque<(Instant, Key, u64)>,
    /// Errors of all reports.
    errors: usize,
    next: u64,
}

/// What is known of a request.
#[derive(Debug)]
pub(crate) enum Known {
    /// Nothing, or that items of it were not acknowledged: it is to be done, and the guard be told
    /// how it ended. The report is that of before.
    New(Guard, Option<Arc<Report>>),
    /// All that can be: the report is the answer.
    Done(Arc<Report>),
}

/// The store; its clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    table: Arc<Mutex<Table>>,
    ttl: Duration,
    max_keys: usize,
}

impl Store {
    /// One of at most `max_keys` requests, each for `ttl` after it was done.
    pub(crate) fn new(ttl: Duration, max_keys: usize) -> Self {
        Self {
            table: Arc::default(),
            ttl,
            max_keys,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Whatever panicked left the table whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.table().entries.len()
    }

    /// Begins a request at `now`.
    ///
    /// # Errors
    /// 422: the key was another body's. 409: the same request is under way. 503: all that can be
    /// kept are under way.
    pub(crate) fn begin(&self, key: Key, fingerprint: [u8; 32], now: Instant) -> Result<Known, Problem> {
        let mut table = self.table();
        table.expire(now.checked_sub(self.ttl));
        let before = match table.entries.get(&key) {
            Some(entry) if entry.fingerprint != fingerprint => {
                return Err(Problem::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "idempotency_key_reused",
                    "the Idempotency-Key was another body's: a new body needs a new key",
                ));
            }
            Some(Entry {
                state: State::InFlight,
                ..
            }) => {
                let problem = Problem::new(
                    StatusCode::CONFLICT,
                    "request_in_flight",
                    "the first request with this Idempotency-Key is still under way",
                );
                return Err(problem.retry_after(1));
            }
            Some(Entry {
                state: State::Done(report),
                ..
            }) if report.unacknowledged == 0 => return Ok(Known::Done(Arc::clone(report))),
            Some(Entry {
                state: State::Done(report),
                ..
            }) => Some(Arc::clone(report)),
            None => None,
        };
        if before.is_none() && table.entries.len() >= self.max_keys && !table.evict() {
            return Err(Problem::busy(
                "idempotency_store_full",
                "as many requests with an Idempotency-Key are under way as are remembered",
            ));
        }
        table.next += 1;
        let number = table.next;
        let entry = Entry {
            fingerprint,
            state: State::InFlight,
            number,
        };
        let replaced = table.entries.insert(key, entry);
        table.errors -= replaced.map_or(0, |entry| entry.state.errors());
        let guard = Guard {
            store: self.clone(),
            key,
            number,
            before: before.clone(),
        };
        Ok(Known::New(guard, before))
    }
}

impl Table {
    /// Forgets what was done at or before `until`.
    fn expire(&mut self, until: Option<Instant>) {
        while let Some(&(done, key, number)) = self.done.front()
            && until.is_some_and(|until| done <= until)
        {
            self.done.pop_front();
            self.forget(key, number);
        }
    }

    /// Forgets the oldest that is done; whether there was one.
    fn evict(&mut self) -> bool {
        while let Some((_, key, number)) = self.done.pop_front() {
            if self.forget(key, number) {
                return true;
            }
        }
        false
    }

    /// Forgets an entry; whether it was that one still.
    fn forget(&mut self, key: Key, number: u64) -> bool {
        let is_that = self.entries.get(&key).is_some_and(|entry| entry.number == number);
        if is_that && let Some(entry) = self.entries.remove(&key) {
            self.errors -= entry.state.errors();
        }
        is_that
    }

    /// Keeps the report of a request that is under way, or forgets it. One for whose errors there
    /// is no room is forgotten too: a repeat is done anew.
    fn finish(&mut self, key: Key, number: u64, report: Option<Arc<Report>>) {
        let report = report.filter(|it| self.errors + it.errors.len() <= MAX_KEPT_ERRORS);
        let Some(report) = report else {
            self.forget(key, number);
            return;
        };
        if let Some(entry) = self.entries.get_mut(&key) {
            self.errors += report.errors.len();
            entry.state = State::Done(report);
            self.done.push_back((Instant::now(), key, number));
        }
    }
}

/// A request under way. Dropped, nothing of it was sent: it is forgotten, but for what was known
/// before.
#[derive(Debug)]
pub(crate) struct Guard {
    store: Store,
    key: Key,
    number: u64,
    before: Option<Arc<Report>>,
}

impl Guard {
    /// Keeps what became of it.
    pub(crate) fn finish(mut self, report: &Arc<Report>) {
        self.before = Some(Arc::clone(report));
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let before = self.before.take();
        self.store.table().finish(self.key, self.number, before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ItemError;

    const TTL: Duration = Duration::from_secs(60);

    fn report(unacknowledged: usize) -> Arc<Report> {
        let error = |index| ItemError::unacknowledged(index, "unacknowledged", "x");
        Arc::new(Report::new("s", 3, (0..unacknowledged).map(error).collect()))
    }

    fn code(result: Result<Known, Problem>) -> String {
        match result {
            Ok(Known::Done(_)) => "done".to_owned(),
            Ok(Known::New(guard, before)) => {
                drop(guard);
                let before = before.map_or(0, |report| report.unacknowledged);
                format!("new {before}")
            }
            Err(problem) => problem.code,
        }
    }

    fn begin(store: &Store, key: u8) -> Guard {
        match store.begin([key; 32], [0; 32], Instant::now()) {
            Ok(Known::New(guard, _)) => guard,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_repeat_is_answered_as_the_first_and_never_two_at_once() {
        let store = Store::new(TTL, 10);
        let now = Instant::now();
        let guard = begin(&store, 1);
        assert_eq!(code(store.begin([1; 32], [0; 32], now)), "request_in_flight");
        assert_eq!(code(store.begin([1; 32], [9; 32], now)), "idempotency_key_reused");
        guard.finish(&report(0));
        assert_eq!(code(store.begin([1; 32], [0; 32], now)), "done");
        assert_eq!(code(store.begin([1; 32], [9; 32], now)), "idempotency_key_reused");
        assert_eq!(code(store.begin([2; 32], [9; 32], now)), "new 0");
    }

    #[test]
    fn what_was_not_acknowledged_is_done_again_with_what_is_known() {
        let store = Store::new(TTL, 10);
        begin(&store, 1).finish(&report(2));
        assert_eq!(code(store.begin([1; 32], [0; 32], Instant::now())), "new 2");
        // The guard was dropped without an end: what was known before is known still.
        assert_eq!(code(store.begin([1; 32], [0; 32], Instant::now())), "new 2");
        let Ok(Known::New(guard, Some(_))) = store.begin([1; 32], [0; 32], Instant::now()) else {
            panic!("it is to be done again")
        };
        guard.finish(&report(0));
        assert_eq!(code(store.begin([1; 32], [0; 32], Instant::now())), "done");
        drop(begin(&store, 2));
        assert_eq!(code(store.begin([2; 32], [9; 32], Instant::now())), "new 0");
    }

    #[test]
    fn the_store_is_bounded_in_number_and_time() {
        let store = Store::new(TTL, 2);
        begin(&store, 1).finish(&report(0));
        begin(&store, 2).finish(&report(0));
        // The oldest that is done makes room.
        let guard = begin(&store, 3);
        assert_eq!(store.len(), 2);
        let second = begin(&store, 1);
        let full = store.begin([4; 32], [0; 32], Instant::now());
        assert_eq!(code(full), "idempotency_store_full");
        drop(second);
        guard.finish(&report(0));
        assert_eq!(code(store.begin([3; 32], [0; 32], Instant::now())), "done");
        let later = Instant::now() + TTL;
        assert_eq!(code(store.begin([3; 32], [9; 32], later)), "new 0");
        assert_eq!(store.len(), 0);
        assert!(store.table().done.is_empty());
    }

    #[test]
    fn reports_of_very_many_errors_are_not_kept_beside_others() {
        let store = Store::new(TTL, 10);
        let error = |index| ItemError::refused(index, "missing_field", "x");
        let half = MAX_KEPT_ERRORS / 2 + 1;
        let large = Arc::new(Report::new("s", half, (0..half).map(error).collect()));
        let known = |key| code(store.begin([key; 32], [0; 32], Instant::now()));
        begin(&store, 1).finish(&large);
        begin(&store, 2).finish(&large);
        assert_eq!((known(1), known(2)), ("done".to_owned(), "new 0".to_owned()));
        store.table().expire(Some(Instant::now()));
        assert_eq!(store.table().errors, 0);
        begin(&store, 2).finish(&large);
        assert_eq!(known(2), "done");
    }

    #[test]
    fn a_key_belongs_to_its_client_and_stream() {
        let mut headers = HeaderMap::new();
        assert_eq!(key(&headers, "a", "s"), Ok(None));
        headers.insert(HEADER, "k-1".parse().unwrap());
        let of = |client, stream| key(&headers, client, stream).unwrap().unwrap();
        assert_eq!(of("a", "s"), of("a", "s"));
        assert!(of("a", "s") != of("b", "s") && of("a", "s") != of("a", "t"));
        for wrong in ["", &"x".repeat(256), "\u{e4}"] {
            let mut headers = HeaderMap::new();
            headers.insert(
                HEADER,
                axum::http::HeaderValue::from_bytes(wrong.as_bytes()).unwrap(),
            );
            assert_eq!(key(&headers, "a", "s").unwrap_err().status, 400, "{wrong}");
        }
    }
}
