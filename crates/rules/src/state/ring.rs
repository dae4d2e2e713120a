//! Count and sum of an entity's records over every window at once.
//!
//! The last records are kept one by one, in the order of event time, with running sums: a window is
//! two look-ups. Beyond [`EXACT_RECORDS`] the older half goes to *hops*: records that lie together
//! in one slot of time, whose width is that of the shortest window that reaches them
//! ([`HOPS`](super::HOPS)).
//! A hop belongs to a window if its last record does. So a window may begin earlier than asked for,
//! by less than the width of one hop: the last record of the hop at its beginning is in the window,
//! the hop was put together when that record was no older than now, so its slot is no wider than
//! the window's hop.

use std::collections::VecDeque;

use super::hop::{Hop, Moments, is_one_slot};
use super::{Reader, StateError, Writer};

/// Records that are kept one by one, at most.
pub(crate) const EXACT_RECORDS: usize = 128;
/// Records that go to hops at once.
pub(crate) const SPILLED: usize = 64;
/// Bytes of a record that is kept by itself.
pub(crate) const RECORD_BYTES: f64 = size_of::<Record>() as f64;

/// More hops than there ever are once they are put together.
pub(crate) const MAX_HOPS: usize = 512;

/// A record that is kept by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Record {
    time_ms: i64,
    /// The sum of all values up to this one; it wraps, as only differences are asked for, which
    /// fit.
    sum: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ring {
    /// The running sum before the first record.
    base: i64,
    records: VecDeque<Record>,
    hops: Vec<Hop>,
    /// Records up to this event time go to hops.
    boundary_ms: i64,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            base: 0,
            records: VecDeque::new(),
            hops: Vec::new(),
            boundary_ms: i64::MIN,
        }
    }
}

/// Where the record that is judged has gone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Current {
    time_ms: i64,
    value: i64,
    /// Among the records, or in a hop.
    at: Option<usize>,
}

impl Ring {
    /// Learns a record, unless it is older than the longest window, which begins at `oldest_ms` and
    /// ends at `newest_ms`.
    pub(crate) fn learn(
        &mut self,
        time_ms: i64,
        value: i64,
        newest_ms: i64,
        oldest_ms: i64,
    ) -> Option<Current> {
        if time_ms <= oldest_ms {
            return None;
        }
        self.expire(oldest_ms);
        let mut current = Current {
            time_ms,
            value,
            at: None,
        };
        if time_ms <= self.boundary_ms {
            self.learn_late(Hop::of(time_ms, value), newest_ms);
            return Some(current);
        }
        let mut at = self.records.len();
        while at > 0 && self.records[at - 1].time_ms > time_ms {
            at -= 1;
        }
        let before = self.sum_before(at);
        let sum = before.wrapping_add(value);
        for later in self.records.range_mut(at..) {
            later.sum = later.sum.wrapping_add(value);
        }
        self.records.insert(at, Record { time_ms, sum });
        current.at = Some(at);
        if self.records.len() > EXACT_RECORDS {
            self.spill(newest_ms);
            current.at = at.checked_sub(SPILLED);
        }
        Some(current)
    }

    /// How many records there are after `start_ms`, and their sum; without one.
    pub(crate) fn sum(&self, start_ms: i64, without: Option<Current>) -> (u64, i128) {
        let at = self.first_after(start_ms);
        let mut count = (self.records.len() - at) as u64;
        let total = self.sum_before(self.records.len());
        let mut sum = i128::from(total.wrapping_sub(self.sum_before(at)));
        if at == 0 {
            for hop in self.hops_after(start_ms) {
                count += hop.count;
                sum += hop.sum;
            }
        }
        match without {
            Some(current) if current.time_ms > start_ms => (count - 1, sum - i128::from(current.value)),
            _ => (count, sum),
        }
    }

    /// The least and the greatest value after `start_ms`. What is in a hop cannot be left out.
    pub(crate) fn extremes(&self, start_ms: i64, without: Option<Current>) -> Option<(i64, i64)> {
        let first = self.first_after(start_ms);
        let without = without.and_then(|current| current.at);
        let records = self
            .values_from(first)
            .enumerate()
            .filter(|(at, _)| Some(first + at) != without)
            .map(|(_, value)| (value, value));
        let hops = self
            .hops_after(start_ms)
            .filter(|_| first == 0)
            .map(|hop| (hop.min, hop.max));
        hops.chain(records)
            .reduce(|(min, max), (least, most)| (min.min(least), max.max(most)))
    }

    /// The moments of what is after `start_ms`.
    pub(crate) fn moments(&self, start_ms: i64) -> Moments {
        let first = self.first_after(start_ms);
        let count = (self.records.len() - first) as f64;
        let total = self
            .sum_before(self.records.len())
            .wrapping_sub(self.sum_before(first));
        let mean = total as f64 / count;
        let squares = self
            .values_from(first)
            .map(|value| (value as f64 - mean) * (value as f64 - mean))
            .sum();
        let mut moments = Moments { count, mean, squares };
        if first == 0 {
            for hop in self.hops_after(start_ms) {
                let hop = Moments {
                    count: hop.count as f64,
                    mean: hop.sum as f64 / hop.count as f64,
                    squares: hop.squares,
                };
                moments = moments.and(hop);
            }
        }
        moments
    }

    /// The index of the first record after `start_ms`.
    fn first_after(&self, start_ms: i64) -> usize {
        self.records.partition_point(|record| record.time_ms <= start_ms)
    }

    fn sum_before(&self, at: usize) -> i64 {
        match at {
            0 => self.base,
            at => self.records[at - 1].sum,
        }
    }

    fn values_from(&self, first: usize) -> impl Iterator<Item = i64> {
        let mut before = self.sum_before(first);
        self.records.range(first..).map(move |record| {
            let value = record.sum.wrapping_sub(before);
            before = record.sum;
            value
        })
    }

    /// The hops of a window, the newest first.
    fn hops_after(&self, start_ms: i64) -> impl Iterator<Item = &Hop> {
        let is_reached = start_ms < self.boundary_ms;
        self.hops
            .iter()
            .rev()
            .filter(move |hop| is_reached && hop.last_ms > start_ms)
    }

    fn expire(&mut self, oldest_ms: i64) {
        while let Some(record) = self.records.front()
            && record.time_ms <= oldest_ms
        {
            self.base = record.sum;
            self.records.pop_front();
        }
        if self.hops.first().is_some_and(|hop| hop.last_ms <= oldest_ms) {
            self.hops.retain(|hop| hop.last_ms > oldest_ms);
        }
    }

    /// Moves the oldest records to hops.
    #[cold]
    fn spill(&mut self, newest_ms: i64) {
        let mut before = self.base;
        for record in self.records.drain(..SPILLED) {
            self.hops
                .push(Hop::of(record.time_ms, record.sum.wrapping_sub(before)));
            before = record.sum;
            self.boundary_ms = record.time_ms;
        }
        self.base = before;
        self.put_together(newest_ms);
    }

    #[cold]
    fn learn_late(&mut self, hop: Hop, newest_ms: i64) {
        let at = self.hops.partition_point(|other| other.first_ms <= hop.first_ms);
        match at.checked_sub(1).map(|before| &mut self.hops[before]) {
            Some(before) if hop.first_ms <= before.last_ms => *before = before.and(&hop),
            _ => self.hops.insert(at, hop),
        }
        if self.hops.len() > MAX_HOPS {
            self.put_together(newest_ms);
        }
    }

    fn put_together(&mut self, newest_ms: i64) {
        let mut kept: Vec<Hop> = Vec::with_capacity(self.hops.len());
        for hop in self.hops.drain(..) {
            match kept.last_mut() {
                Some(before) if is_one_slot(before, &hop, newest_ms) => *before = before.and(&hop),
                _ => kept.push(hop),
            }
        }
        kept.shrink_to_fit();
        self.hops = kept;
    }

    /// What it has beside itself.
    #[cfg(test)]
    pub(crate) fn heap_bytes(&self) -> usize {
        self.records.capacity() * size_of::<Record>() + self.hops.capacity() * size_of::<Hop>()
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.i64(self.boundary_ms);
        writer.len(self.records.len());
        for (record, value) in self.records.iter().zip(self.values_from(0)) {
            writer.i64(record.time_ms);
            writer.i64(value);
        }
        writer.len(self.hops.len());
        for hop in &self.hops {
            writer.i64(hop.first_ms);
            writer.i64(hop.last_ms);
            writer.u64(hop.count);
            writer.u128(hop.sum as u128);
            writer.i64(hop.min);
            writer.i64(hop.max);
            writer.u64(hop.squares.to_bits());
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, StateError> {
        let mut ring = Self {
            boundary_ms: reader.time_ms()?,
            ..Self::default()
        };
        let mut sum = 0_i64;
        for _ in 0..reader.len(16)? {
            let time_ms = reader.time_ms()?;
            sum = sum.wrapping_add(reader.i64()?);
            ring.records.push_back(Record { time_ms, sum });
        }
        for _ in 0..reader.len(64)? {
            ring.hops.push(Hop {
                first_ms: reader.time_ms()?,
                last_ms: reader.time_ms()?,
                count: reader.u64()?,
                sum: reader.u128()? as i128,
                min: reader.i64()?,
                max: reader.i64()?,
                squares: f64::from_bits(reader.u64()?),
            });
        }
        let has_times = ring.records.iter().all(|record| record.time_ms != i64::MIN);
        let in_order = has_times
            && ring.records.iter().is_sorted_by_key(|record| record.time_ms)
            && ring.hops.iter().is_sorted_by_key(|hop| hop.first_ms)
            && ring.hops.iter().all(Hop::is_possible);
        if !in_order || ring.records.len() > EXACT_RECORDS {
            return Err(StateError::Impossible("ring"));
        }
        Ok(ring)
    }
}
