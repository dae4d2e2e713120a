//! Stage 1 by the definitions alone: nothing is incremental, and every cut of event time that there
//! ever was is kept.

use std::collections::{BTreeMap, BTreeSet};

use millrace_domain::{Currency, ShortId, Totals, Transaction, TransactionId};
use millrace_engine::Disposition;

use super::{Event, Times};

/// A window, the watermark at which it closes, and the one at which its ids are forgotten, when the
/// next ones close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) closes_ms: i64,
    forgotten_ms: i64,
}

/// Window, merchant and currency.
pub(crate) type Key = (i64, i64, ShortId, Currency);

/// What should become of one partition's events.
#[derive(Debug)]
pub(crate) struct Naive {
    pub(crate) dispositions: Vec<Disposition>,
    pub(crate) accepted: Vec<Transaction>,
    /// The window of each accepted record.
    pub(crate) cells: Vec<Cell>,
    pub(crate) watermark_ms: Option<i64>,
    highest_ms: Option<i64>,
    disorder: i64,
    /// Window and lateness, and from which event time on.
    cuts: Vec<(i64, Times)>,
    /// The first that has not closed as a whole.
    first: usize,
    ids: Vec<(TransactionId, i64)>,
    /// The watermark at which windows closed last.
    closed_at_ms: Option<i64>,
}

impl Naive {
    pub(crate) fn new(times: Times) -> Self {
        Self {
            dispositions: Vec::new(),
            accepted: Vec::new(),
            cells: Vec::new(),
            watermark_ms: None,
            highest_ms: None,
            disorder: times.disorder,
            cuts: vec![(i64::MIN, times)],
            first: 0,
            ids: Vec::new(),
            closed_at_ms: None,
        }
    }

    pub(crate) fn run<'a>(times: Times, events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut run = Self::new(times);
        for event in events {
            run.take(event);
        }
        run
    }

    /// Whether windows close because of it.
    pub(crate) fn take(&mut self, event: &Event) -> bool {
        match event {
            Event::Record(record) => self.record(record),
            Event::Advance(to_ms) => self.advance(*to_ms),
            Event::Configure(times) => {
                self.configure(*times);
                false
            }
        }
    }

    fn own(&self, time_ms: i64) -> usize {
        self.cuts
            .iter()
            .rposition(|(from, _)| *from <= time_ms)
            .unwrap_or(0)
    }

    fn cell_of(&self, cut: usize, time_ms: i64) -> Cell {
        let (from_ms, times) = self.cuts[cut];
        let floor_ms = time_ms.div_euclid(times.window) * times.window;
        let next_ms = match time_ms < from_ms {
            true => from_ms,
            false => self.cuts.get(cut + 1).map_or(i64::MAX, |next| next.0),
        };
        let end_ms = (floor_ms + times.window).min(next_ms);
        Cell {
            start_ms: floor_ms,
            end_ms,
            closes_ms: end_ms + times.lateness,
            forgotten_ms: end_ms + times.lateness + times.window,
        }
    }

    /// By how much a time is late: of a cut that has closed as a whole, as by the first that has
    /// not.
    fn late_by_ms(&self, time_ms: i64) -> Option<i64> {
        let watermark_ms = self.watermark_ms?;
        let own = self.own(time_ms);
        let closes_ms = self.cell_of(own.max(self.first), time_ms).closes_ms;
        (own < self.first || closes_ms <= watermark_ms).then(|| (watermark_ms - closes_ms + 1).max(1))
    }

    fn record(&mut self, record: &Transaction) -> bool {
        let time_ms = record.transaction_time_ms;
        if self.ids.iter().any(|(id, _)| *id == record.transaction_id) {
            self.dispositions.push(Disposition::Duplicate);
            return false;
        }
        let cell = self.cell_of(self.own(time_ms), time_ms);
        if self.closed_at_ms < Some(cell.forgotten_ms) {
            self.ids.push((record.transaction_id, cell.forgotten_ms));
        }
        if let Some(late_by_ms) = self.late_by_ms(time_ms) {
            self.dispositions.push(Disposition::Late { late_by_ms });
            return false;
        }
        self.dispositions.push(Disposition::Accepted);
        self.accepted.push(*record);
        self.cells.push(cell);
        if self.highest_ms >= Some(time_ms) {
            return false;
        }
        self.highest_ms = Some(time_ms);
        self.advance(time_ms - self.disorder)
    }

    fn advance(&mut self, to_ms: i64) -> bool {
        let before_ms = self.watermark_ms;
        if before_ms >= Some(to_ms) {
            return false;
        }
        self.watermark_ms = Some(to_ms);
        let closes = before_ms.is_none_or(|before_ms| self.closes_within(before_ms, to_ms));
        if closes {
            self.closed_at_ms = Some(to_ms);
            self.ids.retain(|(_, forgotten_ms)| *forgotten_ms > to_ms);
            self.leave_out(to_ms);
        }
        closes
    }

    fn closes_within(&self, before_ms: i64, to_ms: i64) -> bool {
        (self.first..self.cuts.len()).any(|cut| {
            let (from_ms, times) = self.cuts[cut];
            let next_ms = self.cuts.get(cut + 1).map_or(i64::MAX, |next| next.0);
            let last_ms = (to_ms - times.lateness).min(next_ms);
            let end_ms = last_ms.div_euclid(times.window) * times.window;
            end_ms > from_ms && end_ms + times.lateness > before_ms
        })
    }

    fn leave_out(&mut self, watermark_ms: i64) {
        while let Some(next) = self.cuts.get(self.first + 1)
            && next.0 + self.cuts[self.first].1.lateness <= watermark_ms
        {
            self.first += 1;
        }
    }

    fn configure(&mut self, times: Times) {
        self.disorder = times.disorder;
        let Some(watermark_ms) = self.watermark_ms else {
            self.cuts = vec![(i64::MIN, times)];
            return;
        };
        self.leave_out(watermark_ms);
        let open = self.cells.iter().filter(|cell| cell.closes_ms > watermark_ms);
        let from_ms = open
            .map(|cell| cell.end_ms)
            .max()
            .max(Some(watermark_ms))
            .unwrap();
        while self.cuts.len() > self.first + 1 && self.cuts[self.cuts.len() - 1].0 >= from_ms {
            self.cuts.pop();
        }
        let last = self.cuts[self.cuts.len() - 1];
        if (last.1.window, last.1.lateness) == (times.window, times.lateness) {
            return;
        }
        let is_boundary = |time_ms: &i64| time_ms % last.1.window == 0 && time_ms % times.window == 0;
        let from_ms = (from_ms..).find(is_boundary).unwrap();
        if last.0 >= from_ms {
            self.cuts.pop();
        }
        self.cuts.push((from_ms, times));
    }

    /// Where the first window that is open starts.
    pub(crate) fn complete_ms(&self) -> Option<i64> {
        let mut time_ms = self.watermark_ms? - 300;
        while self.late_by_ms(time_ms).is_some() {
            time_ms = self.cell_of(self.own(time_ms).max(self.first), time_ms).end_ms;
        }
        Some(time_ms)
    }

    /// What was accepted into the windows that `which` takes: totals and users.
    pub(crate) fn contributions(
        &self,
        which: impl Fn(&Cell) -> bool,
    ) -> BTreeMap<Key, (Totals, BTreeSet<ShortId>)> {
        let mut groups: BTreeMap<Key, (Totals, BTreeSet<ShortId>)> = BTreeMap::new();
        for (record, cell) in self
            .accepted
            .iter()
            .zip(&self.cells)
            .filter(|(_, cell)| which(cell))
        {
            let key = (cell.start_ms, cell.end_ms, record.merchant_id, record.currency);
            let (kind, amount) = (record.transaction_type, record.amount);
            groups
                .entry(key)
                .and_modify(|(totals, _)| totals.add(kind, amount))
                .or_insert_with(|| (Totals::of(kind, amount), BTreeSet::new()))
                .1
                .insert(record.user_id);
        }
        groups
    }
}

/// What a source sends for a window, a merchant and a currency: totals and distinct users.
pub(crate) type Group = (Key, Totals, u64);

/// What is sent for windows that overlap is one.
pub(crate) fn united(mut sent: Vec<Group>) -> BTreeMap<Key, (Totals, u64)> {
    sent.sort_by_key(|(key, ..)| *key);
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for ((start_ms, end_ms, ..), ..) in &sent {
        match spans.last_mut() {
            Some(last) if *start_ms < last.1 => last.1 = last.1.max(*end_ms),
            _ => spans.push((*start_ms, *end_ms)),
        }
    }
    let mut groups: BTreeMap<_, (Totals, u64)> = BTreeMap::new();
    for ((start_ms, _, merchant_id, currency), totals, users) in sent {
        let span = spans.iter().rfind(|span| span.0 <= start_ms).unwrap();
        groups
            .entry((span.0, span.1, merchant_id, currency))
            .and_modify(|sum| {
                sum.0.merge(&totals);
                sum.1 += users;
            })
            .or_insert((totals, users));
    }
    groups
}
