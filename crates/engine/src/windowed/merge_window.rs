//! The open windows of stage 2.

use super::aggregation::Aggregation;
use super::early::Early;
use super::groups::{ContributionOf, Groups};
use super::records::{Aggregate, FINAL};
use crate::RestoreError;
use crate::hash::HashSeed;
use crate::snapshot::{StateReader, StateWriter};

/// What a window is made with.
pub(super) type Of<A> = (A, HashSeed);

/// A result of a job.
pub(super) type AggregateOf<A> = Aggregate<<A as Aggregation>::Key, <A as Aggregation>::Totals>;

/// An open window.
#[derive(Debug, Clone)]
pub(super) struct Window<A: Aggregation> {
    /// The contributions of the sources that have closed it.
    groups: Groups<A>,
    /// What the sources have told so far; empty where early results are off.
    early: Early<A>,
    /// The lateness that revisions of early results count with: as it was when the window was
    /// opened.
    lateness_ms: i64,
    /// Whether its sources have contributed to windows of several sizes. It has no early results
    /// then.
    is_mixed: bool,
}

impl<A: Aggregation> Window<A> {
    fn new(bounds: (i64, i64), groups: usize, lateness_ms: i64, of: &Of<A>) -> Self {
        let (aggregation, seed) = of.clone();
        Self {
            groups: Groups::with_capacity(aggregation, bounds, groups, seed),
            early: Early::new(0, seed),
            lateness_ms,
            is_mixed: false,
        }
    }

    fn bounds(&self) -> (i64, i64) {
        (self.groups.start_ms, self.groups.end_ms)
    }

    pub(super) fn end_ms(&self) -> i64 {
        self.groups.end_ms
    }

    /// Whether no source has closed it.
    pub(super) fn is_empty(&self) -> bool {
        self.groups.len() == 0
    }

    pub(super) fn merge(&mut self, contribution: &ContributionOf<A>) {
        self.groups.merge(&contribution.key, &contribution.totals);
    }

    /// Takes a source's word on what it has so far.
    pub(super) fn tell(&mut self, source: usize, contribution: &ContributionOf<A>) {
        if !self.is_mixed {
            self.early.tell(source, contribution);
        }
    }

    /// To be called before a window that was sent is dropped: its keys are in flight.
    pub(super) fn release(&self) {
        self.groups.release();
    }

    /// The final results, by key.
    pub(super) fn results(&self) -> impl Iterator<Item = AggregateOf<A>> {
        self.groups.sorted().map(|group| Aggregate {
            key: group.key,
            window_start_ms: group.window_start_ms,
            window_end_ms: group.window_end_ms,
            totals: group.totals,
            revision: FINAL,
        })
    }

    /// The early results of what has changed. Those of a window that is more than 24 days from
    /// closing have to wait, as a revision has 32 bits; those of one that is open for longer than
    /// was to be expected, for the final ones.
    pub(super) fn early_results(&mut self, watermark_ms: i64) -> impl Iterator<Item = AggregateOf<A>> {
        let (window_start_ms, window_end_ms) = self.bounds();
        let closes_ms = window_end_ms.saturating_add(self.lateness_ms);
        let revision = i32::try_from(watermark_ms.saturating_sub(closes_ms));
        let revision = revision.ok().filter(|revision| *revision < FINAL);
        let changed = revision.map_or_else(Vec::new, |_| self.early.take_changed());
        let revision = revision.unwrap_or_default();
        changed.into_iter().map(move |(key, totals)| Aggregate {
            key,
            window_start_ms,
            window_end_ms,
            totals,
            revision,
        })
    }

    /// The state of this moment: what is given appends it.
    pub(super) fn freeze(&mut self) -> impl FnOnce(&mut StateWriter<'_>) + Send + use<A> {
        let (lateness_ms, is_mixed) = (self.lateness_ms, self.is_mixed);
        let (groups, early) = (self.groups.freeze(), self.early.freeze());
        move |writer| {
            writer.i64(lateness_ms);
            writer.bool(is_mixed);
            groups(writer);
            early(writer);
        }
    }

    /// Reads what [`Window::freeze`] gave.
    pub(super) fn restore(reader: &mut StateReader<'_>, of: &Of<A>) -> Result<Self, RestoreError> {
        let (lateness_ms, is_mixed) = (reader.i64()?, reader.bool("flag of a window")?);
        let (aggregation, seed) = of.clone();
        Ok(Self {
            groups: Groups::restore(reader, aggregation, seed)?,
            early: Early::restore(reader, seed)?,
            lateness_ms,
            is_mixed,
        })
    }

    /// Reads what a state of a version below 3 holds. Version 1 knew no early results.
    pub(super) fn restore_earlier(
        reader: &mut StateReader<'_>,
        version: u8,
        (sources, lateness_ms): (usize, i64),
        of: &Of<A>,
    ) -> Result<Self, RestoreError> {
        let (aggregation, seed) = of.clone();
        let groups = Groups::restore(reader, aggregation, seed)?;
        let early = if version > 1 {
            Early::restore_of(reader, sources, seed)?
        } else {
            Early::new(0, seed)
        };
        Ok(Self {
            groups,
            early,
            lateness_ms,
            is_mixed: false,
        })
    }
}

/// The open windows, by start; no two overlap.
#[derive(Debug, Clone)]
pub(super) struct Windows<A: Aggregation>(Vec<Window<A>>);

impl<A: Aggregation> Windows<A> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Window<A>> {
        self.0.iter_mut()
    }

    /// The end of the last one.
    pub(super) fn last_end_ms(&self) -> Option<i64> {
        self.0.last().map(Window::end_ms)
    }

    /// Takes out those that end at or before a time.
    pub(super) fn take_until(&mut self, end_ms: i64) -> impl Iterator<Item = Window<A>> {
        let closed = self.0.partition_point(|window| window.end_ms() <= end_ms);
        self.0.drain(..closed)
    }

    /// Puts one at the end, if it is after the others.
    pub(super) fn push(&mut self, window: Window<A>) -> bool {
        let is_after = self
            .last_end_ms()
            .is_none_or(|end_ms| end_ms <= window.groups.start_ms);
        if is_after {
            self.0.push(window);
        }
        is_after
    }

    /// The positions of those that overlap a span of time.
    fn overlapping(&self, (start_ms, end_ms): (i64, i64)) -> std::ops::Range<usize> {
        let first = self.0.partition_point(|window| window.end_ms() <= start_ms);
        let others = &self.0[first..];
        first..first + others.partition_point(|window| window.groups.start_ms < end_ms)
    }

    /// The window that a contribution to `bounds` is merged into: of these bounds, or, where
    /// sources have contributed to windows of several sizes, the one that covers all of theirs that
    /// overlap. What was told early does not count.
    pub(super) fn of_final(&mut self, bounds: (i64, i64), lateness_ms: i64, of: &Of<A>) -> &mut Window<A> {
        let range = self.overlapping(bounds);
        if let [only] = &self.0[range.clone()]
            && only.bounds() == bounds
        {
            return &mut self.0[range.start];
        }
        let room = self.0.last().map_or(0, |window| window.groups.len());
        let overlapped: Vec<_> = self
            .0
            .drain(range.clone())
            .filter(|window| !window.is_empty())
            .collect();
        let window = match overlapped.len() {
            0 => Window::new(bounds, room, lateness_ms, of),
            _ => united(&overlapped, bounds, lateness_ms, of),
        };
        self.0.insert(range.start, window);
        &mut self.0[range.start]
    }

    /// The window that an early word on `bounds` is about; none where that overlaps one of other
    /// bounds.
    pub(super) fn of_early(
        &mut self,
        bounds: (i64, i64),
        lateness_ms: i64,
        of: &Of<A>,
    ) -> Option<&mut Window<A>> {
        let range = self.overlapping(bounds);
        match &self.0[range.clone()] {
            [] => {
                let window = Window::new(bounds, 0, lateness_ms, of);
                self.0.insert(range.start, window);
            }
            [only] if only.bounds() == bounds => {}
            _ => return None,
        }
        self.0.get_mut(range.start)
    }
}

/// One window for several that overlap `bounds`, with all that was contributed to them.
fn united<A: Aggregation>(
    windows: &[Window<A>],
    (mut start_ms, mut end_ms): (i64, i64),
    lateness_ms: i64,
    of: &Of<A>,
) -> Window<A> {
    for window in windows {
        start_ms = start_ms.min(window.groups.start_ms);
        end_ms = end_ms.max(window.end_ms());
    }
    let mut united = Window::new((start_ms, end_ms), 0, lateness_ms, of);
    united.is_mixed = true;
    for group in windows.iter().flat_map(|window| window.groups.sorted()) {
        united.merge(&group);
    }
    united
}
