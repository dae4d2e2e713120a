//! The partitions of a worker, and what fetched records do to them. Nothing here asks Kafka: the
//! worker loop and the simulation (`simulation`) drive it alike.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_engine::near;
use millrace_kafka_batch::Report;

use super::effects::{Effects, Tally};
use super::partition::Active;
use super::restore::Restored;
use super::side::{Probe, Probed};
use super::terms::Terms;
use crate::failure::Failure;
use crate::{InputRecord, Job, Task};

/// After so long without a record, one of a job whose partitions wait for each other is looked at.
const SOON: Duration = Duration::from_millis(500);

/// A partition of a worker.
pub(super) struct Partition<T> {
    number: i32,
    /// Which restore of which assignment the present state is of: an answer to an earlier one is
    /// void.
    epoch: u64,
    /// When it was assigned, or had to be restored anew.
    since: Instant,
    state: State<T>,
}

enum State<T> {
    Restoring,
    Restored(Box<Active<T>>),
}

impl<T> Partition<T> {
    pub(super) fn number(&self) -> i32 {
        self.number
    }

    /// Its task and position; `None` while it is being restored.
    pub(super) fn active(&self) -> Option<&Active<T>> {
        match &self.state {
            State::Restoring => None,
            State::Restored(active) => Some(active.as_ref()),
        }
    }

    /// As [`Self::active`].
    pub(super) fn active_mut(&mut self) -> Option<&mut Active<T>> {
        match &mut self.state {
            State::Restoring => None,
            State::Restored(active) => Some(active.as_mut()),
        }
    }
}

/// What the look-up of a partition's end has confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmed {
    /// Nothing to act on.
    Nothing,
    /// It is live and has had nothing new for the idle timeout.
    Idle,
    /// Its replay has nothing left to read.
    ReplayRead,
}

/// The partitions of a worker.
pub(super) struct Partitions<T> {
    all: Vec<Partition<T>>,
    last_epoch: u64,
    terms: Arc<Terms>,
    /// What the open batch has taken from the log.
    pub(super) tally: Tally,
}

impl<T: Task> Partitions<T> {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            all: Vec::new(),
            last_epoch: 0,
            terms: Arc::new(terms),
            tally: Tally::default(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Partition<T>> {
        self.all.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Partition<T>> {
        self.all.iter_mut()
    }

    /// Those that are restored.
    pub(super) fn active(&self) -> impl Iterator<Item = &Active<T>> {
        self.all.iter().filter_map(Partition::active)
    }

    /// A partition's task and position; `None` if the partition is not this worker's, or is being
    /// restored.
    pub(super) fn active_of(&mut self, number: i32) -> Option<&mut Active<T>> {
        let partition = self.all.iter_mut().find(|partition| partition.number == number)?;
        partition.active_mut()
    }

    /// Adds a partition that is to be restored; the epoch to restore it for.
    pub(super) fn assign(&mut self, number: i32, now: Instant) -> u64 {
        debug_assert!(self.all.iter().all(|partition| partition.number != number));
        self.last_epoch += 1;
        self.all.push(Partition {
            number,
            epoch: self.last_epoch,
            since: now,
            state: State::Restoring,
        });
        self.last_epoch
    }

    /// Gives partitions up.
    pub(super) fn give_up(&mut self, numbers: &[i32]) {
        self.all.retain(|partition| !numbers.contains(&partition.number));
    }

    /// Those with something that is not committed.
    pub(super) fn dirty(&self) -> Vec<i32> {
        let dirty = |partition: &&Partition<T>| partition.active().is_some_and(Active::is_dirty);
        self.all
            .iter()
            .filter(dirty)
            .map(|partition| partition.number)
            .collect()
    }

    /// Throws a partition's state away; the epoch to restore it for.
    pub(super) fn roll_back(&mut self, number: i32, now: Instant) -> u64 {
        self.last_epoch += 1;
        for partition in self.all.iter_mut().filter(|partition| partition.number == number) {
            partition.epoch = self.last_epoch;
            partition.since = now;
            partition.state = State::Restoring;
        }
        self.last_epoch
    }

    /// Whether a restore is of the present epoch, and so still wanted.
    pub(super) fn awaits(&self, restored: &Restored<T>) -> bool {
        self.all
            .iter()
            .any(|partition| (partition.number, partition.epoch) == (restored.partition, restored.epoch))
    }

    /// Takes a restored state, from whose position the consumer reads from now on.
    pub(super) fn start(&mut self, restored: Restored<T>, effects: &mut impl Effects) -> Result<(), Failure> {
        let chosen = |it: &&mut Partition<T>| (it.number, it.epoch) == (restored.partition, restored.epoch);
        let Some(partition) = self.all.iter_mut().find(chosen) else {
            return Ok(());
        };
        debug_assert!(
            matches!(partition.state, State::Restoring),
            "it was restored twice"
        );
        let mut active = Active::restored(restored, &self.terms, partition.since, effects.now());
        active.end_empty_replay(effects)?;
        partition.state = State::Restored(Box::new(active));
        Ok(())
    }

    /// Processes a batch, a group after the other. Where it fails half way, partitions with
    /// something in the rest are to be rolled back too: it will not be fetched again otherwise.
    pub(super) fn batch<'b>(
        &mut self,
        mut items: impl Iterator<Item = Result<InputRecord<'b>, Report>>,
        effects: &mut impl Effects,
    ) -> Result<(), Failure> {
        let mut group = Vec::with_capacity(near::GROUP);
        loop {
            let report = next_group(&mut items, &mut group);
            if group.is_empty() && report.is_none() {
                return Ok(());
            }
            self.prepare(&group);
            // Once for all of them: a look at the clock costs as much as a good part of a record.
            let now = effects.now();
            let mut runs = runs(&group);
            while let Some(run) = runs.next() {
                if let Err(failure) = self.run(run, now, effects) {
                    runs.for_each(|run| self.leave_out(run[0].partition));
                    self.leave_all_out(report.map(Err).into_iter().chain(items), effects)?;
                    return Err(failure);
                }
            }
            if let Some(report) = report {
                let reason = format!("reading partition {}: {}", report.partition, report.error);
                self.leave_all_out([Err(report)].into_iter().chain(items), effects)?;
                return Err(Failure::Abort(reason));
            }
        }
    }

    /// Tells each task which of its records come next.
    fn prepare(&mut self, group: &[InputRecord<'_>]) {
        for run in runs(group) {
            if let Some(active) = self.active_of(run[0].partition) {
                active.prepare(run);
            }
        }
    }

    /// Processes records of one partition that were fetched just before `now`: as new, or as part
    /// of a replay.
    pub(super) fn run(
        &mut self,
        run: &[InputRecord<'_>],
        now: Instant,
        effects: &mut impl Effects,
    ) -> Result<(), Failure> {
        let Some(first) = run.first() else { return Ok(()) };
        let found = self.all.iter_mut().find(|it| it.number == first.partition);
        match found.and_then(Partition::active_mut) {
            Some(active) => active.run(run, now, effects, &mut self.tally),
            // Fetched before the partition was paused: it comes again after the seek.
            None => Ok(()),
        }
    }

    /// Sees to what is left of a batch that failed. An error in place of a record needs a seek of
    /// its partition, whatever it is, and so a roll-back; so does a record that will not come
    /// again.
    fn leave_all_out<'b>(
        &mut self,
        items: impl Iterator<Item = Result<InputRecord<'b>, Report>>,
        effects: &mut impl Effects,
    ) -> Result<(), Failure> {
        for item in items {
            match item {
                Ok(record) => self.leave_out(record.partition),
                Err(report) => {
                    effects.reported(&report.error)?;
                    self.leave_out(report.partition);
                }
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, number: i32) {
        if let Some(active) = self.active_of(number) {
            active.leave_out();
        }
    }

    /// Moves an idle partition's watermark to `watermark_ms`.
    pub(super) fn advance(
        &mut self,
        number: i32,
        watermark_ms: i64,
        effects: &mut impl Effects,
    ) -> Result<(), Failure> {
        let found = self.all.iter_mut().find(|it| it.number == number);
        match found.and_then(Partition::active_mut) {
            Some(active) => active.advance(watermark_ms, effects, &mut self.tally),
            None => Ok(()),
        }
    }

    /// Has every partition follow a job whose policy has changed since it was last asked; whether
    /// it has.
    pub(super) fn follow(&mut self, job: &impl Job) -> bool {
        if job.policy_changes() == self.terms.policy_changes {
            return false;
        }
        let terms = Terms::of(job);
        let has_changed = terms.policy != self.terms.policy;
        self.terms = Arc::new(terms);
        if has_changed {
            for active in self.all.iter_mut().filter_map(Partition::active_mut) {
                active.follow(&self.terms);
            }
        }
        has_changed
    }

    /// Gives its policy to every partition that has gone live with another.
    pub(super) fn configure(&mut self, effects: &mut impl Effects) -> Result<(), Failure> {
        for active in self.all.iter_mut().filter_map(Partition::active_mut) {
            if active.is_to_configure() {
                active.configure_alone(effects, &mut self.tally)?;
            }
        }
        Ok(())
    }

    /// Ends a replay that has nothing left to read: what is between its position and its end is
    /// markers of transactions.
    pub(super) fn end_replay(&mut self, number: i32, effects: &mut impl Effects) -> Result<(), Failure> {
        let found = self.all.iter_mut().find(|it| it.number == number);
        match found.and_then(Partition::active_mut) {
            Some(active) => active.end_replay(effects),
            None => Ok(()),
        }
    }

    /// The tasks' and the worker's last records of the batch; the offsets to commit.
    pub(super) fn close(&mut self, effects: &mut impl Effects) -> Result<Vec<(i32, i64)>, Failure> {
        let mut offsets = Vec::new();
        for partition in &mut self.all {
            let number = partition.number;
            let Some(active) = partition.active_mut() else {
                continue;
            };
            let closed = active.close(effects)?;
            offsets.extend(closed.map(|offset| (number, offset)));
        }
        match effects.take_failure() {
            Some(failure) => Err(failure),
            None => Ok(offsets),
        }
    }

    /// The transaction with what was closed is committed.
    pub(super) fn commit(&mut self) {
        for active in self.all.iter_mut().filter_map(Partition::active_mut) {
            active.commit();
        }
    }

    /// What to ask about the partitions' ends. The end of a live one that has been silent for
    /// `idle_timeout` matters where such partitions are advanced.
    pub(super) fn probes(&mut self, idle_timeout: Duration, now: Instant) -> Vec<Probe> {
        let (advances, aligns) = (self.terms.advances_idle, self.terms.aligns);
        let probe = |partition: &mut Partition<T>| {
            let (number, epoch) = (partition.number, partition.epoch);
            let active = partition.active_mut()?;
            let live = active.is_live();
            Some(Probe {
                partition: number,
                epoch,
                next: active.next(),
                live,
                // Where others wait for it, it matters soon whether one has anything left.
                quiet: match live && aligns {
                    true => active.is_quiet(SOON.min(idle_timeout), now),
                    false => active.tick_is_quiet(idle_timeout, now) && (advances || !live),
                },
            })
        };
        self.all.iter_mut().filter_map(probe).collect()
    }

    /// Takes a partition's end: its lag, and what that confirms; `None` if it has been rolled back
    /// or given up since.
    ///
    /// The leader's end was looked up after the last record had been processed: if it is still at
    /// the position, the partition has had nothing new since that record, which is longer than the
    /// idle timeout ago.
    pub(super) fn take_probed(&mut self, probed: &Probed) -> Option<(i64, Confirmed)> {
        let Probed {
            probe, end, at_end, ..
        } = probed;
        let advances = self.terms.advances_idle;
        let same = |it: &&mut Partition<T>| (it.number, it.epoch) == (probe.partition, probe.epoch);
        let active = self.all.iter_mut().find(same)?.active_mut()?;
        let lag = if *at_end { 0 } else { (end - active.next()).max(0) };
        active.set_lag(lag);
        let is_same = active.next() == probe.next && active.is_live() == probe.live;
        let is_idle = probe.quiet && *at_end && is_same && (advances || !probe.live);
        let confirmed = match (is_idle, probe.live) {
            (false, _) => Confirmed::Nothing,
            (true, true) => Confirmed::Idle,
            (true, false) => Confirmed::ReplayRead,
        };
        Some((lag, confirmed))
    }
}

/// Takes the next records in place of a group, up to the first report: that one, if there is any.
#[inline]
fn next_group<'b>(
    items: &mut impl Iterator<Item = Result<InputRecord<'b>, Report>>,
    group: &mut Vec<InputRecord<'b>>,
) -> Option<Report> {
    group.clear();
    for item in items.take(near::GROUP) {
        match item {
            Ok(record) => group.push(record),
            Err(report) => return Some(report),
        }
    }
    None
}

/// Records one after the other of the same partition.
fn runs<'g, 'b>(group: &'g [InputRecord<'b>]) -> impl Iterator<Item = &'g [InputRecord<'b>]> {
    group.chunk_by(|one, next| one.partition == next.partition)
}
