//! What happens to workers and partitions from outside.

use super::cluster::Log;
use super::world::{Scenario, Simulation, WORKERS};
use crate::control::ControlRecord;

impl<S: Scenario> Simulation<'_, S> {
    /// The worker is gone; another of its name has its partitions.
    pub(super) fn crash(&mut self, worker: usize) {
        self.seen.crashes += 1;
        self.note("crash", worker, 0);
        self.replace(worker);
    }

    /// Another process takes its place, with its partitions.
    fn replace(&mut self, worker: usize) {
        let generation = self.workers[worker].generation;
        self.count(worker);
        self.generation += 1;
        self.workers[worker] = self.process();
        for partition in 0..self.inputs.len() {
            if self.cluster.logs[partition].owner == (worker, generation) {
                self.pass_over_markers(partition);
                self.forget_offset(partition, worker);
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
    fn forget_offset(&mut self, partition: usize, worker: usize) {
        let is_forgotten = self.random.one_in(4) && self.workers[worker].tells_outputs();
        let log = &mut self.cluster.logs[partition];
        let Some(told) = log.control.last().map(ControlRecord::offset) else {
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

    pub(super) fn count(&mut self, worker: usize) {
        let process = &mut self.workers[worker];
        self.seen.replayed += std::mem::take(&mut process.transaction.replayed);
        self.seen.restored += std::mem::take(&mut process.restored);
        self.seen.waits += std::mem::take(&mut process.waiters.waits);
    }

    pub(super) fn give(&mut self, partition: usize, worker: usize) {
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
    pub(super) fn learn_losses(&mut self, worker: usize) {
        let process = &mut self.workers[worker];
        for (partition, log) in self.cluster.logs.iter().enumerate() {
            if process.has(partition as i32) && log.owner != (worker, process.generation) {
                process.roll_back();
                process.give_up(partition as i32);
            }
        }
    }

    /// A partition goes to another worker, after a commit.
    pub(super) fn rebalance(&mut self, partition: usize, to: usize) {
        let (from, _) = self.cluster.logs[partition].owner;
        self.note("rebalance", partition, to as u64);
        self.commit(from);
        self.snapshot(from);
        self.workers[from].give_up(partition as i32);
        self.give(partition, to);
    }

    /// A partition goes to another worker, and the one that has it does not know.
    pub(super) fn lose(&mut self, partition: usize, to: usize) {
        self.seen.losses += 1;
        self.note("loss", partition, to as u64);
        let (from, _) = self.cluster.logs[partition].owner;
        self.give(partition, to);
        if self.random.one_in(2) {
            self.learn_losses(from);
        }
    }

    /// Tears, damages or loses what lies in the store.
    pub(super) fn damage_snapshots(&mut self, partition: usize) {
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
    /// Retention deletes the oldest records of a control topic that tell of a policy which a later
    /// one tells of too. What a replay of the whole log has to repeat stays, and what is told of
    /// the last offset.
    pub(super) fn cut_controls(&mut self, partition: usize) {
        let log = &mut self.cluster.logs[partition];
        while let [first, later @ ..] = &log.control[log.control_from..]
            && later.last().is_some_and(|last| last.offset() > first.offset())
            && later.iter().any(|record| record.policy().is_some())
            && match first {
                ControlRecord::Configure { before, .. } => before.is_none(),
                ControlRecord::Policy { .. } | ControlRecord::Watermark { .. } => true,
                ControlRecord::Advance { .. } | ControlRecord::Refused { .. } => false,
            }
            && self.random.below(4) > 0
        {
            log.control_from += 1;
        }
    }

    /// A partition is added to the input, and the group gives it to a worker. Whether one was left.
    pub(super) fn grow(&mut self) -> bool {
        let Some(input) = self.later.pop_front() else {
            return false;
        };
        let partition = self.inputs.len();
        self.inputs.push(input.into());
        self.cluster.logs.push(Log::default());
        self.scenario.grew(partition + 1);
        self.seen.grown += 1;
        self.note("growth", partition, 0);
        let worker = self.random.below(WORKERS);
        self.give(partition, worker);
        true
    }

    /// A process looks for partitions that were added: where there are some, it ends in good order,
    /// and is prepared anew, at once or after a while.
    pub(super) fn look_for_partitions(&mut self, worker: usize) {
        let has_grown = self.workers[worker].has_grown(self.inputs.len());
        if has_grown && (self.is_calm || self.random.one_in(2)) {
            self.restart(worker);
        }
    }

    /// Every process ends in good order, one after the other.
    pub fn restart_all(&mut self) {
        (0..WORKERS).for_each(|worker| self.restart(worker));
    }

    /// A process ends in good order, and another takes its place.
    pub fn restart(&mut self, worker: usize) {
        self.note("restart", worker, 0);
        self.commit(worker);
        self.snapshot(worker);
        self.snapshot(worker);
        self.replace(worker);
    }
}
