//! Workers over one cluster, and what happens to them.

use super::cluster::{Cluster, INPUT, Log};
use super::process::{Faults, Process};
use super::random::Random;
use super::task::{Digest, OUTPUTS};
use crate::control::{ControlRecord, policy_at};
use crate::transaction::Failure;
use crate::{InputRecord, Outbox, OutputRecord, RecordHeaders, Task};

const PARTITIONS: usize = 3;
const WORKERS: usize = 2;
const STEPS: usize = 90;
/// More than any schedule needs to come to its end.
const DRAIN_STEPS: usize = 4_000;

/// How often what happened, so that a simulation in which it does not is no proof.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Seen {
    commits: u64,
    aborts: u64,
    unknown: u64,
    fenced: u64,
    crashes: u64,
    losses: u64,
    snapshots: u64,
    replayed: u64,
    directives: u64,
    outputs: u64,
}

impl Seen {
    pub(super) fn add(&mut self, other: &Self) {
        self.commits += other.commits;
        self.aborts += other.aborts;
        self.unknown += other.unknown;
        self.fenced += other.fenced;
        self.crashes += other.crashes;
        self.losses += other.losses;
        self.snapshots += other.snapshots;
        self.replayed += other.replayed;
        self.directives += other.directives;
        self.outputs += other.outputs;
    }

    pub(super) fn assert_everything_happened(&self) {
        let Self {
            commits,
            aborts,
            unknown,
            fenced,
            crashes,
            losses,
            snapshots,
            replayed,
            directives,
            outputs,
        } = *self;
        let all = [
            commits, aborts, unknown, fenced, crashes, losses, snapshots, replayed, directives, outputs,
        ];
        assert!(all.iter().all(|times| *times > 100), "{self:?}");
    }
}

pub(super) struct World {
    random: Random,
    cluster: Cluster,
    workers: Vec<Process>,
    generation: u64,
    /// The policy that the next process starts with.
    policy: u64,
    /// Whether failures are made.
    is_calm: bool,
    pub(super) seen: Seen,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = Self {
            random: Random(seed),
            cluster: Cluster {
                logs: (0..PARTITIONS).map(|_| Log::default()).collect(),
            },
            workers: (0..WORKERS).map(|_| Process::new(0, 0)).collect(),
            generation: 0,
            policy: 0,
            is_calm: false,
            seen: Seen::default(),
        };
        for partition in 0..PARTITIONS {
            world.give(partition, partition % WORKERS);
        }
        world
    }

    /// Runs the schedule, and lets everything come to its end.
    pub(super) fn run(&mut self) {
        for _ in 0..STEPS {
            self.step();
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
        let (worker, partition) = (self.random.below(WORKERS), self.random.below(PARTITIONS));
        match self.random.below(25) {
            0..5 => self.produce(partition),
            5 => self.crash(worker),
            6 => self.rebalance(partition, worker),
            7 => self.lose(partition, worker),
            8 => self.damage_snapshots(partition),
            9 => {
                // As of a start with other settings; the other worker is started again later, or never.
                self.policy = self.random.below(3) as u64;
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
            Err(Failure::Stop(_)) => self.crash(worker),
        }
    }

    fn produce(&mut self, partition: usize) {
        let count = if self.random.one_in(12) {
            80
        } else {
            1 + self.random.below(6)
        };
        for _ in 0..count {
            let record = (!self.random.one_in(7)).then(|| self.random.next().to_le_bytes());
            self.cluster.logs[partition].records.push(record);
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
                    let sent = process.take_sent();
                    self.cluster.commit(sent, &offsets);
                }
                self.crash(worker);
            }
            _ => {
                self.seen.commits += 1;
                let sent = process.take_sent();
                self.cluster.commit(sent, &offsets);
                process.committed();
            }
        }
    }

    /// The worker is gone; another of its name has its partitions.
    fn crash(&mut self, worker: usize) {
        self.seen.crashes += 1;
        let generation = self.workers[worker].generation;
        self.count(worker);
        self.generation += 1;
        self.workers[worker] = Process::new(self.generation, self.policy);
        for partition in 0..PARTITIONS {
            if self.cluster.logs[partition].owner == (worker, generation) {
                self.pass_over_markers(partition);
                self.give(partition, worker);
            }
        }
    }

    /// Somebody commits the group's offset as a plain consumer does: beyond the markers that follow.
    fn pass_over_markers(&mut self, partition: usize) {
        let log = &mut self.cluster.logs[partition];
        while let Some(committed) = log.committed
            && log.records.get(committed as usize) == Some(&None)
            && self.random.one_in(2)
        {
            log.committed = Some(committed + 1);
        }
    }

    fn count(&mut self, worker: usize) {
        self.seen.replayed += std::mem::take(&mut self.workers[worker].transaction.replayed);
    }

    fn give(&mut self, partition: usize, worker: usize) {
        let number = partition as i32;
        let process = &mut self.workers[worker];
        self.cluster.logs[partition].owner = (worker, process.generation);
        if process.has(number) {
            // It had lost the partition and did not know: it learns that before it is given it again.
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

    /// Committed output as that of one task that never stopped.
    pub(super) fn verify(&mut self) {
        (0..WORKERS).for_each(|worker| self.count(worker));
        for (partition, log) in self.cluster.logs.iter().enumerate() {
            assert!(log.is_empty_from(log.committed.unwrap_or(0)), "a record was left");
            let (outputs, directives) = undisturbed(partition as i32, log);
            assert_eq!(log.outputs, outputs, "partition {partition}");
            self.seen.outputs += outputs.len() as u64;
            self.seen.directives += directives;
        }
    }
}

/// The outputs of a run over all that a log has, with the directives of its control topic by offset; how many these are.
fn undisturbed(partition: i32, log: &Log) -> (Vec<Vec<u8>>, u64) {
    let mut outputs = Outputs(Vec::new());
    let first = policy_at(&log.control, 0).expect("every partition is given a policy");
    let mut task = Digest::new(partition, first);
    let mut records = log.control.iter().peekable();
    let mut directives = 0;
    let done = "the task never fails";
    for offset in 0..=log.end() {
        while let Some(record) = records.next_if(|record| record.offset() <= offset) {
            match record {
                ControlRecord::Advance { watermark_ms, .. } => {
                    task.advance(*watermark_ms, &mut outputs).expect(done);
                    directives += 1;
                }
                ControlRecord::Configure { before, policy, .. } => {
                    assert!(before.as_ref().is_none_or(|before| *before == task.policy()));
                    task.configure(policy, &mut outputs).expect(done);
                    directives += 1;
                }
                ControlRecord::Policy { policy, .. } => assert_eq!(*policy, task.policy()),
                ControlRecord::Watermark { .. } => {}
            }
        }
        if let Some(Some(payload)) = log.records.get(offset as usize) {
            let record = InputRecord {
                topic: INPUT,
                partition,
                offset,
                timestamp_ms: offset,
                is_append_time: true,
                key: None,
                payload: Some(payload),
                headers: RecordHeaders::NONE,
            };
            task.process(&record, &mut outputs).expect(done);
        }
    }
    assert!(records.next().is_none(), "a directive beyond the log's end");
    (outputs.0, directives)
}

struct Outputs(Vec<Vec<u8>>);

impl Outbox for Outputs {
    fn send(&mut self, record: OutputRecord<'_>) {
        assert_eq!(record.topic, OUTPUTS);
        self.0.push(record.payload.to_vec());
    }

    fn copy(&mut self, _: &InputRecord<'_>, _: &str, _: &[(&str, &[u8])]) {}

    fn dead_letter(&mut self, _: &InputRecord<'_>, _: &'static str, _: &str) {}

    fn is_replay(&self) -> bool {
        false
    }
}
