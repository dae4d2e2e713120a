//! What is kept of a key.

use super::Stored;
use crate::RestoreError;
use crate::hash::HashSeed;
use crate::keyed::{Entry, Run, Slot};
use crate::snapshot::{StateReader, StateWriter};
use crate::windowed::Key;

/// An event whose turn has not come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting<I> {
    pub(super) time_ms: i64,
    pub(super) id: [u8; 16],
    pub(super) input: I,
}

impl<I: Stored> Waiting<I> {
    /// Bytes in a state, at least.
    pub(super) const LEAST_LEN: usize = 8 + 16 + I::LEAST_LEN;

    /// Of two at one time, the lower id comes first.
    pub(super) fn order(&self) -> (i64, [u8; 16]) {
        (self.time_ms, self.id)
    }

    pub(super) fn write(&self, writer: &mut StateWriter<'_>) {
        writer.i64(self.time_ms);
        writer.raw(&self.id);
        self.input.write(writer);
    }

    /// Reads what [`Waiting::write`] wrote.
    pub(super) fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        Ok(Self {
            time_ms: reader.i64()?,
            id: reader.array()?,
            input: I::read(reader)?,
        })
    }
}

impl<I: Stored> Entry for Waiting<I> {
    const NONE: Self = Self {
        time_ms: 0,
        id: [0; 16],
        input: I::EMPTY,
    };
}

/// A key's state, and its events that wait, the first one first.
#[derive(Debug, Clone, Copy)]
pub(super) struct OrderedSlot<K, S, I> {
    pub(super) key: Option<K>,
    /// `None` before the first event had its turn, and once the machine has let go of it.
    pub(super) state: Option<S>,
    /// The horizon at which the key is looked at.
    pub(super) planned_ms: Option<i64>,
    pub(super) run: Run<Waiting<I>>,
}

impl<K: Key, S: Stored, I: Stored> OrderedSlot<K, S, I> {
    pub(super) const fn new(key: K) -> Self {
        Self {
            key: Some(key),
            ..Self::FREE
        }
    }
}

impl<K: Key, S: Stored, I: Stored> Slot for OrderedSlot<K, S, I> {
    type Key = Option<K>;

    const FREE: Self = Self {
        key: None,
        state: None,
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
