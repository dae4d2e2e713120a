//! Which windows can be compared, and how they stand.
//!
//! There are two links, each exact to the cent. What the ledgers have as acknowledged must be in
//! the transactions' topic, record by record; and of the topic, each transaction must be in the
//! aggregates or on the late topic, once. So it does not matter how often a transaction was sent,
//! by which run, or whether a run's ledger has its end.

use std::collections::{BTreeMap, BTreeSet};

use millrace_domain::Currency;

use crate::figures::{Counted, Expected, Observed};
use crate::report::Counts;
use crate::totals::{Totals, Windows, add_to, in_windows_of};

type Key = (i64, Currency);

/// Every window that anybody knows of.
pub(super) struct Balance {
    /// Each transaction once.
    pub(super) once: Windows,
    /// What may be in the results beside it.
    pub(super) reused: Windows,
    /// What is in the aggregates or came late.
    pub(super) found: Windows,
    /// Starts of windows that are not closed yet.
    pub(super) open: BTreeSet<i64>,
    /// Starts of windows that cannot be compared, as retention has removed some of what they were.
    pub(super) left_out: BTreeSet<i64>,
    /// Windows of the ledgers that are compared with the transactions' topic.
    pub(super) acknowledged: usize,
    /// Those of which the topic has less: what was acknowledged, and what is there.
    pub(super) deficits: Vec<(Key, Totals, Totals)>,
}

/// What the ledgers have of the topic's records.
struct Link {
    least: [Windows; 2],
    found: [Windows; 2],
}

impl Link {
    fn of(expected: &Expected, counted: &Counted, window_ms: i64) -> Self {
        let least = |windows| in_windows_of(windows, window_ms);
        Self {
            least: [least(&expected.vouched), least(&expected.others)],
            found: [counted.vouched.clone(), counted.others.clone()],
        }
    }

    fn deficits(&self) -> impl Iterator<Item = (Key, Totals, Totals)> {
        self.least.iter().zip(&self.found).flat_map(|(least, found)| {
            least.iter().filter_map(move |(&key, &least)| {
                let found = at(found, &key);
                least
                    .exceeds(&found, &Totals::default())
                    .then_some((key, least, found))
            })
        })
    }

    /// Starts of the windows of which the topic has just what the ledgers have: nothing of them was
    /// removed.
    fn whole(&self) -> BTreeSet<i64> {
        let mut whole: BTreeSet<i64> = self.least.iter().flatten().map(|(key, _)| key.0).collect();
        for (least, found) in self.least.iter().zip(&self.found) {
            for key in least.keys().chain(found.keys()) {
                if least.get(key) != found.get(key) {
                    whole.remove(&key.0);
                }
            }
        }
        whole
    }
}

fn at(windows: &Windows, key: &Key) -> Totals {
    windows.get(key).copied().unwrap_or_default()
}

fn count(totals: &Totals) -> u64 {
    totals.purchase_count + totals.refund_count
}

impl Balance {
    pub(super) fn of(expected: &Expected, observed: &Observed) -> Self {
        let window_ms = observed.window_ms;
        let mut found = observed.aggregates.clone();
        let mut balance = Self {
            once: Windows::new(),
            reused: Windows::new(),
            found: Windows::new(),
            open: BTreeSet::new(),
            left_out: BTreeSet::new(),
            acknowledged: 0,
            deficits: Vec::new(),
        };
        let retention = &observed.retention;
        let mut whole = BTreeSet::new();
        match &observed.source {
            None => balance.once = in_windows_of(&expected.once, window_ms),
            Some(source) => {
                let counted = &source.counted;
                for (&(start_ms, currency), totals) in &counted.late {
                    add_to(&mut found, start_ms, currency, totals);
                }
                balance.once.clone_from(&counted.once);
                balance.reused.clone_from(&counted.reused);
                let link = Link::of(expected, counted, window_ms);
                let is_removed =
                    |start_ms: i64| retention.source_until_ms.is_some_and(|until| start_ms <= until);
                let (removed, deficits) = link
                    .deficits()
                    .partition(|((start_ms, _), _, _)| is_removed(*start_ms));
                let removed: Vec<_> = removed;
                balance
                    .left_out
                    .extend(removed.iter().map(|((start_ms, _), _, _)| *start_ms));
                balance.acknowledged = link.least.iter().map(Windows::len).sum::<usize>() - removed.len();
                balance.deficits = deficits;
                whole = link.whole();
            }
        }
        balance.found = found;
        balance.sort(observed, &whole);
        balance
    }

    /// Finds the windows that are open and those that cannot be compared.
    fn sort(&mut self, observed: &Observed, whole: &BTreeSet<i64>) {
        let retention = &observed.retention;
        let is_before = |start_ms: i64, until: Option<i64>| until.is_some_and(|until| start_ms <= until);
        let closed_until_ms = observed.closed_until_ms;
        let mut late_missing = Vec::new();
        for (start_ms, keys) in self.by_start() {
            let end_ms = start_ms.saturating_add(observed.window_ms);
            let is_closed = closed_until_ms.is_some_and(|until| end_ms <= until);
            let Some((missing, exceeds)) = self.difference(&keys) else {
                // Even the last one, which ends later than any of the windows in it where sizes
                // have changed.
                continue;
            };
            if !is_closed && !is_before(start_ms, retention.aggregates_until_ms) {
                self.open.insert(start_ms);
                continue;
            }
            if is_before(start_ms, retention.source_until_ms) && !whole.contains(&start_ms)
                || is_before(start_ms, retention.aggregates_until_ms) && !exceeds
            {
                self.left_out.insert(start_ms);
            } else if is_before(start_ms, retention.late_until_ms) && !exceeds {
                late_missing.push((start_ms, missing));
            }
        }
        // No more can have been late than late records were removed.
        if late_missing.iter().map(|(_, missing)| missing).sum::<u64>() <= retention.late_removed {
            self.left_out
                .extend(late_missing.iter().map(|(start_ms, _)| start_ms));
        }
    }

    fn by_start(&self) -> BTreeMap<i64, Vec<Key>> {
        let mut by_start = BTreeMap::<_, Vec<Key>>::new();
        for key in self.keys() {
            by_start.entry(key.0).or_default().push(*key);
        }
        by_start
    }

    /// How many transactions a window lacks, and whether it has any too many; `None` where it is
    /// right.
    fn difference(&self, keys: &[Key]) -> Option<(u64, bool)> {
        let mut difference = None;
        for key in keys {
            let (least, reused, found) = self.at(key);
            if !found.is_within(&least, &reused) {
                let (missing, exceeds) = difference.unwrap_or((0, false));
                difference = Some((
                    missing + count(&least).saturating_sub(count(&found)),
                    exceeds || found.exceeds(&least, &reused),
                ));
            }
        }
        difference
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        let keys: BTreeSet<&Key> = self.once.keys().chain(self.found.keys()).collect();
        keys.into_iter()
    }

    /// What a window must have, what it may have beside, and what it has.
    pub(super) fn at(&self, key: &Key) -> (Totals, Totals, Totals) {
        (at(&self.once, key), at(&self.reused, key), at(&self.found, key))
    }

    /// The windows that are compared.
    pub(super) fn compared(&self) -> impl Iterator<Item = &Key> {
        self.keys()
            .filter(|key| !self.open.contains(&key.0) && !self.left_out.contains(&key.0))
    }

    /// What is missing and too much; open windows count as missing.
    pub(super) fn counts(&self, observed: &Observed) -> Counts {
        let refused = observed.source.as_ref();
        let refused = refused.map_or(0, |source| source.counted.wrongly_refused_lost);
        let mut counts = Counts {
            doubled: observed.doubled_aggregates + observed.doubled_anomalies + observed.late_twice,
            lost: self
                .deficits
                .iter()
                .map(|(_, least, found)| count(least).saturating_sub(count(found)))
                .sum::<u64>()
                + refused,
            ..Counts::default()
        };
        for key in self.keys().filter(|key| !self.left_out.contains(&key.0)) {
            let (least, reused, found) = self.at(key);
            let (least, most, found) = (count(&least), count(&least) + count(&reused), count(&found));
            counts.acknowledged += least;
            counts.lost += least.saturating_sub(found);
            counts.doubled += found.saturating_sub(most);
        }
        counts
    }
}
