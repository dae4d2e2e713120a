//! Workers over one cluster, and what they do.

use std::collections::VecDeque;
use std::time::Duration;

use super::clock::Clock;
use super::cluster::{Cluster, Log, LoggedRecord, Output};
use super::process::Process;
use super::random::Random;
use super::seen::Seen;
use super::trace::{Happening, digest};
use super::transaction::Faults;
use crate::control::ControlRecord;
use crate::failure::Failure;
use crate::{Job, WorkerError};

pub(super) const WORKERS: usize = 2;
const STEPS: usize = 160;
/// More than any schedule needs to come to its end.
const DRAIN_STEPS: usize = 10_000;
/// How long a step may take.
const STEP_MS: [u64; 4] = [1, 20, 100, 300];
/// A pause in which a partition's policy is to be stated anew.
const PAUSE: Duration = Duration::from_secs(3_700);

/// A job, whatever it is set to.
pub trait Scenario {
    /// The job.
    type Job: Job;

    /// The job as a process has it that was started with some settings: of equal numbers equal
    /// ones. The tables of its operators have another seed in each process.
    fn job(&self, settings: u64, seed: u64) -> Self::Job;

    /// Whether the policy of a job changes while it runs.
    fn follows(&self) -> bool {
        false
    }

    /// Gives a running job what of these settings it may have without a start.
    fn change(&self, _job: &Self::Job, _settings: u64) {}

    /// Takes from an output what another run of the same input would write otherwise.
    fn normalize(&self, _output: &mut Output) {}

    /// What a partition of another job's control topic says, for [`Job::beginning`].
    fn controls(&self, _topic: &str, _partition: i32) -> Vec<ControlRecord> {
        Vec::new()
    }

    /// The input has so many partitions from now on.
    fn grew(&self, _partitions: usize) {}

    /// Whether the bytes of a state depend on its events alone, not on when it was restored.
    fn has_one_state(&self) -> bool {
        true
    }
}

/// Two workers of a job over one cluster, disturbed by a schedule.
pub struct Simulation<'s, S: Scenario> {
    pub(super) scenario: &'s S,
    pub(super) random: Random,
    pub(super) clock: Clock,
    pub(super) cluster: Cluster,
    /// What is to be written to each log.
    pub(super) inputs: Vec<VecDeque<LoggedRecord>>,
    /// The same, of partitions that are added later.
    pub(super) later: VecDeque<Vec<LoggedRecord>>,
    pub(super) workers: Vec<Process<S::Job>>,
    pub(super) generation: u64,
    /// The settings that the next process starts with.
    pub(super) settings: u64,
    /// Whether failures are made.
    pub(super) is_calm: bool,
    pub(super) seen: Seen,
    pub(super) happenings: Vec<Happening>,
}

impl<'s, S: Scenario> Simulation<'s, S> {
    /// A schedule over these logs, one for each partition of the input.
    pub fn new(scenario: &'s S, seed: u64, inputs: Vec<Vec<LoggedRecord>>) -> Self {
        let mut random = Random::new(seed);
        let settings = random.next_u64();
        let mut simulation = Self {
            scenario,
            clock: Clock::default(),
            cluster: Cluster {
                logs: inputs.iter().map(|_| Log::default()).collect(),
                outputs: Vec::new(),
            },
            inputs: inputs.into_iter().map(VecDeque::from).collect(),
            later: VecDeque::new(),
            workers: Vec::new(),
            generation: 0,
            settings,
            is_calm: false,
            seen: Seen::default(),
            happenings: Vec::new(),
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

    /// With partitions that are added to the input at some time of the schedule.
    #[must_use]
    pub fn with_later(mut self, inputs: Vec<Vec<LoggedRecord>>) -> Self {
        self.later = inputs.into();
        self
    }

    /// A worker's process that begins.
    pub(super) fn process(&mut self) -> Process<S::Job> {
        let job = self.scenario.job(self.settings, self.random.next_u64());
        Process::new(self.generation, job, &self.clock)
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

    /// What a partition's control topic says.
    #[must_use]
    pub fn controls(&self, partition: usize) -> &[ControlRecord] {
        &self.cluster.logs[partition].control
    }

    pub(super) fn note(&mut self, what: &'static str, whose: usize, digest: u64) {
        self.happenings.push(Happening { what, whose, digest });
    }

    /// Runs the schedule, and lets everything come to its end.
    ///
    /// # Panics
    /// It does not come to an end.
    pub fn run(&mut self) {
        for _ in 0..STEPS {
            self.step();
        }
        self.calm_down();
        for _ in 0..DRAIN_STEPS {
            if self.is_done() {
                return;
            }
            self.work();
        }
        panic!("it does not come to an end");
    }

    /// Whether all there is was processed and committed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let is_written = self.inputs.iter().all(VecDeque::is_empty);
        is_written && self.workers.iter().all(|worker| worker.is_done(&self.cluster))
    }

    /// Writes all that is left, and disturbs nothing any more.
    pub fn calm_down(&mut self) {
        while self.grow() {}
        self.is_calm = true;
        if self.scenario.follows() {
            (0..WORKERS).for_each(|worker| self.follow(worker));
        }
        (0..WORKERS).for_each(|worker| self.learn_losses(worker));
        (0..WORKERS).for_each(|worker| self.look_for_partitions(worker));
        for partition in 0..self.inputs.len() {
            self.produce(partition, usize::MAX);
        }
    }

    /// Adds to what is to be written to a log.
    pub fn feed(&mut self, partition: usize, records: impl IntoIterator<Item = LoggedRecord>) {
        self.inputs[partition].extend(records);
        if self.is_calm {
            self.produce(partition, usize::MAX);
        }
    }

    /// A step of the schedule.
    pub fn step(&mut self) {
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
            13 => self.cut_controls(partition),
            14 if self.random.one_in(2) => _ = self.grow(),
            15 => self.look_for_partitions(worker),
            16 if self.scenario.follows() => {
                self.settings = self.random.next_u64();
                self.follow(worker);
            }
            17 if self.scenario.follows() => self.follow(worker),
            _ => self.work(),
        }
    }

    /// A running process hears of the present settings.
    fn follow(&mut self, worker: usize) {
        let (scenario, settings) = (self.scenario, self.settings);
        let has_changed = self.workers[worker].follow(|job| scenario.change(job, settings));
        self.note("follow", worker, u64::from(has_changed));
        self.seen.followed += u64::from(has_changed);
    }

    /// What a worker does by itself.
    pub fn work(&mut self) {
        let worker = self.random.below(WORKERS);
        self.clock.pass(match self.random.one_in(300) {
            true => PAUSE,
            false => Duration::from_millis(self.random.pick(&STEP_MS)),
        });
        let faults = self.faults();
        let process = &mut self.workers[worker];
        let result = match self.random.below(13) {
            0..5 => process.batch(&self.cluster, &mut self.random, faults),
            5..8 => {
                let scenario = self.scenario;
                let mut controls = |topic: &str, number| Ok(scenario.controls(topic, number));
                process.restore(&self.cluster, &mut self.random, &mut controls)
            }
            8 if self.is_calm && self.random.one_in(2) => Ok(()),
            8 => process.probe(&self.cluster, &mut self.random, faults),
            12 => process.configure(faults),
            9 => {
                self.snapshot(worker);
                Ok(())
            }
            _ => return self.commit(worker),
        };
        self.settle(worker, &result);
    }

    pub(super) fn snapshot(&mut self, worker: usize) {
        self.seen.snapshots += 1;
        let stored = self.workers[worker].snapshot(&mut self.cluster, &mut self.random);
        if let Some(stored) = stored {
            self.note("snapshot", worker, stored);
        }
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
            Err(Failure::Abort(reason)) => {
                self.seen.aborts += 1;
                self.note("abort", worker, digest(reason.as_bytes()));
                self.workers[worker].roll_back();
            }
            Err(Failure::Stop(WorkerError::Task { reason, .. })) => {
                // A policy that cannot take the present one's place: nothing is written, and other
                // settings are tried.
                self.seen.refused += 1;
                self.note("refusal", worker, digest(reason.to_string().as_bytes()));
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

    pub(super) fn commit(&mut self, worker: usize) {
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
        for (partition, offset) in offsets {
            self.note("commit", worker, (*partition as u64) << 32 | *offset as u64);
        }
    }
}
