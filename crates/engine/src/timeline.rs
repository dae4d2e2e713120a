//! Event time cut into cells, and how long each is held after its end, as both change.

use crate::snapshot::{StateReader, StateWriter};
use crate::{RestoreError, TumblingWindows};

/// A span of event time, and the watermark that ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) start_ms: i64,
    /// Exclusive.
    pub(crate) end_ms: i64,
    /// The cell is closed once the watermark is here: its end, and as long as it is held.
    pub(crate) until_ms: i64,
}

/// Cells of one size, held for one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    from_ms: i64,
    windows: TumblingWindows,
    hold_ms: i64,
}

/// Where a new size of cells begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At a boundary of the old cells and the new: none is cut.
    AtCommonBoundary,
    /// At once: the first of the new cells is cut.
    AtOnce,
}

/// The cells of event time. Their size and how long they are held change from some time on, never
/// for what is before it: so no two cells overlap, and what has closed stays closed.
///
/// There is one segment, but for a while after a change: those whose cells have all closed are left
/// out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timeline {
    /// By start; at least one. The first also stands for what is before it, all of which is closed.
    segments: Vec<Segment>,
    /// Every cell that ends at or before this is closed, whatever its segment says.
    closed_ms: i64,
}

impl Timeline {
    pub(crate) fn new(windows: TumblingWindows, hold_ms: i64) -> Self {
        Self {
            segments: vec![Segment {
                from_ms: i64::MIN,
                windows,
                hold_ms,
            }],
            closed_ms: i64::MIN,
        }
    }

    /// The cell that a time is in.
    pub(crate) fn cell(&self, time_ms: i64) -> Cell {
        let after = self
            .segments
            .partition_point(|segment| segment.from_ms <= time_ms);
        let (own, start_ms) = match after.checked_sub(1) {
            Some(own) => (&self.segments[own], self.segments[own].from_ms),
            None => (&self.segments[0], i64::MIN),
        };
        let next_ms = self.segments.get(after).map_or(i64::MAX, |next| next.from_ms);
        let floor_ms = own.windows.start_of(time_ms);
        let end_ms = own.windows.end_of(floor_ms).min(next_ms);
        Cell {
            start_ms: floor_ms.max(start_ms),
            end_ms,
            until_ms: end_ms.saturating_add(own.hold_ms),
        }
    }

    /// By how much a time's cell has been closed for at a watermark, from 1 on; `None` if it is
    /// open.
    pub(crate) fn late_by_ms(&self, time_ms: i64, watermark_ms: i64) -> Option<i64> {
        let cell = self.cell(time_ms);
        let is_closed = cell.until_ms <= watermark_ms || cell.end_ms <= self.closed_ms;
        is_closed.then(|| {
            watermark_ms
                .saturating_sub(cell.until_ms)
                .saturating_add(1)
                .max(1)
        })
    }

    /// Each segment, with its end.
    fn segments(&self) -> impl Iterator<Item = (&Segment, i64)> {
        let ends = self.segments[1..].iter().map(|next| next.from_ms);
        self.segments.iter().zip(ends.chain([i64::MAX]))
    }

    /// The next watermark above this one at which a cell closes.
    pub(crate) fn next_close_ms(&self, watermark_ms: i64) -> i64 {
        let closes = self.segments().filter_map(|(segment, to_ms)| {
            let closed_ms = watermark_ms.saturating_sub(segment.hold_ms).max(self.closed_ms);
            let windows = segment.windows;
            let end_ms = windows.end_of(windows.start_of(closed_ms.max(segment.from_ms)));
            let end_ms = end_ms.min(to_ms);
            (end_ms > closed_ms).then(|| end_ms.saturating_add(segment.hold_ms))
        });
        closes.min().unwrap_or(i64::MAX)
    }

    /// The end of the last cell before which none is open at a watermark.
    pub(crate) fn closed_until_ms(&self, watermark_ms: i64) -> i64 {
        let mut until_ms = self.closed_ms;
        for (segment, to_ms) in self.segments() {
            let closed_ms = watermark_ms.saturating_sub(segment.hold_ms);
            if to_ms > closed_ms && to_ms > self.closed_ms {
                let last_ms = segment.windows.start_of(closed_ms);
                let is_of_segment = last_ms >= segment.from_ms;
                return if is_of_segment {
                    until_ms.max(last_ms)
                } else {
                    until_ms
                };
            }
            until_ms = until_ms.max(to_ms);
        }
        until_ms
    }

    /// Leaves out the segments whose cells have all closed.
    pub(crate) fn forget(&mut self, watermark_ms: i64) {
        while let [first, second, ..] = &self.segments[..]
            && second.from_ms.saturating_add(first.hold_ms) <= watermark_ms
        {
            self.closed_ms = self.closed_ms.max(second.from_ms);
            self.segments.remove(0);
        }
    }

    /// Cuts event time anew from the watermark on, and from where cells that are in use reach to. A
    /// change that has not begun by then is taken back, unless all before it has closed. Before the
    /// first watermark, everything is cut anew. Whether the last segment is a new one.
    pub(crate) fn change(
        &mut self,
        watermark_ms: Option<i64>,
        reach_ms: Option<i64>,
        (windows, hold_ms): (TumblingWindows, i64),
        begin: Begin,
    ) -> bool {
        let Some(watermark_ms) = watermark_ms else {
            *self = Self::new(windows, hold_ms);
            return true;
        };
        self.forget(watermark_ms);
        let earliest_ms = reach_ms.map_or(watermark_ms, |reach_ms| reach_ms.max(watermark_ms));
        let begun = self
            .segments
            .partition_point(|segment| segment.from_ms < earliest_ms);
        self.segments.truncate(begun.max(1));
        let last = self.segments[self.segments.len() - 1];
        if (last.windows, last.hold_ms) == (windows, hold_ms) {
            return false;
        }
        let from_ms = match begin {
            Begin::AtOnce => earliest_ms,
            Begin::AtCommonBoundary => common_boundary_ms(last.windows, windows, earliest_ms),
        };
        let next = Segment {
            from_ms,
            windows,
            hold_ms,
        };
        // Only the first one can begin as late.
        if last.from_ms >= from_ms {
            self.segments.clear();
            self.closed_ms = self.closed_ms.max(from_ms);
        }
        self.segments.push(next);
        true
    }

    /// Cuts event time as another timeline of the same history, after a change of that one. Its
    /// last segment is held for `hold_ms` where it is new; every other, as it was here.
    pub(crate) fn follow(&mut self, leader: &Self, is_new: bool, hold_ms: i64) {
        let of_leader = leader.segments.iter().enumerate().map(|(at, segment)| {
            let is_last = at + 1 == leader.segments.len();
            let own = self.segments.iter().find(|own| own.from_ms == segment.from_ms);
            let own = own.filter(|_| !(is_last && is_new));
            let hold_ms = own.map_or(hold_ms, |own| own.hold_ms);
            Segment { hold_ms, ..*segment }
        });
        let followed: Vec<_> = of_leader.collect();
        let first_ms = leader.segments[0].from_ms;
        self.segments.retain(|own| own.from_ms < first_ms);
        self.segments.extend(followed);
    }

    /// Holds every cell that has not closed for another time.
    pub(crate) fn hold_all(&mut self, watermark_ms: Option<i64>, hold_ms: i64) {
        if let Some(watermark_ms) = watermark_ms {
            self.closed_ms = self.closed_until_ms(watermark_ms);
        }
        self.segments
            .iter_mut()
            .for_each(|segment| segment.hold_ms = hold_ms);
    }

    pub(crate) fn snapshot(&self, writer: &mut StateWriter<'_>) {
        writer.i64(self.closed_ms);
        writer.count(self.segments.len());
        for segment in &self.segments {
            writer.i64(segment.from_ms);
            writer.i64(segment.windows.size_ms());
            writer.i64(segment.hold_ms);
        }
    }

    /// Reads back what [`Timeline::snapshot`] wrote.
    pub(crate) fn restore(reader: &mut StateReader<'_>) -> Result<Self, RestoreError> {
        let at = reader.position();
        let invalid = RestoreError::Invalid { what: "timeline", at };
        let closed_ms = reader.i64()?;
        let mut segments: Vec<Segment> = Vec::new();
        for _ in 0..reader.count("segments of a timeline", 24)? {
            let (from_ms, size_ms, hold_ms) = (reader.i64()?, reader.i64()?, reader.i64()?);
            let windows = TumblingWindows::new(size_ms).ok_or_else(|| invalid.clone())?;
            let is_after = segments.last().is_none_or(|last| last.from_ms < from_ms);
            if hold_ms < 0 || !is_after {
                return Err(invalid);
            }
            segments.push(Segment {
                from_ms,
                windows,
                hold_ms,
            });
        }
        match segments.first() {
            // What is before the first segment is closed, or there is nothing before it.
            Some(first) if first.from_ms <= closed_ms => Ok(Self { segments, closed_ms }),
            _ => Err(invalid),
        }
    }
}

/// The first boundary at or after a time that windows of both sizes have.
fn common_boundary_ms(one: TumblingWindows, other: TumblingWindows, from_ms: i64) -> i64 {
    let (a, b) = (one.size_ms(), other.size_ms());
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    let both = TumblingWindows::at_least_1_ms((a / divisor).saturating_mul(b));
    both.boundary_from(from_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn windows(size_ms: i64) -> TumblingWindows {
        TumblingWindows::new(size_ms).unwrap()
    }

    /// A change: how far the watermark goes before it, how far beyond that cells are in use, the
    /// new size and hold.
    type Change = (i64, Option<i64>, i64, i64);

    fn change() -> impl Strategy<Value = Change> {
        (0_i64..60, prop::option::of(0_i64..40), 1_i64..20, 0_i64..40)
    }

    proptest! {
        /// Cells are apart, without gaps; those in use and those that have closed stay what they
        /// were; nothing opens again; and the closing points are those of the cells.
        #[test]
        fn whatever_changes_cells_do_not_overlap_and_what_has_closed_stays_closed(
            first in (1_i64..20, 0_i64..40),
            changes in prop::collection::vec(change(), 0..8),
            is_at_once: bool,
        ) {
            let begin = if is_at_once { Begin::AtOnce } else { Begin::AtCommonBoundary };
            // What is cut at once is held for a while: else the watermark would close what is cut
            // there.
            let least = i64::from(is_at_once);
            let mut timeline = Timeline::new(windows(first.0), first.1 + least);
            let mut watermark = 0;
            let is_closed = |timeline: &Timeline, time, watermark| timeline.late_by_ms(time, watermark).is_some();
            for (ahead, in_use, size, hold) in changes {
                let hold = hold + least;
                watermark += ahead;
                timeline.forget(watermark);
                let reach = in_use.map(|in_use| timeline.cell(watermark + in_use).end_ms);
                let before = timeline.clone();
                timeline.change(Some(watermark), reach, (windows(size), hold), begin);
                let kept_until = reach.unwrap_or(watermark).max(watermark);
                for time in -100..kept_until + 900 {
                    let cell = timeline.cell(time);
                    prop_assert!(cell.start_ms <= time && time < cell.end_ms);
                    prop_assert_eq!(timeline.cell(cell.start_ms), cell);
                    prop_assert_eq!(timeline.cell(cell.end_ms - 1), cell);
                    if time < kept_until {
                        let (was, is) = (before.cell(time), cell);
                        let was_open = !is_closed(&before, time, watermark);
                        if was_open && is_at_once {
                            prop_assert_eq!(was.start_ms, is.start_ms);
                        } else if was_open {
                            prop_assert_eq!(was, is, "at {}", time);
                        }
                        prop_assert_eq!(is_closed(&before, time, watermark), is_closed(&timeline, time, watermark));
                    } else {
                        prop_assert!(!is_closed(&timeline, time, watermark));
                    }
                }
                let far = timeline.cell(kept_until + 800);
                prop_assert_eq!((far.end_ms - far.start_ms, far.until_ms - far.end_ms), (size, hold));

                let next = timeline.next_close_ms(watermark);
                let closes = (-100..kept_until + 900)
                    .filter(|time| !is_closed(&timeline, *time, watermark))
                    .map(|time| timeline.cell(time).until_ms)
                    .min();
                prop_assert_eq!(Some(next), closes);
                let until = timeline.closed_until_ms(watermark);
                let open = (-100..kept_until + 900).find(|time| !is_closed(&timeline, *time, watermark));
                prop_assert_eq!(open, Some(until.max(-100)));

                let mut bytes = Vec::new();
                timeline.snapshot(&mut StateWriter::new(&mut bytes));
                let restored = Timeline::restore(&mut StateReader::new(&bytes)).unwrap();
                prop_assert_eq!(&restored, &timeline);
            }
        }
    }

    #[test]
    fn a_new_size_begins_at_the_first_common_boundary_after_what_is_in_use() {
        let mut timeline = Timeline::new(windows(60), 0);
        timeline.change(Some(95), Some(120), (windows(10), 5), Begin::AtCommonBoundary);
        let cell = |start_ms, end_ms, until_ms| Cell {
            start_ms,
            end_ms,
            until_ms,
        };
        assert_eq!(timeline.cell(119), cell(60, 120, 120));
        assert_eq!(timeline.cell(120), cell(120, 130, 135));
        // Taken back before it began.
        timeline.change(Some(95), Some(120), (windows(60), 0), Begin::AtCommonBoundary);
        assert_eq!(timeline, Timeline::new(windows(60), 0));
        // To larger ones: cells of 60 up to where cells of 90 begin as well.
        timeline.change(Some(125), Some(180), (windows(90), 0), Begin::AtCommonBoundary);
        assert_eq!(timeline.cell(180), cell(180, 270, 270));
        timeline.change(Some(185), Some(270), (windows(60), 0), Begin::AtCommonBoundary);
        assert_eq!(timeline.cell(300), cell(270, 360, 360));
        assert_eq!(timeline.cell(360), cell(360, 420, 420));
    }
}
