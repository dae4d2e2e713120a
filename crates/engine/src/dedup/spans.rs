//! The live spans of event time, and the index over the ids of all of them.

mod snapshot;

pub(super) use snapshot::Written;

use super::arena::{Arena, Ids};
use crate::RestoreError;
use crate::hash::{HashSeed, Key};
use crate::index::Index;
use crate::near;
use crate::snapshot::{StateReader, StateWriter};
use crate::timeline::{Begin, Cell, Timeline};
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

/// A live span: a cell of the timeline, as it was when the span was opened.
#[derive(Debug, Clone)]
struct Span {
    start_ms: i64,
    end_ms: i64,
    /// The span is forgotten once the watermark is here.
    until_ms: i64,
    ids: Ids,
}

impl Span {
    fn of(cell: Cell, ids: Ids) -> Self {
        Self {
            start_ms: cell.start_ms,
            end_ms: cell.end_ms,
            until_ms: cell.until_ms,
            ids,
        }
    }
}

/// The live spans. Disorder and horizon bound how many there are to a handful.
#[derive(Debug, Clone)]
pub(super) struct Spans<V> {
    timeline: Timeline,
    seed: HashSeed,
    /// The last watermark that was told: what it has closed is not opened again.
    watermark_ms: Option<i64>,
    /// The watermark at which the next live span is forgotten.
    next_forget_ms: i64,
    /// By start, the latest last.
    live: Vec<Span>,
    arena: Arena<V>,
    /// Positions in the arena, for a while also of ids whose span has gone.
    index: Index,
    cleaning: Cleaning,
}

/// The removal of positions of spans that have gone: the index is gone through once, a bucket for
/// each new id, so that forgetting a span of millions is no pause. As a bucket is planned for 8
/// ids, an eighth of it is new by then.
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
        Self::of(Timeline::new(windows, keep_ms.max(0)), seed)
    }

    fn of(timeline: Timeline, seed: HashSeed) -> Self {
        Self {
            timeline,
            seed,
            watermark_ms: None,
            next_forget_ms: i64::MAX,
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

    #[cfg(test)]
    pub(super) fn blocks(&self) -> usize {
        self.arena.blocks()
    }

    /// What is remembered of `key`.
    pub(super) fn known(&self, key: &Key) -> Option<V> {
        let hash = self.seed.hash(key);
        let at = self.index.find(hash, |at| self.arena.key(at) == Some(key))?;
        self.arena.value(at)
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
        self.live
            .iter()
            .rposition(|span| span.start_ms <= event_time_ms && event_time_ms < span.end_ms)
    }

    /// The position of a span that is not live yet; `None` if it is forgotten.
    #[cold]
    fn open(&mut self, event_time_ms: i64) -> Option<usize> {
        let watermark_ms = self.watermark_ms.unwrap_or(i64::MIN);
        if self.timeline.late_by_ms(event_time_ms, watermark_ms).is_some() {
            return None;
        }
        let cell = self.timeline.cell(event_time_ms);
        let at = self.live.partition_point(|span| span.start_ms < cell.start_ms);
        self.live.insert(at, Span::of(cell, Ids::default()));
        self.next_forget_ms = self.next_forget_ms.min(cell.until_ms);
        Some(at)
    }

    #[inline]
    pub(super) fn forget(&mut self, watermark_ms: i64) {
        self.watermark_ms = self.watermark_ms.max(Some(watermark_ms));
        if watermark_ms >= self.next_forget_ms {
            self.forget_closed(watermark_ms);
        }
    }

    #[cold]
    fn forget_closed(&mut self, watermark_ms: i64) {
        for span in self.live.extract_if(.., |span| span.until_ms <= watermark_ms) {
            self.cleaning.waiting.append(&mut self.arena.release(span.ids));
        }
        self.timeline.forget(watermark_ms);
        self.find_next_forget();
        if self.cleaning.gone.is_empty() {
            self.cleaning.begin();
        }
    }

    fn find_next_forget(&mut self) {
        let until_ms = self.live.iter().map(|span| span.until_ms).min();
        self.next_forget_ms = until_ms.unwrap_or(i64::MAX);
    }

    /// Spans are cut as the cells of another timeline after its change, the new ones kept for
    /// another time.
    pub(super) fn follow(&mut self, leader: &Timeline, is_new: bool, keep_ms: i64) {
        self.timeline.follow(leader, is_new, keep_ms);
    }

    /// Where the last live span ends.
    pub(super) fn reach_ms(&self) -> Option<i64> {
        self.live.last().map(|span| span.end_ms)
    }

    /// Every span is kept for another time, and new ones have another size, from the watermark and
    /// `reach_ms` on.
    pub(super) fn change_all(
        &mut self,
        watermark_ms: Option<i64>,
        reach_ms: Option<i64>,
        (windows, keep_ms): (TumblingWindows, i64),
    ) {
        self.timeline.hold_all(watermark_ms, keep_ms);
        self.timeline
            .change(watermark_ms, reach_ms, (windows, keep_ms), Begin::AtOnce);
        for span in &mut self.live {
            span.until_ms = span.end_ms.saturating_add(keep_ms);
        }
        self.find_next_forget();
        if let Some(watermark_ms) = watermark_ms {
            self.forget(watermark_ms);
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
