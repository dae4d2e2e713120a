//! One assigned partition: its task, where it is in the log, and its replay.
//!
//! A partition is restored, then replays what was committed before, then is live. What it has done
//! since the last commit it keeps or takes back as a whole: an abort throws the state away, and it
//! is restored anew.

mod directives;
mod looks;
mod order;
mod replay;
mod snapshots;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use replay::Replay;
pub(super) use snapshots::SnapshotTimes;

use millrace_engine::FrozenState;

use super::effects::{Effects, Tally};
use super::envelope::Envelope;
use super::restore::Restored;
use super::terms::Terms;
use super::waiting::Waiting;
use crate::control::ControlRecord;
use crate::failure::Failure;
use crate::stall::Stall;
use crate::{InputRecord, Task, TaskError, WorkerError};

/// Time between two watermarks of a partition in the control topic.
const PUBLISH_INTERVAL: Duration = Duration::from_secs(1);

/// Time between two statements of a partition's policy in the control topic: short to any time that
/// logs are kept for.
const STATE_INTERVAL: Duration = Duration::from_secs(3600);

/// Which records a partition gets.
#[derive(Debug)]
enum Phase {
    /// Those of before the committed offset: their outputs are in the log already.
    Replaying(Replay),
    /// New ones.
    Live,
}

/// What a partition has done that is not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Nothing.
    Committed,
    /// All that it was given, to the last record.
    Uncommitted,
    /// A part of what it was given: the rest does not come again without a roll-back.
    Torn,
}

/// A partition with its state.
pub(super) struct Active<T> {
    number: i32,
    terms: Arc<Terms>,
    /// When the partition was assigned, or had to be restored anew.
    since: Instant,
    task: T,
    /// The next record's offset.
    next: i64,
    /// Directives that it has had at this position.
    directives: u32,
    /// What the group has committed; `None` before its first commit.
    committed: Option<i64>,
    phase: Phase,
    work: Work,
    waiting: Waiting,
    /// When it got its last record, or became live.
    last_record: Instant,
    /// Records that the log has beyond `next`, when it was last asked.
    lag: i64,
    /// How long its watermark has stood still.
    stall: Stall,
    /// The watermark last written to the control topic, and when.
    published: Option<(i64, Instant)>,
    /// Whether it is live, and its policy is not known yet to be the job's and to be written.
    is_to_configure: bool,
    /// The watermark that it begins with, where it was never worked on.
    begins_at_ms: Option<i64>,
    /// Whether something has come of it since the last commit.
    has_output: bool,
    /// When its policy was last written to the control topic.
    stated: Option<Instant>,
    pub(super) snapshots: SnapshotTimes,
}

impl<T: Task> Active<T> {
    /// A partition as it was restored, at the beginning of its replay.
    pub(super) fn restored(restored: Restored<T>, terms: &Arc<Terms>, since: Instant, now: Instant) -> Self {
        debug_assert!(restored.start <= restored.replay_until);
        Self {
            number: restored.partition,
            terms: Arc::clone(terms),
            since,
            stall: Stall::new(restored.start, restored.task.watermark_ms()),
            task: restored.task,
            next: restored.start,
            directives: restored.directives_done,
            committed: restored.committed,
            phase: Phase::Replaying(Replay {
                until: restored.replay_until,
                directives: restored.directives,
                refusals: restored.refusals,
                records: 0,
                records_at_tick: 0,
            }),
            work: Work::Committed,
            waiting: Waiting::No,
            last_record: now,
            lag: 0,
            published: None,
            is_to_configure: false,
            begins_at_ms: restored.begins_at_ms,
            has_output: false,
            stated: None,
            snapshots: SnapshotTimes::new(now, restored.cost),
        }
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live)
    }

    /// Whether it has done something since the last commit, or left something out.
    pub(super) fn is_dirty(&self) -> bool {
        self.work != Work::Committed
    }

    pub(super) fn next(&self) -> i64 {
        self.next
    }

    pub(super) fn watermark_ms(&self) -> Option<i64> {
        self.task.watermark_ms()
    }

    /// Whether it has had no record for this long.
    pub(super) fn is_quiet(&self, time: Duration, now: Instant) -> bool {
        self.quiet_until(now) >= time
    }

    /// Tells the task which records come next.
    pub(super) fn prepare(&mut self, run: &[InputRecord<'_>]) {
        self.task.prepare(run);
    }

    /// Processes records that were fetched just before `now`: as new, or as part of the replay.
    pub(super) fn run(
        &mut self,
        run: &[InputRecord<'_>],
        now: Instant,
        effects: &mut impl Effects,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        debug_assert!(self.work != Work::Torn, "it was not rolled back");
        if self.waiting != Waiting::No {
            // It stays where it is, and comes again.
            return Ok(());
        }
        let mut live = self.replay(run, effects)?;
        if self.terms.aligns {
            live = self.admitted(live, now, effects);
        }
        if live.is_empty() {
            return Ok(());
        }
        // Whatever fails from here on, these records do not come again without a roll-back.
        self.work = Work::Torn;
        effects.begin()?;
        let sent = effects.sent();
        if self.is_to_configure {
            self.configure(effects)?;
        }
        for record in live {
            if record.offset < self.next {
                continue;
            }
            let done = self.task.process(record, effects.outbox());
            done.map_err(|reason| stopped(record.topic, self.number, reason))?;
            if let Some(failure) = effects.take_failure() {
                return Err(failure);
            }
            self.go_to(record.offset + 1);
            tally.add(record);
        }
        self.work = Work::Uncommitted;
        self.has_output |= effects.sent() != sent;
        self.snapshots.state_changed();
        self.last_record = now;
        tally.started.get_or_insert(now);
        Ok(())
    }

    fn go_to(&mut self, next: i64) {
        debug_assert!(self.next <= next, "a position went back");
        if self.next != next {
            self.directives = 0;
        }
        self.next = next;
    }

    /// A record of this partition was fetched and not processed, or something else was reported in
    /// its place. It needs a roll-back, live or not: the client's position is beyond it.
    pub(super) fn leave_out(&mut self) {
        self.work = Work::Torn;
    }

    /// Adds what the task and the worker have to say at a commit; the offset to commit, where there
    /// is something to.
    pub(super) fn close(&mut self, effects: &mut impl Effects) -> Result<Option<i64>, Failure> {
        match self.work {
            Work::Committed => return Ok(None),
            Work::Uncommitted => {}
            Work::Torn => {
                debug_assert!(false, "it was not rolled back");
                let reason = format!("records of partition {} were left out", self.number);
                return Err(Failure::Abort(reason));
            }
        }
        debug_assert!(self.is_live(), "a replay has nothing to commit");
        let sent = effects.sent();
        let closed = self.task.before_commit(effects.outbox());
        closed.map_err(|reason| stopped(&self.terms.topic, self.number, reason))?;
        self.has_output |= effects.sent() != sent;
        let (offset, sent, now) = (self.next, effects.sent(), effects.now());
        if self.terms.advances_idle
            && let Some(watermark_ms) = self.unpublished_watermark_ms(now)
        {
            self.publish(&ControlRecord::Watermark { offset, watermark_ms }, effects);
            self.published = Some((watermark_ms, now));
        }
        let is_due = |at| now.saturating_duration_since(at) >= STATE_INTERVAL;
        if !self.terms.policy.is_empty() && self.stated.is_none_or(is_due) {
            self.state_policy(effects);
        }
        for refused in effects.take_refusals(self.number, offset) {
            self.publish(&refused, effects);
        }
        // Then nothing has come of what is after the last control record, if the group should ever
        // forget its offset.
        if self.terms.tells_outputs && self.has_output && effects.sent() == sent {
            let watermark_ms = self.task.watermark_ms();
            let stated = ControlRecord::Policy {
                offset,
                policy: self.task.policy(),
                closed_until_ms: self.task.closed_until_ms(),
            };
            let told = watermark_ms.map_or(stated, |watermark_ms| ControlRecord::Watermark {
                offset,
                watermark_ms,
            });
            self.publish(&told, effects);
        }
        Ok(Some(self.next))
    }

    /// The watermark, if it has changed since it was last written to the control topic, about a
    /// second ago or more.
    fn unpublished_watermark_ms(&self, now: Instant) -> Option<i64> {
        let watermark_ms = self.task.watermark_ms()?;
        let is_recent = |at| now.saturating_duration_since(at) < PUBLISH_INTERVAL;
        match self.published {
            Some((ms, at)) if ms == watermark_ms || is_recent(at) => None,
            _ => Some(watermark_ms),
        }
    }

    /// The transaction with what was closed is committed.
    pub(super) fn commit(&mut self) {
        if self.work == Work::Committed {
            return;
        }
        debug_assert!(self.work == Work::Uncommitted && self.is_live());
        debug_assert!(self.committed.is_none_or(|committed| committed <= self.next));
        self.work = Work::Committed;
        self.has_output = false;
        self.committed = Some(self.next);
    }

    /// Whether its state is a snapshot of the committed offset: no other may be kept.
    pub(super) fn is_snapshot(&self) -> bool {
        self.is_live() && self.work == Work::Committed && self.committed == Some(self.next)
    }

    /// Whether a snapshot is due: of a committed state, and of one that has changed since the last.
    pub(super) fn wants_snapshot(&self, interval: Duration, now: Instant) -> bool {
        self.is_snapshot() && self.snapshots.is_due(interval, now)
    }

    /// Freezes the state right after a commit, with what the worker writes before it into
    /// `container`.
    pub(super) fn freeze(&mut self, container: &mut Vec<u8>) -> FrozenState {
        debug_assert!(self.is_snapshot(), "only a committed state is one");
        let envelope = Envelope {
            directives: self.directives,
            policy: &self.task.policy(),
        };
        envelope.write(container);
        self.task.freeze()
    }
}

/// A task's reason to stop, with the place.
fn stopped(topic: &str, partition: i32, reason: TaskError) -> Failure {
    Failure::Stop(WorkerError::Task {
        topic: topic.to_owned(),
        partition,
        reason,
    })
}
