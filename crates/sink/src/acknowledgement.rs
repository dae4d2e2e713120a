//! Which offsets may be committed: for each partition all up to the first that is not yet done.
//!
//! Batches finish in any order. Each stands for a span of offsets of each partition, and the spans
//! of a partition join without a gap (the way of Quickwit's checkpoint deltas), so that the end of
//! the last span in an unbroken row is what may be committed.
//!
//! A record that is set aside is *held*: its span is done but for it, and nothing from it on is
//! committed until it is released. So it is read again by whoever starts from what is committed.

use std::collections::{BTreeMap, BTreeSet};

use crate::spec::SourceId;

/// A partition of one of the topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey {
    /// The topic.
    pub source: SourceId,
    /// The partition's number.
    pub partition: i32,
}

/// The offsets from `from` up to but without `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The partition.
    pub partition: PartitionKey,
    /// The first offset, which is the end of the partition's span before it.
    pub from: i64,
    /// The offset after the last.
    pub to: i64,
    /// Which assignment of the partition it belongs to: what was read before a partition went and
    /// came back says nothing of what is read since.
    pub assignment: u64,
}

#[derive(Debug)]
struct Progress {
    /// Which assignment this is.
    assignment: u64,
    /// The offset after the last that was read.
    read: i64,
    /// Everything below is done.
    done: i64,
    /// What was last reported as committed.
    committed: i64,
    /// Spans that are done, but not all before them: end by start.
    ahead: BTreeMap<i64, i64>,
    /// Records that are set aside, in spans that are done.
    held: BTreeSet<i64>,
}

impl Progress {
    /// Everything below may be committed.
    fn committable(&self) -> i64 {
        self.held.first().map_or(self.done, |&first| first.min(self.done))
    }
}

/// Keeps the progress of every assigned partition.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    partitions: BTreeMap<PartitionKey, Progress>,
    assignments: u64,
}

impl Tracker {
    /// Notes that the record at `offset` was read, and gives the span from the partition's last
    /// record to it. Offsets rise; gaps (markers of transactions, compacted records) belong to the
    /// record after them.
    pub(crate) fn read(&mut self, partition: PartitionKey, offset: i64) -> Span {
        let to = offset + 1;
        let progress = self.partitions.entry(partition).or_insert_with(|| {
            self.assignments += 1;
            Progress {
                assignment: self.assignments,
                read: offset,
                done: offset,
                committed: offset,
                ahead: BTreeMap::new(),
                held: BTreeSet::new(),
            }
        });
        let from = progress.read;
        progress.read = to;
        Span {
            partition,
            from,
            to,
            assignment: progress.assignment,
        }
    }

    /// Notes that everything in `span`, a row of spans given by [`Tracker::read`], is done.
    pub(crate) fn acknowledge(&mut self, span: Span) {
        let Some(progress) = self.partitions.get_mut(&span.partition) else {
            return;
        };
        if progress.assignment != span.assignment {
            return;
        }
        progress.ahead.insert(span.from, span.to);
        while let Some(to) = progress.ahead.remove(&progress.done) {
            progress.done = to;
        }
    }

    /// Notes that the record at `offset` waits, though its span will be acknowledged; whether the
    /// assignment is the present one, so that it may wait.
    pub(crate) fn hold(&mut self, partition: PartitionKey, assignment: u64, offset: i64) -> bool {
        let Some(progress) = self.current(partition, assignment) else {
            return false;
        };
        progress.held.insert(offset);
        true
    }

    /// Notes that a record that was held is done.
    pub(crate) fn release(&mut self, partition: PartitionKey, assignment: u64, offset: i64) {
        if let Some(progress) = self.current(partition, assignment) {
            progress.held.remove(&offset);
        }
    }

    fn current(&mut self, partition: PartitionKey, assignment: u64) -> Option<&mut Progress> {
        self.partitions
            .get_mut(&partition)
            .filter(|progress| progress.assignment == assignment)
    }

    /// The partitions of which more is done than was committed, with the offset to commit.
    pub(crate) fn committable(&self) -> impl Iterator<Item = (PartitionKey, i64)> + '_ {
        self.partitions
            .iter()
            .map(|(&partition, progress)| (partition, progress.committable(), progress.committed))
            .filter(|(_, committable, committed)| committable > committed)
            .map(|(partition, committable, _)| (partition, committable))
    }

    /// Notes that a commit was asked for.
    pub(crate) fn committed(&mut self, partition: PartitionKey, offset: i64) {
        if let Some(progress) = self.partitions.get_mut(&partition) {
            progress.committed = progress.committed.max(offset);
        }
    }

    /// Notes that a commit failed: what is done is to be committed once more.
    pub(crate) fn not_committed(&mut self, partition: PartitionKey) {
        if let Some(progress) = self.partitions.get_mut(&partition) {
            progress.committed = i64::MIN;
        }
    }

    /// The offset after the last record that was read of a partition; `None` if nothing was.
    pub(crate) fn next(&self, partition: PartitionKey) -> Option<i64> {
        self.partitions.get(&partition).map(|progress| progress.read)
    }

    /// The offset below which everything of a partition is done but for what is held; `None` if
    /// nothing was read of it.
    pub(crate) fn done(&self, partition: PartitionKey) -> Option<i64> {
        self.partitions.get(&partition).map(|progress| progress.done)
    }

    /// How many offsets of a partition were read and are not done, those held among them.
    pub(crate) fn open(&self, partition: PartitionKey) -> i64 {
        self.partitions.get(&partition).map_or(0, open)
    }

    /// How many records of a partition are held.
    pub(crate) fn held(&self, partition: PartitionKey) -> i64 {
        self.partitions
            .get(&partition)
            .map_or(0, |progress| progress.held.len() as i64)
    }

    /// How many offsets were read and are not done, of all partitions.
    pub(crate) fn all_open(&self) -> i64 {
        self.partitions.values().map(open).sum()
    }

    /// Forgets a partition that was revoked.
    pub(crate) fn forget(&mut self, partition: PartitionKey) {
        self.partitions.remove(&partition);
    }
}

fn open(progress: &Progress) -> i64 {
    progress.read - progress.done + progress.held.len() as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(partition: i32) -> PartitionKey {
        PartitionKey {
            source: SourceId(1),
            partition,
        }
    }

    /// Batches of records, `(partition, gap before it)` each, and the order in which they finish.
    fn runs() -> impl Strategy<Value = (Vec<Vec<(i32, i64)>>, Vec<usize>)> {
        prop::collection::vec(prop::collection::vec((0..3, 0..4_i64), 0..8), 1..12).prop_flat_map(|batches| {
            let order: Vec<usize> = (0..batches.len()).collect();
            (Just(batches), Just(order).prop_shuffle())
        })
    }

    proptest! {
        /// The oracle keeps every single record and looks for the first that is not done.
        #[test]
        fn commits_what_a_naive_list_commits((batches, order) in runs()) {
            let mut tracker = Tracker::default();
            let mut next = [100_i64; 3];
            let mut open: [BTreeSet<i64>; 3] = Default::default();
            let mut spans: Vec<BTreeMap<i32, Span>> = Vec::new();
            let mut records: Vec<Vec<(i32, i64)>> = Vec::new();
            for batch in &batches {
                let (mut covered, mut read) = (BTreeMap::<i32, Span>::new(), Vec::new());
                for &(partition, gap) in batch {
                    let offset = next[partition as usize] + gap;
                    next[partition as usize] = offset + 1;
                    let span = tracker.read(key(partition), offset);
                    covered.entry(partition).and_modify(|known| known.to = span.to).or_insert(span);
                    open[partition as usize].insert(offset);
                    read.push((partition, offset));
                }
                spans.push(covered);
                records.push(read);
            }
            for at in order {
                spans[at].values().for_each(|&span| tracker.acknowledge(span));
                for (partition, offset) in &records[at] {
                    open[*partition as usize].remove(offset);
                }
                for partition in 0..3 {
                    let Some(done) = tracker.done(key(partition)) else { continue };
                    let first_open = open[partition as usize].first().copied();
                    // Committing within a gap or at its end is the same to a consumer.
                    match first_open {
                        None => prop_assert_eq!(done, next[partition as usize]),
                        Some(first) => {
                            prop_assert!(done <= first);
                            let between = records.iter().flatten().any(|&(p, o)| p == partition && (done..first).contains(&o));
                            prop_assert!(!between, "{} could be committed, not {}", first, done);
                        }
                    }
                }
            }
            prop_assert_eq!(tracker.all_open(), 0);
        }
    }

    #[test]
    fn commits_are_due_once() {
        let mut tracker = Tracker::default();
        let first = tracker.read(key(0), 5);
        let second = tracker.read(key(0), 8);
        assert_eq!((second.from, second.to), (6, 9));
        tracker.acknowledge(second);
        assert_eq!(tracker.committable().count(), 0);
        tracker.acknowledge(first);
        assert_eq!(tracker.committable().collect::<Vec<_>>(), [(key(0), 9)]);
        tracker.committed(key(0), 9);
        assert_eq!(tracker.committable().count(), 0);
    }

    #[test]
    fn nothing_is_committed_from_the_first_held_record_on() {
        let mut tracker = Tracker::default();
        let (first, second) = (tracker.read(key(0), 5), tracker.read(key(0), 6));
        assert!(tracker.hold(key(0), second.assignment, 6));
        tracker.acknowledge(Span {
            to: second.to,
            ..first
        });
        assert_eq!(tracker.committable().collect::<Vec<_>>(), [(key(0), 6)]);
        assert_eq!((tracker.done(key(0)), tracker.open(key(0))), (Some(7), 1));
        tracker.committed(key(0), 6);
        let third = tracker.read(key(0), 7);
        tracker.acknowledge(third);
        assert_eq!(tracker.committable().count(), 0);
        tracker.release(key(0), second.assignment, 6);
        assert_eq!(tracker.committable().collect::<Vec<_>>(), [(key(0), 8)]);
        assert_eq!(tracker.all_open(), 0);
    }

    #[test]
    fn a_former_assignment_holds_nothing() {
        let mut tracker = Tracker::default();
        let former = tracker.read(key(0), 5);
        tracker.forget(key(0));
        let span = tracker.read(key(0), 5);
        assert!(!tracker.hold(key(0), former.assignment, 5));
        assert!(tracker.hold(key(0), span.assignment, 5));
        tracker.release(key(0), former.assignment, 5);
        assert_eq!(tracker.held(key(0)), 1);
    }

    #[test]
    fn a_revoked_partition_takes_no_acknowledgement() {
        let mut tracker = Tracker::default();
        let span = tracker.read(key(0), 5);
        tracker.forget(key(0));
        tracker.acknowledge(span);
        assert_eq!(tracker.done(key(0)), None);
        assert_eq!(tracker.committable().count(), 0);
    }

    #[test]
    fn a_partition_that_came_back_takes_none_of_its_former_self() {
        let mut tracker = Tracker::default();
        let former = tracker.read(key(0), 5);
        tracker.forget(key(0));
        let span = tracker.read(key(0), 5);
        tracker.acknowledge(former);
        assert_eq!(tracker.done(key(0)), Some(5));
        tracker.acknowledge(span);
        assert_eq!(tracker.done(key(0)), Some(6));
    }

    #[test]
    fn a_failed_commit_is_due_again() {
        let mut tracker = Tracker::default();
        let span = tracker.read(key(0), 5);
        tracker.acknowledge(span);
        tracker.committed(key(0), 6);
        tracker.not_committed(key(0));
        assert_eq!(tracker.committable().collect::<Vec<_>>(), [(key(0), 6)]);
    }
}
