//! Changes of policy: both stages against the naive oracle, which reads the same records, advances
//! and changes, with a restore of any operator at any point, into one of another policy and seed.
//!
//! `MILLRACE_SIMULATION_SCHEDULES` sets the number of schedules, `MILLRACE_SIMULATION_SEED` the
//! first one's seed; a failure names its seed.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

#[path = "policy/jobs.rs"]
mod jobs;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use jobs::{Merge, Source, key_of};
use millrace_engine::windowed::{Content, EarlyResults, MergePolicy, records};
use millrace_engine::{HashSeed, Operator};
use millrace_payments::MerchantOutput;
use support::naive::united;
use support::schedules::{each_seed, variable};
use support::{Event, Random, Record, Times, partition_of, stage_2, transaction};

const MERGES: usize = 2;
/// Two are there from the start.
const SOURCES: usize = 4;
const STEPS: usize = 220;

const SCHEDULES: u64 = 10_000;

fn times(random: &mut Random) -> Times {
    Times {
        window: [5, 7, 10, 15, 20, 30, 60][random.below(7)],
        lateness: [0, 0, 3, 25, 40][random.below(5)],
        disorder: [0, 4, 12, 30][random.below(4)],
    }
}

fn early(random: &mut Random) -> Option<EarlyResults> {
    let every_ms = [0, 0, 4, 9][random.below(4)];
    EarlyResults::every_ms(every_ms).ok()
}

struct World {
    random: Random,
    now_ms: i64,
    next_id: u64,
    sources: Vec<Source>,
    merges: Vec<Merge>,
    /// Whether sources are added before stage 2 hears of them.
    is_unheard: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let first = times(&mut random);
        let policy = MergePolicy::new(2, first.lateness).unwrap();
        Self {
            now_ms: 1_000,
            next_id: 0,
            sources: (0..2).map(|source| Source::new(first, source)).collect(),
            merges: (0..MERGES).map(|_| Merge::new(policy)).collect(),
            is_unheard: random.one_in(4),
            random,
        }
    }

    fn send(&mut self, source: usize, outputs: &[MerchantOutput]) {
        for record in records(source as i32, outputs) {
            for (at, merge) in self.merges.iter_mut().enumerate() {
                let key = record.key();
                if key.is_none_or(|key| partition_of(key.merchant_id, MERGES) == at) {
                    merge.queue.push(record.clone());
                }
            }
        }
    }

    fn give(&mut self, source: usize, event: &Event) {
        let outputs = self.sources[source].take(event);
        self.send(source, &outputs);
    }

    fn record(&mut self, source: usize) -> Event {
        let random = &mut self.random;
        self.now_ms += random.below(9) as i64;
        let accepted = &self.sources[source].naive.accepted;
        if random.one_in(8) && !accepted.is_empty() {
            return Event::Record(accepted[accepted.len() - 1 - random.below(accepted.len().min(20))]);
        }
        self.next_id += 1;
        let most_ms = if random.one_in(6) { 150 } else { 20 };
        let back_ms = random.below(most_ms) as i64;
        let user = format!("u-{source}-{}", random.below(4));
        let units = 1 + random.below(90_000) as i64;
        let (merchant, currency) = (random.next() % 4, random.next() % 2);
        Event::Record(transaction(
            self.next_id,
            &user,
            merchant,
            currency,
            units,
            self.now_ms - back_ms,
        ))
    }

    /// Stage 2 hears of one more source, everywhere; then it begins, after all that stage 2 has
    /// sent. Where stage 2 does not hear of it, it begins at what the furthest source has reached.
    fn add_source(&mut self) {
        let sources = self.sources.len() + 1;
        if !self.is_unheard {
            for merge in &mut self.merges {
                let lateness_ms = merge.operator.policy().allowed_lateness_ms();
                let early = merge.operator.policy().early();
                let policy = MergePolicy::new(sources, lateness_ms).unwrap().with_early(early);
                merge.operator.configure(&policy, &mut merge.outputs);
            }
        }
        let reached = self.sources.iter().map(|source| source.naive.watermark_ms);
        let sent = self.merges.iter().map(|merge| merge.operator.closed_until_ms());
        let closed_ms = if self.is_unheard {
            reached.max()
        } else {
            sent.max()
        };
        self.sources.push(Source::new(self.sources[0].times, 7));
        if let Some(closed_ms) = closed_ms.flatten() {
            let begins_ms = self.sources[0].times.policy().begins_at_ms(closed_ms);
            self.give(sources - 1, &Event::Advance(begins_ms));
        }
    }

    fn step(&mut self) {
        let source = self.random.below(self.sources.len());
        let merge = self.random.below(MERGES);
        match self.random.below(40) {
            0..26 => {
                let event = self.record(source);
                self.give(source, &event);
            }
            26..28 => {
                let to_ms = self.now_ms - 20 + self.random.below(60) as i64;
                self.give(source, &Event::Advance(to_ms));
            }
            28..30 => {
                let (times, early) = (times(&mut self.random), early(&mut self.random));
                let outputs = self.sources[source].configure(times, early);
                assert!(outputs.is_empty(), "a change closes nothing");
            }
            30 => {
                let operator = &self.merges[merge].operator;
                let sources = operator.policy().source_partitions();
                let lateness_ms = times(&mut self.random).lateness;
                let policy = MergePolicy::new(sources, lateness_ms).unwrap();
                let policy = policy.with_early(early(&mut self.random));
                let merge = &mut self.merges[merge];
                merge.operator.configure(&policy, &mut merge.outputs);
            }
            31 => self.sources[source].restore(&mut self.random),
            32 => self.merges[merge].restore(&mut self.random),
            33 if self.sources.len() < SOURCES && self.random.one_in(3) => self.add_source(),
            _ => {
                let most = self.random.below(12);
                self.merges[merge].deliver(most);
            }
        }
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            self.step();
        }
        for source in 0..self.sources.len() {
            self.give(source, &Event::Advance(self.now_ms + 5_000));
        }
        self.merges.iter_mut().for_each(|merge| merge.deliver(usize::MAX));
    }

    /// Every accepted record is in one final result, or in a contribution of a source that nobody
    /// waited for.
    fn verify(&self) -> usize {
        let mut late = 0;
        for (at, merge) in self.merges.iter().enumerate() {
            assert!(self.is_unheard || merge.late.is_empty(), "{:?}", merge.late);
            assert_eq!(merge.operator.open_windows(), 0);
            let refused: Vec<_> = merge
                .late
                .iter()
                .flat_map(|record| {
                    let of = record.source_partition;
                    record
                        .content
                        .contributions()
                        .iter()
                        .map(move |group| (of, key_of(group)))
                })
                .collect();
            late += refused.len();
            let mut sent = Vec::new();
            for (source, of) in self.sources.iter().enumerate() {
                for (key, (totals, users)) in of.naive.contributions(|_| true) {
                    let is_here = partition_of(key.2, MERGES) == at;
                    if is_here && !refused.contains(&(source as i32, key)) {
                        sent.push((key, totals, users.len() as u64));
                    }
                }
            }
            assert_eq!(merge.finals(), united(sent));
        }
        late
    }
}

#[test]
fn whatever_changes_every_record_is_in_one_result() {
    let late = AtomicUsize::new(0);
    each_seed(variable("MILLRACE_SIMULATION_SCHEDULES", SCHEDULES), |seed| {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut world = World::new(seed);
            world.run();
            world.verify()
        }));
        let found = outcome.unwrap_or_else(|panic| {
            eprintln!("failed: MILLRACE_SIMULATION_SEED={seed}");
            resume_unwind(panic)
        });
        late.fetch_add(found, Ordering::Relaxed);
    });
    eprintln!("{late:?} contributions of sources that nobody waited for came late");
}

/// A source of stage 2 that is left out may not have spoken.
#[test]
fn a_smaller_number_of_sources_is_refused_once_they_have_spoken() {
    let policy = |sources| MergePolicy::new(sources, 0).unwrap();
    let mut merge = stage_2(policy(3), HashSeed::FIXED);
    let marker = |source_partition, at_ms| Record {
        source_partition,
        watermark_ms: at_ms,
        complete_ms: Some(at_ms),
        content: Content::Watermark,
    };
    let mut outputs = Vec::new();
    merge.process(&marker(0, 100), &mut outputs);
    merge.process(&marker(1, 90), &mut outputs);
    assert_eq!(merge.watermark_ms(), None);
    let refusal = merge.check_policy(&policy(1)).unwrap_err().to_string();
    assert!(
        refusal.starts_with("source_partitions cannot be changed from 3 to 1 in place"),
        "{refusal}"
    );
    merge.configure(&policy(1), &mut outputs);
    assert_eq!(merge.policy(), &policy(3));
    merge.configure(&policy(2), &mut outputs);
    assert_eq!(merge.watermark_ms(), Some(90), "the third had never spoken");
    // One that is added is waited for, and the watermark stays.
    merge.configure(&policy(3), &mut outputs);
    merge.process(&marker(0, 200), &mut outputs);
    merge.process(&marker(1, 200), &mut outputs);
    assert_eq!(merge.watermark_ms(), Some(90));
    merge.process(&marker(2, 70), &mut outputs);
    assert_eq!(merge.watermark_ms(), Some(90));
    merge.process(&marker(2, 150), &mut outputs);
    assert_eq!(merge.watermark_ms(), Some(150));
}
