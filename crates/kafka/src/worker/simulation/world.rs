//! Workers over one cluster, and what happens to them.

use std::collections::VecDeque;

use super::cluster::{Cluster, Log, LoggedRecord, Output};
use super::process::Process;
use super::random::Random;
use super::seen::Seen;
use super::transaction::Faults;
use super::undisturbed::undisturbed;
use crate::transaction::Failure;
use crate::{Job, WorkerError};

const WORKERS: usize = 2;
const STEPS: usize = 160;
/// More than any schedule needs to come to its end.
const DRAIN_STEPS: usize = 10_000;

/// A job, whatever it is set to.
pub trait Scenario {
    /// The job.
    type Job: Job;

    /// The job as a process has it that was started with some settings: of equal numbers equal
    /// ones. The tables of its operators have another seed in each process.
    fn job(&self, settings: u64, seed: u64) -> Self::Job;

    /// Takes from an output what another run of the same input would write otherwise.
    fn normalize(&self, _output: &mut Output) {}
}

/// Two workers of a job over one cluster, disturbed by a schedule.
pub struct Simulation<'s, S: Scenario> {
    scenario: &'s S,
    random: Random,
    cluster: Cluster,
    /// What is to be written to each log.
    inputs: Vec<VecDeque<LoggedRecord>>,
    workers: Vec<Process<S::Job>>,
    generation: u64,
    /// The settings that the next process starts with.
    settings: u64,
    /// Whether failures are made.
    is_calm: bool,
    seen: Seen,
}

impl<'s, S: Scenario> Simulation<'s, S> {
    /// A schedule over these logs, one for each partition of the input.
    pub fn new(scenario: &'s S, seed: u64, inputs: Vec<Vec<LoggedRecord>>) -> Self {
        let mut random = Random::new(seed);
        let settings = random.next_u64();
        let mut simulation = Self {
            scenario,
            cluster: Cluster {
                logs: inputs.iter().map(|_| Log::default()).collect(),
                outputs: Vec::new(),
            },
            inputs: inputs.into_iter().map(VecDeque::from).collect(),
            workers: Vec::new(),
            generation: 0,
            settings,
            is_calm: false,
            seen: Seen::default(),
            random,
        };
        for _ in 0..WORKERS {
            let process = simulation.process();
            simulation.workers.push(process);
        }
        for partition in 0..simulation.inputs.len() {
            simulation.give(partition, partition % WORKERS);
        }
        simulation
    }

    /// A worker's process that begins.
    fn process(&mut self) -> Process<S::Job> {
        let job = self.scenario.job(self.settings, self.random.next_u64());
        Process::new(self.generation, job)
    }

    /// What happened so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// What was committed, in the order of the commits.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.cluster.outputs
    }

    /// Runs the schedule, and lets everything come to its end.
    ///
    /// # Panics
    /// It does not come to an end.
    pub fn run(&mut self) {
        for _ in 0..STEPS {
            self.step();
        }
        for partition in 0..self.inputs.len() {
            self.produce(partition, usize::MAX);
        }
        self.is_calm = true;
        (0..WORKERS).for_each(|worker| self.learn_losses(worker));
        for _ in 0..DRAIN_STEPS {
            if self.workers.iter().all(|worker| worker.is_done(&self.cluster)) {
                return;
            }
            self.work();
        }
        panic!("it does not come to an end");
    }

    fn step(&mut self) {
        let (worker, partition) = (self.random.below(WORKERS), self.random.below(self.inputs.len()));
        match self.random.below(60) {
            0..8 => {
                let count = if self.random.one_in(12) {
                    80
                } else {
                    1 + self.random.below(6)
                };
                self.produce(partition, count);
            }
            8 => self.crash(worker),
            9 => self.rebalance(partition, worker),
            10 => self.lose(partition, worker),
            11 => self.damage_snapshots(partition),
            12 => {
                // As of a start with other settings; the other worker is started again later, or
                // never.
                self.settings = self.random.next_u64();
                self.crash(worker);
            }
            _ => self.work(),
        }
    }

    /// What a worker does by itself.
    fn work(&mut self) {
        let worker = self.random.below(WORKERS);
        let faults = self.faults();
        let process = &mut self.workers[worker];
        let result = match self.random.below(13) {
            0..5 => process.batch(&self.cluster, &mut self.random, faults),
            5..8 => process.restore(&self.cluster, &mut self.random),
            8 if self.is_calm && self.random.one_in(2) => Ok(()),
            8 => process.probe(&self.cluster, &mut self.random, faults),
            12 => process.configure(faults),
            9 => {
                process.snapshot(&mut self.cluster, &mut self.random);
                self.seen.snapshots += 1;
                Ok(())
            }
            _ => return self.commit(worker),
        };
        self.settle(worker, &result);
    }

    fn faults(&mut self) -> Faults {
        let random = &mut self.random;
        if self.is_calm || !random.one_in(5) {
            return Faults::default();
        }
        Faults {
            begin: random.one_in(3),
            cuts: random.one_in(2),
            send: random.one_in(2).then(|| random.below(8)),
            report: random.one_in(4),
            is_fatal: random.one_in(6),
        }
    }

    /// What the worker loop does with a failure.
    fn settle(&mut self, worker: usize, result: &Result<(), Failure>) {
        match result {
            Ok(()) => {}
            Err(Failure::Abort(_)) => {
                self.seen.aborts += 1;
                self.workers[worker].roll_back();
            }
            Err(Failure::Stop(WorkerError::Task { .. })) => {
                // A policy that cannot take the present one's place: nothing is written, and other
                // settings are tried.
                self.seen.refused += 1;
                self.settings = self.random.next_u64();
                self.crash(worker);
            }
            Err(Failure::Stop(_)) => self.crash(worker),
        }
    }

    /// Writes so many records of what is left to a log, with markers of transactions between them.
    fn produce(&mut self, partition: usize, count: usize) {
        for _ in 0..count.min(self.inputs[partition].len()) {
            let records = &mut self.cluster.logs[partition].records;
            if self.random.one_in(7) {
                records.push(None);
            }
            records.push(self.inputs[partition].pop_front());
        }
    }

    fn commit(&mut self, worker: usize) {
        let faults = self.faults();
        let process = &mut self.workers[worker];
        let offsets = match process.close(faults) {
            Ok(Some(offsets)) => offsets,
            Ok(None) => return,
            Err(failure) => return self.settle(worker, &Err(failure)),
        };
        if !self.cluster.accepts(worker, process.generation, &offsets) {
            self.seen.fenced += 1;
            return self.settle(worker, &Err(Failure::Abort("fenced".to_owned())));
        }
        match self.random.below(16) {
            0 if !self.is_calm => self.settle(worker, &Err(Failure::Abort("by the broker".to_owned()))),
            1 if !self.is_calm => {
                // Nobody has answered: it is committed or not.
                self.seen.unknown += 1;
                if self.random.one_in(2) {
                    self.make_durable(worker, &offsets);
                }
                self.crash(worker);
            }
            _ => {
                self.seen.commits += 1;
                self.make_durable(worker, &offsets);
                self.workers[worker].committed();
            }
        }
    }

    fn make_durable(&mut self, worker: usize, offsets: &[(i32, i64)]) {
        let process = &mut self.workers[worker];
        let sent = process.take_sent();
        let normalize = |output: &mut Output| self.scenario.normalize(output);
        self.cluster
            .commit(process.control_topic(), sent, normalize, offsets);
    }

    /// The worker is gone; another of its name has its partitions.
    fn crash(&mut self, worker: usize) {
        self.seen.crashes += 1;
        let generation = self.workers[worker].generation;
        self.count(worker);
        self.generation += 1;
        self.workers[worker] = self.process();
        for partition in 0..self.inputs.len() {
            if self.cluster.logs[partition].owner == (worker, generation) {
                self.pass_over_markers(partition);
                self.forget_offset(partition);
                self.give(partition, worker);
            }
        }
    }

    /// Somebody commits the group's offset as a plain consumer does: beyond the markers that
    /// follow.
    fn pass_over_markers(&mut self, partition: usize) {
        let log = &mut self.cluster.logs[partition];
        while let Some(committed) = log.committed
            && log.records.get(committed as usize) == Some(&None)
            && self.random.one_in(2)
        {
            log.committed = Some(committed + 1);
        }
    }

    /// The group forgets its offset, and a restore takes the one that the job proves: that of the
    /// last control record, or of a snapshot, which is of a commit.
    fn forget_offset(&mut self, partition: usize) {
        let is_forgotten = self.random.one_in(4) && self.scenario.job(self.settings, 0).tells_outputs();
        let log = &mut self.cluster.logs[partition];
        let Some(told) = log.control.last().map(crate::control::ControlRecord::offset) else {
            return;
        };
        if is_forgotten && log.committed.is_some() {
            let proven = log.snapshot_offsets().max().map_or(told, |at| at.max(told));
            self.seen.forgotten += u64::from(log.committed != Some(proven));
            log.committed = Some(proven);
            // A group loses its offsets when no member is left: nobody has a snapshot to store.
            let number = partition as i32;
            (self.workers.iter_mut()).for_each(|process| process.forget_frozen(number));
        }
    }

    fn count(&mut self, worker: usize) {
        let process = &mut self.workers[worker];
        self.seen.replayed += std::mem::take(&mut process.transaction.replayed);
        self.seen.restored += std::mem::take(&mut process.restored);
    }

    fn give(&mut self, partition: usize, worker: usize) {
        let number = partition as i32;
        let process = &mut self.workers[worker];
        self.cluster.logs[partition].owner = (worker, process.generation);
        if process.has(number) {
            // It had lost the partition and did not know: it learns that before it is given it
            // again.
            process.roll_back();
            process.give_up(number);
        }
        process.assign(number);
    }

    /// A worker hears which partitions are no longer its own.
    fn learn_losses(&mut self, worker: usize) {
        let process = &mut self.workers[worker];
        for (partition, log) in self.cluster.logs.iter().enumerate() {
            if process.has(partition as i32) && log.owner != (worker, process.generation) {
                process.roll_back();
                process.give_up(partition as i32);
            }
        }
    }

    /// A partition goes to another worker, after a commit.
    fn rebalance(&mut self, partition: usize, to: usize) {
        let (from, _) = self.cluster.logs[partition].owner;
        self.commit(from);
        let process = &mut self.workers[from];
        process.snapshot(&mut self.cluster, &mut self.random);
        process.give_up(partition as i32);
        self.give(partition, to);
    }

    /// A partition goes to another worker, and the one that has it does not know.
    fn lose(&mut self, partition: usize, to: usize) {
        self.seen.losses += 1;
        let (from, _) = self.cluster.logs[partition].owner;
        self.give(partition, to);
        if self.random.one_in(2) {
            self.learn_losses(from);
        }
    }

    /// Tears, damages or loses what lies in the store.
    fn damage_snapshots(&mut self, partition: usize) {
        let random = &mut self.random;
        let snapshots = &mut self.cluster.logs[partition].snapshots;
        let Some(last) = snapshots.last_mut() else { return };
        match random.below(4) {
            0 => last.truncate(random.below(last.len().max(1))),
            1 => {
                let (at, bit) = (random.below(last.len().max(1)), random.below(8));
                if let Some(byte) = last.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            2 => _ = snapshots.pop(),
            _ => snapshots.clear(),
        }
    }

    /// Compares what was committed with what one task for each partition writes that never stopped
    /// and has had the same directives: every output and every control record.
    ///
    /// # Panics
    /// They are not the same, or a record was left.
    pub fn verify(&mut self) {
        (0..WORKERS).for_each(|worker| self.count(worker));
        let job = self.scenario.job(0, 0);
        for (number, log) in (0..).zip(&self.cluster.logs) {
            assert!(log.is_empty_from(log.committed.unwrap_or(0)), "a record was left");
            let mut expected = undisturbed(&job, number, log, &mut self.seen);
            expected
                .iter_mut()
                .for_each(|output| self.scenario.normalize(output));
            let found = self
                .cluster
                .outputs
                .iter()
                .filter(|output| output.source == number);
            let mut count = 0;
            for (nth, (found, expected)) in found.clone().zip(&expected).enumerate() {
                assert_eq!(found, expected, "output {nth} of partition {number}");
                count += 1;
            }
            let counts = (found.count(), expected.len());
            assert_eq!(
                counts,
                (count, count),
                "outputs of partition {number}, and expected"
            );
            self.seen.outputs += count as u64;
        }
    }
}
