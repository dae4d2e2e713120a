//! Deduplication by transaction id within a bounded horizon of event time.
//!
//! Ids are remembered in one table for each span of event time, and a span's table is forgotten as a whole once the
//! watermark is far enough past its end: memory is bounded by what the horizon holds, and forgetting costs nothing for
//! each id. An id is known whatever its event time says, as long as any live span has it, so that a copy with a
//! changed time is found too.

use millrace_domain::TransactionId;

use crate::RestoreError;
use crate::hash::{HashSeed, Key};
use crate::key_table::KeyTable;
use crate::snapshot::{StateReader, StateWriter};
use crate::window::TumblingWindows;

/// Remembers transaction ids: an exact set over the horizon.
#[derive(Debug, Clone)]
pub struct RecentIds(Spans<()>);

impl RecentIds {
    /// Remembers each id until the watermark is `keep_ms` past the end of the window that its event time is in.
    #[must_use]
    pub fn new(windows: TumblingWindows, keep_ms: i64, seed: HashSeed) -> Self {
        Self(Spans::new(windows, keep_ms, seed))
    }

    /// Remembers `id`; whether it was new. An id whose window is forgotten already is not remembered.
    #[inline]
    pub fn insert(&mut self, id: TransactionId, event_time_ms: i64) -> bool {
        self.0.insert(*id.as_bytes(), event_time_ms, ()).is_none()
    }

    /// Forgets what the horizon no longer holds.
    pub fn forget(&mut self, watermark_ms: i64) {
        self.0.forget(watermark_ms);
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
    pub fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<> {
        self.0.freeze()
    }

    /// Replaces the state by one that [`RecentIds::freeze`] gave.
    ///
    /// # Errors
    /// The bytes are no such state; the present state is then unchanged.
    pub fn restore(&mut self, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
        self.0.restore(reader)
    }
}

/// Whether a transaction was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// No.
    New,
    /// Yes, with the same payload.
    Duplicate,
    /// Its id was, with another payload.
    Changed,
}

/// Spans that a horizon is cut into: an id is remembered for at most a half longer than the horizon.
const SPANS_OF_HORIZON: i64 = 2;

/// Remembers transaction ids, each with a fingerprint of its payload.
#[derive(Debug, Clone)]
pub struct RecentPayloads(Spans<u64>);

impl RecentPayloads {
    /// Remembers each id for at least `horizon_ms` of event time behind the watermark; `None` unless that is above 0.
    #[must_use]
    pub fn new(horizon_ms: i64, seed: HashSeed) -> Option<Self> {
        let windows = TumblingWindows::new(horizon_ms / SPANS_OF_HORIZON + horizon_ms % SPANS_OF_HORIZON)?;
        Some(Self(Spans::new(windows, horizon_ms, seed)))
    }

    /// Remembers `id` with its first fingerprint, and compares.
    #[inline]
    pub fn check(&mut self, id: TransactionId, event_time_ms: i64, fingerprint: u64) -> Seen {
        match self.0.insert(*id.as_bytes(), event_time_ms, fingerprint) {
            None => Seen::New,
            Some(known) if known == fingerprint => Seen::Duplicate,
            Some(_) => Seen::Changed,
        }
    }

    /// Forgets what the horizon no longer holds.
    pub fn forget(&mut self, watermark_ms: i64) {
        self.0.forget(watermark_ms);
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
    pub fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<> {
        self.0.freeze()
    }

    /// Replaces the state by one that [`RecentPayloads::freeze`] gave.
    ///
    /// # Errors
    /// The bytes are no such state; the present state is then unchanged.
    pub fn restore(&mut self, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
        self.0.restore(reader)
    }
}

/// What is remembered of an id.
trait Remembered: Copy + PartialEq + Send + Sync + 'static {
    /// Size in a snapshot.
    const LEN: usize;
    fn write(self, writer: &mut StateWriter<'_>);
    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError>;
}

impl Remembered for () {
    const LEN: usize = 0;
    fn write(self, _writer: &mut StateWriter<'_>) {}
    fn read(_reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        Ok(())
    }
}

impl Remembered for u64 {
    const LEN: usize = 8;
    fn write(self, writer: &mut StateWriter<'_>) {
        writer.u64(self);
    }
    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        reader.u64()
    }
}

#[derive(Debug, Clone)]
struct Span<V> {
    start_ms: i64,
    ids: KeyTable<V>,
}

/// The live spans. Disorder and horizon bound how many there are to a handful.
#[derive(Debug, Clone)]
struct Spans<V> {
    windows: TumblingWindows,
    keep_ms: i64,
    seed: HashSeed,
    /// Spans that end at or before this are forgotten.
    forgotten_ms: Option<i64>,
    /// By start, the latest last.
    live: Vec<Span<V>>,
}

impl<V: Remembered> Spans<V> {
    fn new(windows: TumblingWindows, keep_ms: i64, seed: HashSeed) -> Self {
        Self {
            windows,
            keep_ms: keep_ms.max(0),
            seed,
            forgotten_ms: None,
            live: Vec::new(),
        }
    }

    /// What is remembered of `key`; if nothing, remembers `value`.
    #[inline]
    fn insert(&mut self, key: Key, event_time_ms: i64, value: V) -> Option<V> {
        let hash = self.seed.hash(&key);
        let own = self.position(event_time_ms);
        for (at, span) in self.live.iter().enumerate().rev() {
            if Some(at) != own
                && let Some(found) = span.ids.find(hash, &key)
            {
                return Some(*span.ids.value(found));
            }
        }
        let ids = match own {
            Some(at) => &mut self.live[at].ids,
            None => self.open(event_time_ms)?,
        };
        let (at, is_new) = ids.find_or_insert(hash, key, || value);
        (!is_new).then(|| *ids.value(at))
    }

    /// Position of the live span that a time is in, looking from the latest.
    #[inline]
    fn position(&self, event_time_ms: i64) -> Option<usize> {
        self.live.iter().rposition(|span| {
            span.start_ms <= event_time_ms && event_time_ms < self.windows.end_of(span.start_ms)
        })
    }

    /// The table of a span that is not live yet; `None` if it is forgotten.
    #[cold]
    fn open(&mut self, event_time_ms: i64) -> Option<&mut KeyTable<V>> {
        let start_ms = self.windows.start_of(event_time_ms);
        if self.forgotten_ms >= Some(self.windows.end_of(start_ms)) {
            return None;
        }
        // The next span will hold about as many as the last one did.
        let capacity = self.live.last().map_or(0, |span| span.ids.len());
        let at = self.live.partition_point(|span| span.start_ms < start_ms);
        let ids = KeyTable::with_capacity(capacity, self.seed);
        self.live.insert(at, Span { start_ms, ids });
        Some(&mut self.live[at].ids)
    }

    fn forget(&mut self, watermark_ms: i64) {
        let before_ms = watermark_ms.saturating_sub(self.keep_ms);
        if self.forgotten_ms < Some(before_ms) {
            self.forgotten_ms = Some(before_ms);
            let windows = self.windows;
            self.live.retain(|span| windows.end_of(span.start_ms) > before_ms);
        }
    }

    fn len(&self) -> usize {
        self.live.iter().map(|span| span.ids.len()).sum()
    }

    fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<V> {
        let forgotten_ms = self.forgotten_ms;
        let frozen = |span: &mut Span<V>| (span.start_ms, span.ids.freeze());
        let live: Vec<_> = self.live.iter_mut().map(frozen).collect();
        move |writer| {
            writer.option_i64(forgotten_ms);
            writer.count(live.len());
            for (start_ms, ids) in live {
                writer.i64(start_ms);
                writer.count(ids.keys.len());
                ids.keys.for_each_page(|keys| writer.raw(keys.as_flattened()));
                ids.values
                    .for_each_page(|values| values.iter().for_each(|value| value.write(writer)));
            }
        }
    }

    fn restore(&mut self, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
        let forgotten_ms = reader.option_i64("end of what is forgotten")?;
        let mut live: Vec<Span<V>> = Vec::new();
        for _ in 0..reader.count("spans of transaction ids", 16)? {
            let at = reader.position();
            let start_ms = reader.i64()?;
            let is_aligned = self.windows.start_of(start_ms) == start_ms;
            let is_after = live.last().is_none_or(|last| last.start_ms < start_ms);
            if !is_aligned || !is_after || forgotten_ms >= Some(self.windows.end_of(start_ms)) {
                return Err(RestoreError::Invalid {
                    what: "span of transaction ids",
                    at,
                });
            }
            let ids = self.restore_ids(reader)?;
            live.push(Span { start_ms, ids });
        }
        self.forgotten_ms = forgotten_ms;
        self.live = live;
        Ok(())
    }

    fn restore_ids(&self, reader: &mut StateReader<'_>) -> Result<KeyTable<V>, RestoreError> {
        let count = reader.count("transaction ids", size_of::<Key>() + V::LEN)?;
        let at = reader.position();
        let keys = reader.raw(count * size_of::<Key>())?;
        let (keys, _) = keys.as_chunks();
        let mut ids = KeyTable::with_capacity(count, self.seed);
        for key in keys {
            let value = V::read(reader)?;
            if !ids.find_or_insert(self.seed.hash(key), *key, || value).1 {
                return Err(RestoreError::Invalid {
                    what: "transaction id, a second time",
                    at,
                });
            }
        }
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn id(number: u8) -> TransactionId {
        TransactionId::from_bytes([number; 16])
    }

    proptest! {
        /// The oracle keeps every id with the end of its span and forgets one by one.
        #[test]
        fn knows_exactly_what_the_horizon_holds(
            horizon in 1_i64..40,
            steps in prop::collection::vec((0_u8..12, -60_i64..60, 0_u64..2), 0..120),
        ) {
            let mut recent = RecentPayloads::new(horizon, HashSeed::FIXED).unwrap();
            let windows = TumblingWindows::new((horizon + 1) / 2).unwrap();
            let mut oracle: HashMap<u8, (i64, u64)> = HashMap::new();
            let mut watermark = i64::MIN;
            for (number, time, fingerprint) in steps {
                if number == 0 {
                    watermark = watermark.max(time);
                    recent.forget(watermark);
                    oracle.retain(|_, (end, _)| *end + horizon > watermark);
                    continue;
                }
                let expected = match oracle.get(&number) {
                    None => Seen::New,
                    Some((_, known)) if *known == fingerprint => Seen::Duplicate,
                    Some(_) => Seen::Changed,
                };
                prop_assert_eq!(recent.check(id(number), time, fingerprint), expected);
                let end = windows.end_of(windows.start_of(time));
                if expected == Seen::New && end.saturating_add(horizon) > watermark {
                    oracle.insert(number, (end, fingerprint));
                }
                prop_assert_eq!(recent.len(), oracle.len());

                let mut bytes = Vec::new();
                recent.freeze()(&mut StateWriter::new(&mut bytes));
                let mut restored = RecentPayloads::new(horizon, HashSeed::new(number.into())).unwrap();
                let mut reader = StateReader::new(&bytes);
                restored.restore(&mut reader).unwrap();
                reader.finish().unwrap();
                let mut again = Vec::new();
                restored.freeze()(&mut StateWriter::new(&mut again));
                prop_assert_eq!(&again, &bytes);
                recent = restored;
            }
        }
    }

    #[test]
    fn an_id_twice_in_a_state_is_refused() {
        let windows = TumblingWindows::new(10).unwrap();
        let mut recent = RecentIds::new(windows, 10, HashSeed::FIXED);
        assert!(recent.insert(id(1), 5));
        assert!(!recent.insert(id(1), 25), "known, whatever its time says");
        assert!(recent.insert(id(2), 5));
        let mut bytes = Vec::new();
        recent.freeze()(&mut StateWriter::new(&mut bytes));
        let (first, second) = (bytes.len() - 32, bytes.len() - 16);
        bytes.copy_within(first..second, second);
        let error = recent.restore(&mut StateReader::new(&bytes)).unwrap_err();
        assert!(matches!(error, RestoreError::Invalid { .. }), "{error}");
        assert_eq!(recent.len(), 2, "the state is unchanged");
    }
}
