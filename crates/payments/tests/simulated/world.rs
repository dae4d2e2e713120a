//! The two jobs over simulated logs, and the random schedule that disturbs them.

mod restarts;
mod verify;

use millrace_domain::Transaction;
use millrace_engine::HashSeed;
use millrace_engine::windowed::{EarlyResults, MergePolicy, PartialPolicy, records};
use millrace_payments::{MergeAggregate, PartialAggregate};

use super::partition::Partition;
use crate::support::{Random, Times, partition_of, stage_1, stage_2, transaction};

const SOURCES: usize = 4;
const MERGES: usize = 2;
const STEPS: usize = 120;
const TIMES: Times = Times {
    window: 40,
    lateness: 7,
    disorder: 15,
};

/// When results come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emit {
    OnClose,
    /// Four times in a window, and at its end.
    Early,
}

const EARLY_EVERY_MS: i64 = 9;

fn fresh_partial(seed: u64) -> PartialAggregate {
    let policy = PartialPolicy::new(TIMES.window, TIMES.lateness, TIMES.disorder).unwrap();
    stage_1(policy, HashSeed::new(seed))
}

fn fresh_partial_with_early(seed: u64) -> PartialAggregate {
    let policy = PartialPolicy::new(TIMES.window, TIMES.lateness, TIMES.disorder).unwrap();
    let early = EarlyResults::every_ms(EARLY_EVERY_MS).unwrap();
    stage_1(policy.with_early(Some(early)), HashSeed::new(seed))
}

fn fresh_merge(seed: u64) -> MergeAggregate {
    stage_2(merge_policy(), HashSeed::new(seed))
}

fn fresh_merge_with_early(seed: u64) -> MergeAggregate {
    let early = EarlyResults::every_ms(EARLY_EVERY_MS).unwrap();
    stage_2(merge_policy().with_early(Some(early)), HashSeed::new(seed))
}

fn merge_policy() -> MergePolicy {
    MergePolicy::new(SOURCES, TIMES.lateness).unwrap()
}

pub(crate) struct World {
    random: Random,
    now_ms: i64,
    next_id: u64,
    sources: Vec<Partition<PartialAggregate>>,
    merges: Vec<Partition<MergeAggregate>>,
    workers: usize,
    /// Which worker holds each source partition.
    owners: [usize; SOURCES],
    steps: usize,
}

impl World {
    pub(crate) fn new(seed: u64, emit: Emit) -> Self {
        let workers = 2 + (seed % 4) as usize;
        let partition = |number| number as i32;
        let (fresh_partial, fresh_merge) = match emit {
            Emit::OnClose => (fresh_partial as fn(u64) -> _, fresh_merge as fn(u64) -> _),
            Emit::Early => (fresh_partial_with_early as _, fresh_merge_with_early as _),
        };
        Self {
            random: Random(seed),
            now_ms: 1_000,
            next_id: 0,
            sources: (0..SOURCES)
                .map(|number| Partition::new("aggregate-partial", partition(number), fresh_partial))
                .collect(),
            merges: (0..MERGES)
                .map(|number| Partition::new("aggregate-merge", partition(number), fresh_merge))
                .collect(),
            workers,
            owners: std::array::from_fn(|source| source % workers),
            steps: 0,
        }
    }

    /// Steps taken so far.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// Runs the schedule, with all workers gone before one step, and lets everything come to its
    /// end.
    pub(crate) fn run(&mut self, crash_at: Option<usize>) {
        for step in 0..STEPS {
            if crash_at == Some(step) {
                self.crash_all();
            }
            self.steps += 1;
            self.step();
        }
        self.drain();
    }

    fn step(&mut self) {
        let source = self.random.below(SOURCES);
        let merge = self.random.below(MERGES);
        let worker = self.random.below(self.workers);
        let (count, seed) = (1 + self.random.below(6), self.random.next());
        match self.random.below(22) {
            20 => self.configure_source(source, seed),
            21 => self.configure_merge(merge, seed),
            0..5 => self.produce(source, count),
            5..9 => self.sources[source].process(count, seed),
            9 => self.advance_if_idle(source, seed),
            10..12 => self.commit(worker),
            12 => self.crash(worker),
            13 => self.rebalance(source, worker, seed % 2 == 0),
            14 => self.sources[source].take_snapshot(),
            15 => self.merges[merge].take_snapshot(),
            16 => self.sources[source].damage_snapshots(&mut self.random),
            17 => _ = self.merges[merge].commit(),
            18 if count == 1 => self.merges[merge].crash(),
            18 if count == 2 => self.merges[merge].damage_snapshots(&mut self.random),
            _ => self.merges[merge].process(count, seed),
        }
    }

    /// Appends to a source's log: some transactions are out of order, some late, some sent twice,
    /// some undecodable.
    fn produce(&mut self, source: usize, count: usize) {
        for _ in 0..count {
            let random = &mut self.random;
            self.now_ms += random.below(9) as i64;
            let sent: &[Option<Transaction>] = &self.sources[source].log;
            let record = if random.one_in(8) && !sent.is_empty() {
                sent[sent.len() - 1 - random.below(sent.len().min(20))]
            } else if random.one_in(20) {
                None
            } else {
                self.next_id += 1;
                let most_ms = if random.one_in(6) { 150 } else { 20 };
                let back_ms = random.below(most_ms) as i64;
                let user = format!("u-{source}-{}", random.below(4));
                let units = 1 + random.below(90_000) as i64;
                Some(transaction(
                    self.next_id,
                    &user,
                    random.next() % 4,
                    random.next() % 2,
                    units,
                    self.now_ms - back_ms,
                ))
            };
            self.sources[source].log.push(record);
        }
    }

    /// As the worker does it: at the log's end, up to what is known of the others or the end of
    /// what is open.
    fn advance_if_idle(&mut self, source: usize, seed: u64) {
        let of_others = self.sources.iter().filter_map(Partition::watermark_ms).max();
        let of_own = self.sources[source].open_until_ms();
        if self.sources[source].is_at_end()
            && let Some(watermark_ms) = of_others.max(of_own)
        {
            self.sources[source].advance(watermark_ms, seed);
        }
    }

    /// Other windows, lateness or disorder from here on.
    fn configure_source(&mut self, source: usize, seed: u64) {
        let times = Times {
            window: [40, 40, 20, 8, 60][self.random.below(5)],
            lateness: [7, 0, 30][self.random.below(3)],
            disorder: [15, 0, 40][self.random.below(3)],
        };
        let early = self.sources[source]
            .policy(seed)
            .and_then(|policy| policy.early());
        self.sources[source].configure(times.policy().with_early(early), seed);
    }

    fn configure_merge(&mut self, merge: usize, seed: u64) {
        let lateness_ms = self.random.below(30) as i64;
        let early = self.merges[merge].policy(seed).and_then(|policy| policy.early());
        let policy = MergePolicy::new(SOURCES, lateness_ms).unwrap();
        self.merges[merge].configure(policy.with_early(early), seed);
    }

    /// One transaction of a worker, over all of its partitions.
    fn commit(&mut self, worker: usize) {
        for source in (0..SOURCES).filter(|&source| self.owners[source] == worker) {
            for record in records(source as i32, &self.sources[source].commit()) {
                for (at, merge) in self.merges.iter_mut().enumerate() {
                    if record
                        .key()
                        .is_none_or(|key| partition_of(key.merchant_id, MERGES) == at)
                    {
                        merge.log.push(Some(record.clone()));
                    }
                }
            }
        }
    }

    fn crash(&mut self, worker: usize) {
        for source in (0..SOURCES).filter(|&source| self.owners[source] == worker) {
            self.sources[source].crash();
        }
    }

    fn crash_all(&mut self) {
        self.sources.iter_mut().for_each(Partition::crash);
        self.merges.iter_mut().for_each(Partition::crash);
    }

    /// A partition goes to another worker, after a commit or without one.
    fn rebalance(&mut self, source: usize, to: usize, is_clean: bool) {
        if is_clean {
            self.commit(self.owners[source]);
        }
        self.sources[source].crash();
        self.owners[source] = to;
    }

    /// Processes and commits all there is, and closes every window.
    fn drain(&mut self) {
        self.crash_all();
        for source in 0..SOURCES {
            let seed = self.random.next();
            self.sources[source].process(usize::MAX, seed);
            self.sources[source].advance(self.now_ms + 1_000, seed);
        }
        (0..self.workers).for_each(|worker| self.commit(worker));
        for merge in &mut self.merges {
            merge.process(usize::MAX, 0);
            merge.commit();
        }
    }
}
