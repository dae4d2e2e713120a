//! The two stages, each with what should become of its records.

use std::collections::BTreeMap;

use millrace_domain::Totals;
use millrace_engine::windowed::{EarlyResults, MergePolicy, PartialOutput, PartialPolicy};
use millrace_engine::{Disposition, HashSeed, Operator};
use millrace_payments::{MerchantOutput, MergeAggregate, PartialAggregate};

use crate::support::naive::{Key, Naive};
use crate::support::{Contribution, Event, MerchantResult, Random, Record, Times, feed, stage_1, stage_2};
use crate::times;

/// A source with what should become of it.
pub(crate) struct Source {
    pub(crate) operator: PartialAggregate,
    pub(crate) naive: Naive,
    pub(crate) times: Times,
}

impl Source {
    pub(crate) fn new(times: Times, seed: u64) -> Self {
        Self {
            operator: stage_1(times.policy(), HashSeed::new(seed)),
            naive: Naive::new(times),
            times,
        }
    }

    /// Gives both an event, and compares.
    pub(crate) fn take(&mut self, event: &Event) -> Vec<MerchantOutput> {
        let before_ms = self.naive.watermark_ms;
        let mut outputs = Vec::new();
        let disposition = feed(&mut self.operator, event, &mut outputs);
        let closes = self.naive.take(event);
        if matches!(event, Event::Record(_)) {
            assert_eq!(disposition, self.naive.dispositions.last().copied());
        }
        let watermark_ms = self.naive.watermark_ms;
        assert_eq!(self.operator.watermark_ms(), watermark_ms);
        let is_open = |closes_ms: &i64| Some(*closes_ms) > watermark_ms;
        let open_until_ms = self
            .naive
            .cells
            .iter()
            .map(|cell| cell.closes_ms)
            .filter(is_open)
            .max();
        assert_eq!(self.operator.open_until_ms(), open_until_ms);
        self.check_sent(before_ms, closes, &outputs);
        outputs
    }

    /// What closed came out, in order, and then how far all is complete.
    pub(crate) fn check_sent(&mut self, before_ms: Option<i64>, closes: bool, outputs: &[MerchantOutput]) {
        if !closes && outputs.is_empty() {
            return;
        }
        let watermark_ms = self.naive.watermark_ms;
        let expected = self.naive.contributions(|cell| {
            Some(cell.closes_ms) <= watermark_ms
                && before_ms.is_none_or(|before_ms| before_ms < cell.closes_ms)
        });
        let found = outputs.iter().filter_map(|output| match output {
            PartialOutput::Contribution { contribution, .. } => Some(*contribution),
            PartialOutput::Early { .. } | PartialOutput::Watermark { .. } => None,
        });
        let found: Vec<_> = found
            .map(|group| (key_of(&group), (group.totals.sums, group.totals.distinct_users)))
            .collect();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(key, (totals, users))| (key, (totals, users.len() as u64)))
            .collect();
        assert_eq!(found, expected);
        let marker = outputs.last().map(|output| match output {
            PartialOutput::Watermark {
                watermark_ms,
                complete_ms,
            } => (Some(*watermark_ms), Some(*complete_ms)),
            other => panic!("{other:?} is last"),
        });
        assert!(marker.is_some() || !closes);
        if let Some(marker) = marker {
            assert_eq!(marker, (watermark_ms, self.naive.complete_ms()));
        }
    }

    /// Another operator takes its place, with the same state.
    pub(crate) fn restore(&mut self, random: &mut Random) {
        let mut other = stage_1(times(random).policy(), HashSeed::new(random.next()));
        let (mut state, mut again) = (Vec::new(), Vec::new());
        self.operator.snapshot(&mut state);
        other.restore(&state).unwrap();
        other.snapshot(&mut again);
        assert!(state == again, "a restored source has another state");
        assert_eq!(other.policy(), self.operator.policy());
        self.operator = other;
    }

    pub(crate) fn configure(&mut self, times: Times, early: Option<EarlyResults>) -> Vec<MerchantOutput> {
        let present: PartialPolicy = *self.operator.policy();
        self.operator
            .configure(&present.with_early(early), &mut Vec::new());
        self.times = times;
        self.take(&Event::Configure(times))
    }
}

pub(crate) fn key_of(group: &Contribution) -> Key {
    (
        group.window_start_ms,
        group.window_end_ms,
        group.key.merchant_id,
        group.key.currency,
    )
}

/// A partition of stage 2, with what waits for it.
pub(crate) struct Merge {
    pub(crate) operator: MergeAggregate,
    pub(crate) queue: Vec<Record>,
    pub(crate) head: usize,
    pub(crate) outputs: Vec<MerchantResult>,
    pub(crate) late: Vec<Record>,
}

impl Merge {
    pub(crate) fn new(policy: MergePolicy) -> Self {
        Self {
            operator: stage_2(policy, HashSeed::FIXED),
            queue: Vec::new(),
            head: 0,
            outputs: Vec::new(),
            late: Vec::new(),
        }
    }

    pub(crate) fn deliver(&mut self, most: usize) {
        for record in self.queue.iter().skip(self.head).take(most) {
            self.head += 1;
            match self.operator.process(record, &mut self.outputs) {
                Disposition::Accepted => {}
                Disposition::Late { late_by_ms } => {
                    assert!(late_by_ms > 0);
                    self.late.push(record.clone());
                }
                Disposition::Duplicate => panic!("{record:?} is no duplicate"),
            }
        }
    }

    pub(crate) fn restore(&mut self, random: &mut Random) {
        let policy = MergePolicy::new(1 + random.below(5), 9).unwrap();
        let mut other = stage_2(policy, HashSeed::new(random.next()));
        let (mut state, mut again) = (Vec::new(), Vec::new());
        self.operator.snapshot(&mut state);
        other.restore(&state).unwrap();
        other.snapshot(&mut again);
        assert!(state == again, "a restored merge has another state");
        self.operator = other;
    }

    /// The final results: each once, of windows that do not overlap. Results of one window rise up
    /// to them.
    pub(crate) fn finals(&self) -> BTreeMap<Key, (Totals, u64)> {
        let (mut newest, mut finals) = (BTreeMap::new(), BTreeMap::new());
        let mut spans: Vec<(i64, i64)> = Vec::new();
        for out in &self.outputs {
            let key = (
                out.window_start_ms,
                out.window_end_ms,
                out.key.merchant_id,
                out.key.currency,
            );
            let before = newest.insert(key, out.revision);
            assert!(before < Some(out.revision), "{before:?}, then {out:?}");
            if out.is_final() {
                spans.push((key.0, key.1));
                finals.insert(key, (out.totals.sums, out.totals.distinct_users));
            }
        }
        spans.sort_unstable();
        spans.dedup();
        assert!(spans.is_sorted_by(|one, next| one.1 <= next.0), "{spans:?}");
        finals
    }
}
