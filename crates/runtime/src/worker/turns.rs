//! Partitions whose records are taken in turns, each at its own pace: see [`crate::alignment`].
//!
//! A record that may not come yet stays where it is, with those behind it, until the others have
//! come to where it is; nothing is fetched again. Of a partition that waits, [`MOST`] records at
//! most are here, and what librdkafka has fetched beside them.

use millrace_kafka_batch::{PartitionQueue, Report};
use rdkafka::consumer::ConsumerContext;

use crate::InputRecord;

/// Most records of a partition in one turn.
const MOST: usize = 256;
/// What is offered again to one that waited: what is offered is decoded, each time.
const FEWEST: usize = 8;

/// What was fetched of a partition, in the order of its log.
pub(super) trait Fetched {
    /// Takes more until there are `count`, if there are so many.
    fn fill(&mut self, count: usize);

    /// How many there are.
    fn len(&self) -> usize;

    /// The offset of the record in this place; `None` for a report.
    fn offset(&self, place: usize) -> Option<i64>;

    /// The first `count`.
    fn items<'q>(
        &'q self,
        topic: &'q str,
        count: usize,
    ) -> impl Iterator<Item = Result<InputRecord<'q>, Report>>;

    /// Forgets the first `count`.
    fn remove_first(&mut self, count: usize);
}

impl<C: ConsumerContext + 'static> Fetched for PartitionQueue<C> {
    fn fill(&mut self, count: usize) {
        self.fill(count);
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn offset(&self, place: usize) -> Option<i64> {
        self.offset(place)
    }

    fn items<'q>(
        &'q self,
        topic: &'q str,
        count: usize,
    ) -> impl Iterator<Item = Result<InputRecord<'q>, Report>> {
        let items = self.iter(count);
        items.map(move |item| item.map(|record| InputRecord::of_batch(topic, &record)))
    }

    fn remove_first(&mut self, count: usize) {
        self.remove_first(count);
    }
}

/// What a partition is offered in the present round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offered {
    /// So many records, perhaps none.
    Records(usize),
    /// The report that comes next.
    Report,
}

impl Offered {
    fn count(self) -> usize {
        match self {
            Self::Records(count) => count,
            Self::Report => 1,
        }
    }
}

#[derive(Debug)]
struct Turn<Q> {
    number: i32,
    queue: Q,
    /// How many records it is offered at most.
    pace: usize,
    offered: Offered,
}

impl<Q: Fetched> Turn<Q> {
    /// The records that come next, `most` of them, or the report that does: records behind a report
    /// are void.
    fn offer(&mut self, most: usize) -> usize {
        let most = most.min(self.pace);
        self.queue.fill(most);
        let is_record = |place: &usize| self.queue.offset(*place).is_some();
        let records = (0..self.queue.len().min(most)).take_while(is_record).count();
        self.offered = match records == 0 && most > 0 && self.queue.len() > 0 {
            true => Offered::Report,
            false => Offered::Records(records),
        };
        self.offered.count()
    }

    /// Forgets what it has taken: all below `next`, or the report.
    fn settle(&mut self, next: Option<i64>) {
        let offered = std::mem::replace(&mut self.offered, Offered::Records(0));
        let (count, Some(next)) = (offered.count(), next) else {
            return self.clear();
        };
        if offered == Offered::Report {
            return self.clear();
        }
        let is_taken = |place: &usize| self.queue.offset(*place).is_some_and(|offset| offset < next);
        let taken = (0..count).take_while(is_taken).count();
        self.queue.remove_first(taken);
        self.pace = match taken == count {
            true => self.pace.max(count * 2).min(MOST),
            false => taken.max(FEWEST),
        };
    }

    fn clear(&mut self) {
        self.queue.remove_first(usize::MAX);
    }
}

/// The partitions of a worker, and what was fetched of each.
#[derive(Debug)]
pub(super) struct Turns<Q>(Vec<Turn<Q>>);

impl<Q> Default for Turns<Q> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<Q: Fetched> Turns<Q> {
    /// A partition comes.
    pub(super) fn add(&mut self, number: i32, queue: Q) {
        self.remove(&[number]);
        self.0.push(Turn {
            number,
            queue,
            pace: MOST,
            offered: Offered::Records(0),
        });
    }

    /// Partitions go, with what was fetched of them.
    pub(super) fn remove(&mut self, numbers: &[i32]) {
        self.0.retain(|turn| !numbers.contains(&turn.number));
    }

    /// A partition seeks: what was fetched of it before is void.
    pub(super) fn clear(&mut self, number: i32) {
        (self.0.iter_mut().filter(|turn| turn.number == number)).for_each(Turn::clear);
    }

    /// Begins a round: partitions that go on are offered what comes next of them, `room` records
    /// together. How many it is, with reports.
    pub(super) fn offer(&mut self, room: usize, mut goes_on: impl FnMut(i32) -> bool) -> usize {
        // Each is the first in its turn, or a small room would be the same ones' each time.
        if !self.0.is_empty() {
            self.0.rotate_left(1);
        }
        let mut offered = 0;
        for turn in &mut self.0 {
            if offered < room && goes_on(turn.number) {
                offered += turn.offer(room - offered);
            }
        }
        offered
    }

    /// What is offered in this round.
    pub(super) fn items<'q>(
        &'q self,
        topic: &'q str,
    ) -> impl Iterator<Item = Result<InputRecord<'q>, Report>> {
        let items = move |turn: &'q Turn<Q>| turn.queue.items(topic, turn.offered.count());
        self.0.iter().flat_map(items)
    }

    /// Ends a round, in which all that was offered has been looked at; `position` says which record
    /// is a partition's next, or nothing where its state was thrown away.
    pub(super) fn settle(&mut self, mut position: impl FnMut(i32) -> Option<i64>) {
        let is_offered = |turn: &&mut Turn<Q>| turn.offered != Offered::Records(0);
        for turn in self.0.iter_mut().filter(is_offered) {
            turn.settle(position(turn.number));
        }
    }

    /// Whether records are here that were not taken.
    pub(super) fn holds_any(&self) -> bool {
        self.0.iter().any(|turn| turn.queue.len() > 0)
    }
}

#[cfg(test)]
mod tests;
