//! Logs that are whole from the start, gone through at once or with a restart after each commit.

use super::{Emit, SOURCES, World};
use crate::simulated::partition::Partition;

impl World {
    /// A world whose logs are whole from the start. They depend on the seed alone.
    pub(crate) fn with_logs(seed: u64, emit: Emit, workers: usize) -> Self {
        let mut world = Self::new(seed, emit);
        world.workers = workers;
        world.owners = std::array::from_fn(|source| source % workers);
        for _ in 0..20 {
            (0..SOURCES).for_each(|source| world.produce(source, 6));
        }
        world
    }

    /// Where a source that was silent for a while was advanced, and to where: a part of its history
    /// as its records are.
    fn silence(&self, source: usize) -> (usize, i64) {
        let log = &self.sources[source].log;
        let half = log.len() / 2;
        let newest_ms = log[..half]
            .iter()
            .flatten()
            .map(|sent| sent.transaction_time_ms)
            .max();
        (half, newest_ms.unwrap_or(0) + 30)
    }

    /// Processes up to `count` records of a source, and the advance after the silence when it is
    /// reached.
    fn go_on(&mut self, source: usize, count: usize) {
        let (half, watermark_ms) = self.silence(source);
        let seed = self.random.next();
        let position = self.sources[source].position();
        if position < half {
            self.sources[source].process(count.min(half - position), seed);
            if self.sources[source].position() == half {
                self.sources[source].advance(watermark_ms, seed);
            }
        } else {
            self.sources[source].process(count, seed);
        }
    }

    /// Processes the logs from end to end by workers that never stop, and commits once.
    pub(crate) fn run_whole(&mut self) {
        for source in 0..SOURCES {
            self.go_on(source, usize::MAX);
            self.go_on(source, usize::MAX);
        }
        (0..self.workers).for_each(|worker| self.commit(worker));
        self.drain();
    }

    /// Processes the logs in small batches. After each commit every worker is restarted, and every
    /// partition goes to another one.
    pub(crate) fn run_restarted(&mut self) {
        while !self.sources.iter().all(Partition::is_at_end) {
            for source in 0..SOURCES {
                let count = 1 + self.random.below(7);
                self.go_on(source, count);
            }
            (0..self.workers).for_each(|worker| self.commit(worker));
            self.sources.iter_mut().for_each(Partition::take_snapshot);
            for merge in &mut self.merges {
                merge.process(usize::MAX, self.random.next());
                merge.commit();
                merge.take_snapshot();
            }
            if self.random.one_in(2) {
                // The next call writes what this one took.
                self.sources.iter_mut().for_each(Partition::take_snapshot);
                self.merges.iter_mut().for_each(Partition::take_snapshot);
            }
            self.crash_all();
            let workers = self.workers;
            self.owners
                .iter_mut()
                .for_each(|owner| *owner = (*owner + 1) % workers);
        }
        self.drain();
    }
}
