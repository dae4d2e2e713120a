//! One assigned partition: its task, where it is in the log, and its replay.

use std::time::{Duration, Instant};

use crate::Task;
use crate::control::Advances;
use crate::stall::Stall;

/// The records to replay after a restore: those below the committed offset.
#[derive(Debug)]
pub(super) struct Replay {
    /// The committed offset: the first record that is new.
    pub(super) until: i64,
    /// Advances among them.
    pub(super) advances: Advances,
    /// Records replayed so far.
    pub(super) records: u64,
    /// How many there were at the last tick.
    pub(super) records_at_tick: u64,
}

/// A partition with its state.
pub(super) struct Active<T> {
    pub(super) task: T,
    /// The next record's offset.
    pub(super) next: i64,
    /// What the group has committed; `None` before its first commit.
    pub(super) committed: Option<i64>,
    /// The replay, while there is one. Without one, the partition is live.
    pub(super) replay: Option<Replay>,
    /// Whether something was processed since the last commit.
    pub(super) dirty: bool,
    /// When it got its last record, or became live.
    pub(super) last_record: Instant,
    /// Records that the log has beyond `next`, when it was last asked.
    pub(super) lag: i64,
    /// How long its watermark has stood still.
    pub(super) stall: Stall,
    /// The watermark last written to the control topic, and when.
    pub(super) published: Option<(i64, Instant)>,
    /// Whether the state has changed since the last snapshot was taken.
    pub(super) changed: bool,
    /// When the last snapshot was taken.
    pub(super) snapshot_taken: Instant,
    /// The processor time that it took to write, or, before the first, to restore.
    pub(super) snapshot_cost: Duration,
    /// When the last snapshot was stored.
    pub(super) snapshot_stored: Instant,
}

impl<T: Task> Active<T> {
    pub(super) fn is_live(&self) -> bool {
        self.replay.is_none()
    }

    /// Whether a snapshot is due: only a committed state is one.
    pub(super) fn wants_snapshot(&self, interval: Duration) -> bool {
        self.is_live()
            && !self.dirty
            && self.changed
            && self.committed == Some(self.next)
            && self.snapshot_taken.elapsed() >= interval
    }

    /// The watermark, if it has changed since it was last written to the control topic, about a second ago or more.
    pub(super) fn unpublished_watermark_ms(&self) -> Option<i64> {
        let watermark_ms = self.task.watermark_ms()?;
        match self.published {
            Some((ms, at)) if ms == watermark_ms || at.elapsed() < Duration::from_secs(1) => None,
            _ => Some(watermark_ms),
        }
    }
}

/// A partition of this worker.
pub(super) struct Partition<T> {
    pub(super) number: i32,
    /// Which restore of which assignment the present state is of: an answer to an earlier one is void.
    pub(super) epoch: u64,
    /// When it was assigned, or had to be restored anew.
    pub(super) since: Instant,
    /// `None` while it is being restored.
    pub(super) active: Option<Active<T>>,
}

/// A partition's task and position, and its [`Partition::since`]; `None` if the partition is not this worker's, or is being
/// restored.
pub(super) fn active_of<T>(
    partitions: &mut [Partition<T>],
    number: i32,
) -> Option<(&mut Active<T>, Instant)> {
    let partition = partitions
        .iter_mut()
        .find(|partition| partition.number == number)?;
    Some((partition.active.as_mut()?, partition.since))
}
