//! What is kept of a key with open sessions.

use crate::RestoreError;
use crate::hash::HashSeed;
use crate::keyed::{Entry, Run, Slot};
use crate::snapshot::{StateReader, StateWriter};
use crate::windowed::{Key, Totals};

/// An open session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session<T> {
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    pub(super) totals: T,
}

impl<T: Totals> Session<T> {
    /// Of one event.
    pub(super) fn of(time_ms: i64, totals: T) -> Self {
        Self {
            first_ms: time_ms,
            last_ms: time_ms,
            totals,
        }
    }

    /// Whether it ends a gap or more before another one begins.
    pub(super) fn is_before(&self, other: &Self, gap_ms: i64) -> bool {
        self.last_ms.saturating_add(gap_ms) <= other.first_ms
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.first_ms = self.first_ms.min(other.first_ms);
        self.last_ms = self.last_ms.max(other.last_ms);
        self.totals.merge(&other.totals);
    }

    pub(super) fn write(&self, writer: &mut StateWriter<'_>) {
        writer.i64(self.first_ms);
        writer.i64(self.last_ms);
        self.totals.write(writer);
    }

    /// Reads what [`Session::write`] wrote.
    pub(super) fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let at = reader.position();
        let session = Self {
            first_ms: reader.i64()?,
            last_ms: reader.i64()?,
            totals: T::read(reader)?,
        };
        if session.first_ms > session.last_ms {
            return Err(RestoreError::Invalid { what: "session", at });
        }
        Ok(session)
    }
}

impl<T: Totals> Entry for Session<T> {
    const NONE: Self = Self {
        first_ms: 0,
        last_ms: 0,
        totals: T::EMPTY,
    };
}

/// A key's open sessions, the first one first, each a gap before the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionSlot<K, T> {
    pub(super) key: Option<K>,
    /// The horizon at which the first one is looked at.
    pub(super) planned_ms: Option<i64>,
    pub(super) run: Run<Session<T>>,
}

impl<K: Key, T: Totals> SessionSlot<K, T> {
    pub(super) const fn new(key: K) -> Self {
        Self {
            key: Some(key),
            planned_ms: None,
            run: Run::EMPTY,
        }
    }
}

impl<K: Key, T: Totals> Slot for SessionSlot<K, T> {
    type Key = Option<K>;

    const FREE: Self = Self {
        key: None,
        planned_ms: None,
        run: Run::EMPTY,
    };

    #[inline]
    fn key(&self) -> Option<K> {
        self.key
    }

    #[inline]
    fn hash(key: &Option<K>, seed: HashSeed) -> u64 {
        key.map_or(0, |key| seed.hash_words(key.words()))
    }

    #[inline]
    fn is_free(&self) -> bool {
        self.key.is_none()
    }
}
