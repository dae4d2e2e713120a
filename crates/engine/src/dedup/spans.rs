//! The live spans of event time, and the index over the ids of all of them.

use super::arena::{Arena, FrozenIds, Ids};
use crate::RestoreError;
use crate::hash::{HashSeed, Key};
use crate::index::Index;
use crate::near;
use crate::snapshot::{StateReader, StateWriter};
use crate::window::TumblingWindows;

/// What is remembered of an id.
pub trait Remembered: Copy + PartialEq + Send + Sync + 'static {
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

impl Remembered for u32 {
    const LEN: usize = 4;
    fn write(self, writer: &mut StateWriter<'_>) {
        writer.u32(self);
    }
    fn read(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        reader.u32()
    }
}

/// How spans and values were written.
pub(super) struct Written<V> {
    /// As long as the present ones at least.
    pub(super) windows: TumblingWindows,
    pub(super) value_len: usize,
    pub(super) read_value: fn(&mut StateReader<'_>) -> Result<V, RestoreError>,
}

#[derive(Debug, Clone)]
struct Span {
    start_ms: i64,
    ids: Ids,
}

/// The live spans. Disorder and horizon bound how many there are to a handful.
#[derive(Debug, Clone)]
pub(super) struct Spans<V> {
    windows: TumblingWindows,
    keep_ms: i64,
    seed: HashSeed,
    /// Spans that end at or before this are forgotten.
    forgotten_ms: Option<i64>,
    /// By start, the latest last.
    live: Vec<Span>,
    arena: Arena<V>,
    /// Positions in the arena, for a while also of ids whose span has gone.
    index: Index,
    cleaning: Cleaning,
}

/// The removal of positions of spans that have gone: the index is gone through once, a bucket for each new id, so that
/// forgetting a span of millions is no pause. As a bucket is planned for 8 ids, an eighth of it is new by then.
#[derive(Debug, Clone, Default)]
struct Cleaning {
    /// The next bucket.
    at: usize,
    /// Blocks that no position is left of when all buckets are through.
    gone: Vec<u32>,
    /// Blocks that went meanwhile: for the next time through.
    waiting: Vec<u32>,
}

/// Ids whose place in the index is asked for at once where it is made anew.
const GROUP: usize = 32;

impl<V: Remembered> Spans<V> {
    pub(super) fn new(windows: TumblingWindows, keep_ms: i64, seed: HashSeed) -> Self {
        Self {
            windows,
            keep_ms: keep_ms.max(0),
            seed,
            forgotten_ms: None,
            live: Vec::new(),
            arena: Arena::new(),
            index: Index::with_capacity(0),
            cleaning: Cleaning::default(),
        }
    }

    #[inline]
    pub(super) fn hash(&self, key: &Key) -> u64 {
        self.seed.hash(key)
    }

    #[inline]
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn keep_ms(&self) -> i64 {
        self.keep_ms
    }

    #[cfg(test)]
    pub(super) fn blocks(&self) -> usize {
        self.arena.blocks()
    }

    /// What is remembered of `key`; if nothing, remembers `value`.
    #[inline]
    pub(super) fn insert(&mut self, key: Key, event_time_ms: i64, value: V) -> Option<V> {
        let hash = self.seed.hash(&key);
        let arena = &self.arena;
        let found = self.index.find(hash, |at| arena.key(at) == Some(&key));
        if let Some(found) = found {
            return arena.value(found);
        }
        let own = match self.position(event_time_ms) {
            Some(at) => at,
            None => self.open(event_time_ms)?,
        };
        if !self.cleaning.gone.is_empty() {
            self.clean();
        }
        if self.index.is_full() {
            self.resize_index(self.index.len() + self.index.len() / 2 + GROUP);
        }
        let at = self.arena.push(&mut self.live[own].ids, key, value)?;
        self.index.insert(hash, at);
        None
    }

    /// Position of the live span that a time is in, looking from the latest.
    #[inline]
    fn position(&self, event_time_ms: i64) -> Option<usize> {
        self.live.iter().rposition(|span| {
            span.start_ms <= event_time_ms && event_time_ms < self.windows.end_of(span.start_ms)
        })
    }

    /// The position of a span that is not live yet; `None` if it is forgotten.
    #[cold]
    fn open(&mut self, event_time_ms: i64) -> Option<usize> {
        let start_ms = self.windows.start_of(event_time_ms);
        if self.forgotten_ms >= Some(self.windows.end_of(start_ms)) {
            return None;
        }
        let at = self.live.partition_point(|span| span.start_ms < start_ms);
        let ids = Ids::default();
        self.live.insert(at, Span { start_ms, ids });
        Some(at)
    }

    pub(super) fn forget(&mut self, watermark_ms: i64) {
        let before_ms = watermark_ms.saturating_sub(self.keep_ms);
        if self.forgotten_ms >= Some(before_ms) {
            return;
        }
        self.forgotten_ms = Some(before_ms);
        let windows = self.windows;
        let live = self
            .live
            .partition_point(|span| windows.end_of(span.start_ms) <= before_ms);
        for span in self.live.drain(..live) {
            self.cleaning.waiting.append(&mut self.arena.release(span.ids));
        }
        if self.cleaning.gone.is_empty() {
            self.cleaning.begin();
        }
    }

    #[cold]
    fn clean(&mut self) {
        let arena = &self.arena;
        self.index.clean(self.cleaning.at, |at| arena.is_gone(at));
        self.cleaning.at += 1;
        if self.cleaning.at == self.index.buckets() {
            self.arena.reuse(&mut self.cleaning.gone);
            self.cleaning.begin();
            let len = self.index.len();
            if self.index.capacity() / 4 > len + GROUP {
                self.resize_index(len + len / 2 + GROUP);
            }
        }
    }

    /// Makes the index anew, with live ids alone.
    #[cold]
    fn resize_index(&mut self, capacity: usize) {
        let anew = index_of(&self.arena, &self.live, self.seed, capacity);
        if let Some(index) = anew {
            self.index = index;
            self.arena.reuse(&mut self.cleaning.gone);
            self.arena.reuse(&mut self.cleaning.waiting);
            self.cleaning.begin();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.live.iter().map(|span| span.ids.len()).sum()
    }

    pub(super) fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<V> {
        let forgotten_ms = self.forgotten_ms;
        let arena = &mut self.arena;
        let frozen = |span: &Span| (span.start_ms, arena.freeze(&span.ids));
        let live: Vec<_> = self.live.iter().map(frozen).collect();
        move |writer| {
            writer.option_i64(forgotten_ms);
            writer.count(live.len());
            for (start_ms, FrozenIds { len, keys, values }) in live {
                writer.i64(start_ms);
                writer.count(len);
                // Each block is let go of before the next: the span then has it back without a copy.
                for keys in keys {
                    writer.raw(keys.as_flattened());
                }
                for values in values {
                    values.iter().for_each(|value| value.write(writer));
                }
            }
        }
    }

    pub(super) fn restore(&mut self, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
        let written = Written {
            windows: self.windows,
            value_len: V::LEN,
            read_value: V::read,
        };
        self.restore_from(reader, &written)
    }

    /// Restores what an earlier release wrote. The ids of a longer span come into the last of the present spans within it,
    /// as that is forgotten when it would have been.
    pub(super) fn restore_from(
        &mut self,
        reader: &mut StateReader<'_>,
        written: &Written<V>,
    ) -> Result<(), RestoreError> {
        let first_at = reader.position();
        let mut restored = Self::new(self.windows, self.keep_ms, self.seed);
        restored.forgotten_ms = reader.option_i64("end of what is forgotten")?;
        for _ in 0..reader.count("spans of transaction ids", 16)? {
            let at = reader.position();
            let written_ms = reader.i64()?;
            let end_ms = written.windows.end_of(written_ms);
            let start_ms = self.windows.start_of(end_ms.saturating_sub(1));
            let is_aligned = written.windows.start_of(written_ms) == written_ms;
            let is_after = restored.live.last().is_none_or(|last| last.start_ms < start_ms);
            if !is_aligned || !is_after || restored.forgotten_ms >= Some(end_ms) {
                return Err(RestoreError::Invalid {
                    what: "span of transaction ids",
                    at,
                });
            }
            let ids = restored.restore_ids(reader, written)?;
            restored.live.push(Span { start_ms, ids });
        }
        let capacity = restored.len() + restored.len() / 4;
        let index = index_of(&restored.arena, &restored.live, self.seed, capacity);
        restored.index = index.ok_or(RestoreError::Invalid {
            what: "transaction id, a second time, in the spans",
            at: first_at,
        })?;
        *self = restored;
        Ok(())
    }

    fn restore_ids(
        &mut self,
        reader: &mut StateReader<'_>,
        written: &Written<V>,
    ) -> Result<Ids, RestoreError> {
        let count = reader.count("transaction ids", size_of::<Key>() + written.value_len)?;
        let at = reader.position();
        let (keys, _) = reader.raw(count * size_of::<Key>())?.as_chunks();
        let mut ids = Ids::default();
        for key in keys {
            let value = (written.read_value)(reader)?;
            let pushed = self.arena.push(&mut ids, *key, value);
            pushed.ok_or(RestoreError::Invalid {
                what: "number of transaction ids",
                at,
            })?;
        }
        Ok(ids)
    }
}

impl Cleaning {
    /// Begins with what went since the last time, if anything.
    fn begin(&mut self) {
        self.at = 0;
        self.gone.append(&mut self.waiting);
    }
}

/// An index over the ids of all spans; `None` if one is there twice.
fn index_of<V: Remembered>(
    arena: &Arena<V>,
    live: &[Span],
    seed: HashSeed,
    capacity: usize,
) -> Option<Index> {
    let count: usize = live.iter().map(|span| span.ids.len()).sum();
    let mut index = Index::with_capacity(capacity.max(count + 1));
    let mut ids = live.iter().flat_map(|span| arena.iter(&span.ids));
    let mut group = Vec::with_capacity(GROUP);
    loop {
        group.clear();
        group.extend(
            ids.by_ref()
                .take(GROUP)
                .map(|(key, at)| (seed.hash(key), key, at)),
        );
        group
            .iter()
            .for_each(|(hash, ..)| near::ask(index.first_line(*hash)));
        for &(hash, key, at) in &group {
            if index.find(hash, |at| arena.key(at) == Some(key)).is_some() {
                return None;
            }
            index.insert(hash, at);
        }
        if group.len() < GROUP {
            return Some(index);
        }
    }
}
