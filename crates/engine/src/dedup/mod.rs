//! Deduplication by an event's id within a bounded horizon of event time.
//!
//! Ids are kept by span of event time, and a span is forgotten as a whole once the watermark is far
//! enough past its end: memory is bounded by what the horizon holds. One index leads to the ids of
//! all spans, so that a look-up costs the same however many there are. An id is known whatever its
//! event time says, as long as any live span has it, so that a copy with a changed time is found
//! too.

mod arena;
mod spans;

use self::spans::{Remembered, Spans, Written};
use crate::RestoreError;
use crate::hash::{HashSeed, Key};
use crate::index::Index;
use crate::snapshot::{StateReader, StateWriter};
use crate::timeline::Timeline;
use crate::window::TumblingWindows;

/// Remembers ids over the horizon, each with something of its first event.
#[derive(Debug, Clone)]
pub struct Recent<V>(Spans<V>);

/// An exact set of ids.
pub type RecentIds = Recent<()>;

/// Ids, each with a fingerprint of its payload.
pub type RecentPayloads = Recent<u32>;

impl<V: Remembered> Recent<V> {
    /// The hash of an id, to find its places in [`Self::index`].
    #[inline]
    #[must_use]
    pub fn hash(&self, id: &Key) -> u64 {
        self.0.hash(id)
    }

    /// The index that an id is looked up in, to ask for its memory.
    #[inline]
    #[must_use]
    pub fn index(&self) -> &Index {
        self.0.index()
    }

    /// Forgets what the horizon no longer holds.
    pub fn forget(&mut self, watermark_ms: i64) {
        self.0.forget(watermark_ms);
    }

    /// Where the last span with ids ends, in event time.
    #[must_use]
    pub fn reach_ms(&self) -> Option<i64> {
        self.0.reach_ms()
    }

    /// Remembers each id, also of those remembered now, for at least `horizon_ms` behind the
    /// watermark. What is forgotten by now stays forgotten: with a longer horizon, it takes a while
    /// until as much is remembered. Spans have another size from the watermark and `reach_ms` on,
    /// which is not below [`Recent::reach_ms`].
    pub fn set_horizon(&mut self, watermark_ms: Option<i64>, reach_ms: Option<i64>, horizon_ms: i64) {
        let horizon_ms = horizon_ms.max(1);
        self.0
            .change_all(watermark_ms, reach_ms, (spans_of(horizon_ms), horizon_ms));
    }

    /// How many ids are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The state of this moment: what is given appends it.
    pub fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<V> {
        self.0.freeze()
    }

    /// Replaces the state by one that [`Self::freeze`] gave, whatever spans and horizon that had.
    ///
    /// # Errors
    /// The bytes are no such state; the present state is then unchanged.
    pub fn restore(&mut self, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
        self.0.restore(reader)
    }
}

impl RecentIds {
    /// Remembers each id until the watermark is `keep_ms` past the end of the window that its event
    /// time is in.
    #[must_use]
    pub fn new(windows: TumblingWindows, keep_ms: i64, seed: HashSeed) -> Self {
        Self(Spans::new(windows, keep_ms, seed))
    }

    /// Takes the windows of a timeline after a change of that. Ids of windows of its last segment,
    /// where that is new, are kept until the watermark is `keep_ms` past their window's end; all
    /// others, as they were.
    pub(crate) fn follow(&mut self, leader: &Timeline, is_new: bool, keep_ms: i64) {
        self.0.follow(leader, is_new, keep_ms.max(0));
    }

    /// Remembers each id for at least `horizon_ms` of event time behind the watermark, in spans as
    /// those of payloads.
    #[must_use]
    pub fn of_horizon(horizon_ms: i64, seed: HashSeed) -> Self {
        Self(Spans::new(spans_of(horizon_ms), horizon_ms, seed))
    }

    /// As [`Recent::restore`], from a state of an earlier release, which remembered ids over a
    /// horizon in halves.
    ///
    /// # Errors
    /// The bytes are no such state; the present state is then unchanged.
    pub fn restore_halves(
        &mut self,
        reader: &mut StateReader<'_>,
        horizon_ms: i64,
    ) -> Result<(), RestoreError> {
        let written = Written {
            windows: TumblingWindows::at_least_1_ms(span_ms(horizon_ms, 2)),
            value_len: 0,
            read_value: <() as Remembered>::read,
        };
        self.0
            .restore_from(reader, &written, (spans_of(horizon_ms), horizon_ms))
    }

    /// As [`Recent::restore`], from a state of an earlier release, which had windows of one size
    /// and kept ids for one time.
    ///
    /// # Errors
    /// The bytes are no such state; the present state is then unchanged.
    pub fn restore_earlier(
        &mut self,
        reader: &mut StateReader<'_>,
        (windows, keep_ms): (TumblingWindows, i64),
    ) -> Result<(), RestoreError> {
        let written = Written {
            windows,
            value_len: 0,
            read_value: <() as Remembered>::read,
        };
        self.0.restore_from(reader, &written, (windows, keep_ms.max(0)))
    }

    /// Whether `id` is remembered.
    #[must_use]
    pub fn has(&self, id: &Key) -> bool {
        self.0.known(id).is_some()
    }

    /// Remembers `id`; whether it was new. An id whose window is forgotten already is not
    /// remembered.
    #[inline]
    pub fn insert(&mut self, id: Key, event_time_ms: i64) -> bool {
        self.0.insert(id, event_time_ms, ()).is_none()
    }
}

/// Whether an event was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// No.
    New,
    /// Yes, with the same payload.
    Duplicate,
    /// Its id was, with another payload.
    Changed,
}

impl Seen {
    #[inline]
    fn of(known: Option<u32>, fingerprint: u32) -> Self {
        match known {
            None => Self::New,
            Some(known) if known == fingerprint => Self::Duplicate,
            Some(_) => Self::Changed,
        }
    }
}

/// How an earlier release remembered ids over one horizon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    /// In two spans, with fingerprints of 64 bits.
    Halves,
    /// In four spans, with fingerprints of 64 bits.
    Quarters,
    /// In four spans, with fingerprints as they are now.
    Short,
}

/// Spans that a horizon is cut into: an id is remembered for at most a quarter longer than the
/// horizon. More spans would hold less, and have the index cleaned more often.
const SPANS_OF_HORIZON: u64 = 4;

impl RecentPayloads {
    /// Remembers each id for at least `horizon_ms` of event time behind the watermark; `None`
    /// unless that is above 0.
    #[must_use]
    pub fn new(horizon_ms: i64, seed: HashSeed) -> Option<Self> {
        let windows = TumblingWindows::new(span_ms(horizon_ms, SPANS_OF_HORIZON))?;
        Some(Self(Spans::new(windows, horizon_ms, seed)))
    }

    /// As [`Recent::restore`], from a state that an earlier release wrote with a horizon. Of
    /// fingerprints of 64 bits the high half is kept now.
    ///
    /// # Errors
    /// The bytes are no such state; the present state is then unchanged.
    pub fn restore_earlier(
        &mut self,
        reader: &mut StateReader<'_>,
        earlier: Earlier,
        horizon_ms: i64,
    ) -> Result<(), RestoreError> {
        let long: fn(&mut StateReader<'_>) -> _ = |reader| Ok((reader.u64()? >> 32) as u32);
        let (spans, value_len, read_value) = match earlier {
            Earlier::Halves => (2, size_of::<u64>(), long),
            Earlier::Quarters => (SPANS_OF_HORIZON, size_of::<u64>(), long),
            Earlier::Short => (SPANS_OF_HORIZON, u32::LEN, u32::read as _),
        };
        let written = Written {
            windows: TumblingWindows::at_least_1_ms(span_ms(horizon_ms, spans)),
            value_len,
            read_value,
        };
        self.0
            .restore_from(reader, &written, (spans_of(horizon_ms), horizon_ms))
    }

    /// Remembers `id` with its first fingerprint, and compares.
    #[inline]
    pub fn check(&mut self, id: Key, event_time_ms: i64, fingerprint: u32) -> Seen {
        Seen::of(self.0.insert(id, event_time_ms, fingerprint), fingerprint)
    }

    /// As [`Self::check`], and remembers nothing.
    #[must_use]
    pub fn seen(&self, id: &Key, fingerprint: u32) -> Seen {
        Seen::of(self.0.known(id), fingerprint)
    }
}

/// The spans that a horizon is cut into.
fn spans_of(horizon_ms: i64) -> TumblingWindows {
    TumblingWindows::at_least_1_ms(span_ms(horizon_ms, SPANS_OF_HORIZON))
}

/// One of so many spans of a horizon.
fn span_ms(horizon_ms: i64, spans: u64) -> i64 {
    horizon_ms.max(0).unsigned_abs().div_ceil(spans).cast_signed()
}

#[cfg(test)]
mod tests;
