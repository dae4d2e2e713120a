//! The detector on simulated logs: transactions that commit alerts and offsets together, snapshots
//! that get torn or lost, workers that crash and rebalance at any step. Whatever the schedule, the
//! committed alerts must be those of a run in which nothing ever went wrong: none missing, none
//! twice.
//!
//! The variables are those of the engine's simulation.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

#[path = "../../payments/tests/simulated/partition.rs"]
mod partition;
#[path = "../../payments/tests/support/mod.rs"]
mod support;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use millrace_domain::{Amount, PaymentMethod, Transaction};
use millrace_engine::HashSeed;
use millrace_fraud::{DetectOperator, DetectPolicy, DetectSettings};
use partition::Partition;
use support::schedules::{each_seed, variable};
use support::{Random, short_id, transaction};

const SOURCES: usize = 3;
const STEPS: usize = 120;
const DEFAULT_SCHEDULES: u64 = 10_000;

/// A new operator with one of a few seeds. It is a copy, as the distances between all cities take
/// long to work out.
fn fresh(seed: u64) -> DetectOperator {
    static FRESH: LazyLock<[DetectOperator; 4]> = LazyLock::new(|| [0, 1, 2, 3].map(made));
    FRESH[seed as usize % FRESH.len()].clone()
}

fn made(seed: u64) -> DetectOperator {
    DetectOperator::new(&small(), HashSeed::new(seed)).unwrap()
}

/// Other settings, each of a kind that makes the state keep more, less or nothing.
fn changed(random: &mut Random) -> DetectPolicy {
    let mut settings = small();
    settings.max_disorder_ms = [2_000, 0, 20_000][random.below(3)];
    settings.dedup_horizon_ms = [60_000, 4_001, 300_000][random.below(3)];
    settings.profile_retention_ms = [86_400_000, 400_000_000][random.below(2)];
    settings.rules.habit.min_transactions = [3, 1, 6][random.below(3)];
    let rules = &mut settings.rules;
    rules.velocity = rules.velocity.filter(|_| !random.one_in(4));
    if let Some(velocity) = &mut rules.velocity {
        velocity.max_count = [4, 1, 9][random.below(3)];
        velocity.span_ms = [60_000, 5_000, 3_600_000][random.below(3)];
    }
    rules.amount_outlier = rules.amount_outlier.filter(|_| !random.one_in(4));
    rules.impossible_travel = rules.impossible_travel.filter(|_| !random.one_in(4));
    if let Some(travel) = &mut rules.impossible_travel {
        travel.max_speed_km_per_h = [1_000.0, 300.0, 3_000.0][random.below(3)];
    }
    rules.replay = !random.one_in(4);
    DetectPolicy::new(settings).unwrap()
}

/// Small limits, so that short streams pass them.
fn small() -> DetectSettings {
    let mut settings = DetectSettings {
        max_disorder_ms: 2_000,
        dedup_horizon_ms: 60_000,
        profile_retention_ms: 86_400_000,
        ..DetectSettings::default()
    };
    settings.rules.habit.min_transactions = 3;
    if let Some(velocity) = &mut settings.rules.velocity {
        velocity.max_count = 4;
    }
    settings
}

struct World {
    random: Random,
    now_ms: i64,
    next_id: u64,
    sources: Vec<Partition<DetectOperator>>,
    workers: usize,
    owners: [usize; SOURCES],
}

impl World {
    fn new(seed: u64, workers: usize) -> Self {
        Self {
            random: Random(seed),
            now_ms: 1_760_000_000_000,
            next_id: 0,
            sources: (0..SOURCES as i32)
                // When the memory of what is forgotten is given back does not show but in the
                // bytes.
                .map(|number| Partition::new("detect", number, fresh).of_equivalent_states())
                .collect(),
            workers,
            owners: std::array::from_fn(|source| source % workers),
        }
    }

    /// Appends to a source's log: new ones, some late, some sent twice, some changed, some
    /// undecodable.
    fn produce(&mut self, source: usize, count: usize) {
        for _ in 0..count {
            let random = &mut self.random;
            // Now and then longer than an id is remembered, and than a user is.
            let most_ms = [2_500, 90_000, 200_000_000][match random.below(200) {
                0 => 2,
                1..6 => 1,
                _ => 0,
            }];
            self.now_ms += random.below(most_ms) as i64;
            let sent: &[Option<Transaction>] = &self.sources[source].log;
            let earlier = sent
                .len()
                .checked_sub(1 + random.below(20))
                .and_then(|at| sent[at]);
            let record = match (random.below(20), earlier) {
                (0, _) => None,
                (1, Some(earlier)) => Some(earlier),
                (2, Some(earlier)) => Some(Transaction {
                    amount: Amount::from_units(earlier.amount.units() + 1).unwrap(),
                    ..earlier
                }),
                _ => {
                    self.next_id += 1;
                    let most_ms = if random.one_in(9) { 90_000 } else { 1_500 };
                    let back_ms = random.below(most_ms) as i64;
                    let user = format!("u-{source}-{}", random.below(3));
                    let units = (100_000 + random.below(90_000) as i64) * [1, 1, 1, 50][random.below(4)];
                    let currency = random.next() % 2;
                    let mut new = transaction(self.next_id, &user, 1, currency, units, self.now_ms - back_ms);
                    new.location = short_id(["Berlin", "Sydney", "Atlantis"][random.below(3)]);
                    new.payment_method = PaymentMethod::ALL[random.below(3)];
                    Some(new)
                }
            };
            self.sources[source].log.push(record);
        }
    }

    fn owned(&self, worker: usize) -> Vec<usize> {
        (0..SOURCES)
            .filter(|&source| self.owners[source] == worker)
            .collect()
    }

    fn step(&mut self) {
        let (source, worker) = (self.random.below(SOURCES), self.random.below(self.workers));
        let (count, seed) = (1 + self.random.below(6), self.random.next());
        match self.random.below(18) {
            16 => {
                let policy = changed(&mut self.random);
                self.sources[source].configure(policy, seed);
            }
            0..5 => self.produce(source, count),
            5..9 => self.sources[source].process(count, seed),
            9..11 => self.commit(worker),
            11 => self.crash(worker),
            12 => {
                if count % 2 == 0 {
                    self.commit(self.owners[source]);
                }
                self.sources[source].crash();
                self.owners[source] = worker;
            }
            13..15 => self.sources[source].take_snapshot(),
            15 => self.sources[source].damage_snapshots(&mut self.random),
            _ => {
                let watermark_ms = self.now_ms - 5_000 + self.random.below(60_000) as i64;
                self.sources[source].advance(watermark_ms, seed);
            }
        }
    }

    fn commit(&mut self, worker: usize) {
        for source in self.owned(worker) {
            self.sources[source].commit();
        }
    }

    fn crash(&mut self, worker: usize) {
        for source in self.owned(worker) {
            self.sources[source].crash();
        }
    }

    fn crash_all(&mut self) {
        self.sources.iter_mut().for_each(Partition::crash);
    }

    /// Processes and commits all there is.
    fn drain(&mut self) {
        self.crash_all();
        for source in &mut self.sources {
            source.process(usize::MAX, 0);
            source.commit();
        }
    }

    /// Alerts as undisturbed, and no id twice; how many there are.
    fn verify(&self) -> usize {
        let mut ids = HashSet::new();
        for source in &self.sources {
            source.verify();
            let alerts = &source.committed.outputs;
            assert!(alerts.iter().all(|alert| ids.insert(alert.id)), "an alert twice");
        }
        ids.len()
    }
}

/// Runs one schedule, and names it if it fails; the number of alerts.
fn run(seed: u64, crash_at: Option<usize>) -> usize {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed, 2 + (seed % 4) as usize);
        for step in 0..STEPS {
            if crash_at == Some(step) {
                world.crash_all();
            }
            world.step();
        }
        world.drain();
        world.verify()
    }));
    outcome.unwrap_or_else(|panic| {
        eprintln!("failed: MILLRACE_SIMULATION_SEED={seed}, crash at step {crash_at:?}");
        resume_unwind(panic)
    })
}

#[test]
fn random_schedules_commit_the_alerts_of_an_undisturbed_run() {
    let schedules = variable("MILLRACE_SIMULATION_SCHEDULES", DEFAULT_SCHEDULES);
    let alerts = AtomicUsize::new(0);
    each_seed(schedules, |seed| {
        alerts.fetch_add(run(seed, None), Ordering::Relaxed);
    });
    assert!(alerts.load(Ordering::Relaxed) as u64 > schedules);
    eprintln!("{alerts:?} alerts");
}

#[test]
fn a_crash_of_all_workers_at_any_step_changes_nothing() {
    for seed in 1..=5 {
        for step in 0..STEPS {
            run(seed, Some(step));
        }
    }
}

#[test]
fn golden_streams_raise_the_same_alerts_whole_and_restarted_at_every_commit_by_two_to_five_workers() {
    for seed in 1..=40 {
        let with_logs = |workers| {
            let mut world = World::new(seed, workers);
            for _ in 0..20 {
                (0..SOURCES).for_each(|source| world.produce(source, 6));
            }
            world
        };
        let mut whole = with_logs(1);
        whole.drain();
        assert!(whole.verify() > 0);
        for workers in 2..=5 {
            let mut restarted = with_logs(workers);
            while !restarted.sources.iter().all(Partition::is_at_end) {
                for source in &mut restarted.sources {
                    source.process(1 + restarted.random.below(7), restarted.random.next());
                }
                (0..workers).for_each(|worker| restarted.commit(worker));
                // The second call writes what the first one took.
                for _ in 0..1 + restarted.random.below(2) {
                    restarted.sources.iter_mut().for_each(Partition::take_snapshot);
                }
                restarted.crash_all();
                restarted
                    .owners
                    .iter_mut()
                    .for_each(|owner| *owner = (*owner + 1) % workers);
            }
            restarted.verify();
            for (source, undisturbed) in restarted.sources.iter().zip(&whole.sources) {
                assert_eq!(source.committed.outputs, undisturbed.committed.outputs);
                assert_eq!(source.committed.dispositions, undisturbed.committed.dispositions);
            }
        }
    }
}
