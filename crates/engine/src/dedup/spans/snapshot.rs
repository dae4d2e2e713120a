//! Spans in a state: what is written of them, and how they are read, also as earlier releases wrote
//! them.

use super::super::arena::{FrozenIds, Ids};
use super::{Remembered, Span, Spans, index_of};
use crate::RestoreError;
use crate::hash::Key;
use crate::snapshot::{StateReader, StateWriter};
use crate::timeline::{Cell, Timeline};
use crate::window::TumblingWindows;

/// In errors.
const SPANS: &str = "span of ids";

type ReadValue<V> = fn(&mut StateReader<'_>) -> Result<V, RestoreError>;

/// How spans and values were written before spans had a timeline.
pub(in crate::dedup) struct Written<V> {
    /// As long as the present ones at least.
    pub(in crate::dedup) windows: TumblingWindows,
    pub(in crate::dedup) value_len: usize,
    pub(in crate::dedup) read_value: ReadValue<V>,
}

impl<V: Remembered> Spans<V> {
    pub(in crate::dedup) fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<V> {
        let (watermark_ms, timeline) = (self.watermark_ms, self.timeline.clone());
        let arena = &mut self.arena;
        let frozen = |span: &Span| (span.start_ms, arena.freeze(&span.ids));
        let live: Vec<_> = self.live.iter().map(frozen).collect();
        move |writer| {
            writer.option_i64(watermark_ms);
            timeline.snapshot(writer);
            writer.count(live.len());
            for (start_ms, FrozenIds { len, keys, values }) in live {
                writer.i64(start_ms);
                writer.count(len);
                // Each block is let go of before the next: the span then has it back without a
                // copy.
                for keys in keys {
                    writer.raw(keys.as_flattened());
                }
                for values in values {
                    values.iter().for_each(|value| value.write(writer));
                }
            }
        }
    }

    pub(in crate::dedup) fn restore(&mut self, reader: &mut StateReader<'_>) -> Result<(), RestoreError> {
        let first_at = reader.position();
        let watermark_ms = reader.option_i64("watermark of what is forgotten")?;
        let mut restored = Self::of(Timeline::restore(reader)?, self.seed);
        restored.watermark_ms = watermark_ms;
        for _ in 0..reader.count(SPANS, 16)? {
            let at = reader.position();
            let start_ms = reader.i64()?;
            let cell = restored.timeline.cell(start_ms);
            restored.restore_span(reader, at, (start_ms, cell), (V::LEN, V::read))?;
        }
        *self = restored.with_index(first_at)?;
        Ok(())
    }

    /// Restores what an earlier release wrote, over spans of one size that are kept for one time.
    /// The ids of a longer span come into the last of the present spans within it, as that is
    /// forgotten when it would have been.
    pub(in crate::dedup) fn restore_from(
        &mut self,
        reader: &mut StateReader<'_>,
        written: &Written<V>,
        (windows, keep_ms): (TumblingWindows, i64),
    ) -> Result<(), RestoreError> {
        let first_at = reader.position();
        let mut restored = Self::new(windows, keep_ms, self.seed);
        let forgotten_ms = reader.option_i64("end of what is forgotten")?;
        restored.watermark_ms = forgotten_ms.map(|end_ms| end_ms.saturating_add(keep_ms));
        for _ in 0..reader.count(SPANS, 16)? {
            let at = reader.position();
            let written_ms = reader.i64()?;
            let end_ms = written.windows.end_of(written_ms);
            if written.windows.start_of(written_ms) != written_ms {
                return Err(RestoreError::Invalid { what: SPANS, at });
            }
            let cell = restored.timeline.cell(end_ms.saturating_sub(1));
            let of_value = (written.value_len, written.read_value);
            restored.restore_span(reader, at, (cell.start_ms, cell), of_value)?;
        }
        *self = restored.with_index(first_at)?;
        Ok(())
    }

    /// Reads the ids of a span at the start of a cell that comes after the others and is not
    /// forgotten.
    fn restore_span(
        &mut self,
        reader: &mut StateReader<'_>,
        at: usize,
        (start_ms, cell): (i64, Cell),
        (value_len, read_value): (usize, ReadValue<V>),
    ) -> Result<(), RestoreError> {
        let is_after = self.live.last().is_none_or(|last| last.end_ms <= start_ms);
        let is_live = self.watermark_ms.is_none_or(|now_ms| now_ms < cell.until_ms);
        if cell.start_ms != start_ms || !is_after || !is_live {
            return Err(RestoreError::Invalid { what: SPANS, at });
        }
        let ids = self.restore_ids(reader, value_len, read_value)?;
        self.live.push(Span::of(cell, ids));
        Ok(())
    }

    /// With the index and what else is not in a state.
    fn with_index(mut self, at: usize) -> Result<Self, RestoreError> {
        let capacity = self.len() + self.len() / 4;
        let index = index_of(&self.arena, &self.live, self.seed, capacity);
        self.index = index.ok_or(RestoreError::Invalid {
            what: "transaction id, a second time, in the spans",
            at,
        })?;
        self.find_next_forget();
        Ok(self)
    }

    fn restore_ids(
        &mut self,
        reader: &mut StateReader<'_>,
        value_len: usize,
        read_value: ReadValue<V>,
    ) -> Result<Ids, RestoreError> {
        let count = reader.count("transaction ids", size_of::<Key>() + value_len)?;
        let at = reader.position();
        let (keys, _) = reader.raw(count * size_of::<Key>())?.as_chunks();
        let mut ids = Ids::default();
        for key in keys {
            let value = read_value(reader)?;
            let pushed = self.arena.push(&mut ids, *key, value);
            pushed.ok_or(RestoreError::Invalid {
                what: "number of transaction ids",
                at,
            })?;
        }
        Ok(ids)
    }
}
