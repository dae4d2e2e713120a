//! What happened in schedules.

/// How often what happened, so that a simulation in which it does not is no proof.
#[derive(Debug, Default, Clone, Copy)]
pub struct Seen {
    /// Transactions that were committed.
    pub commits: u64,
    /// Batches that were rolled back.
    pub aborts: u64,
    /// Commits that nobody answered.
    pub unknown: u64,
    /// Commits of a worker that had lost a partition.
    pub fenced: u64,
    /// Workers that ended and were started again.
    pub crashes: u64,
    /// Partitions that a worker lost without knowing.
    pub losses: u64,
    /// Looks for snapshots that were due.
    pub snapshots: u64,
    /// Partitions that were restored from a snapshot.
    pub restored: u64,
    /// Records that were replayed.
    pub replayed: u64,
    /// Idle advances.
    pub advances: u64,
    /// Changes of policy.
    pub changes: u64,
    /// Changes of the settings that a running process has followed.
    pub followed: u64,
    /// Changes of policy that a task refused.
    pub refused: u64,
    /// Records that were refused by word of somebody outside of the log.
    pub recalled: u64,
    /// Offsets that the group forgot, and that were found again at an earlier place from which
    /// nothing had come.
    pub forgotten: u64,
    /// Partitions that were added to the input.
    pub grown: u64,
    /// Times that a partition waited for the others.
    pub waits: u64,
    /// Outputs that were committed.
    pub outputs: u64,
}

impl Seen {
    /// Adds up.
    pub fn add(&mut self, other: &Self) {
        self.commits += other.commits;
        self.aborts += other.aborts;
        self.unknown += other.unknown;
        self.fenced += other.fenced;
        self.crashes += other.crashes;
        self.losses += other.losses;
        self.snapshots += other.snapshots;
        self.restored += other.restored;
        self.replayed += other.replayed;
        self.advances += other.advances;
        self.changes += other.changes;
        self.followed += other.followed;
        self.refused += other.refused;
        self.recalled += other.recalled;
        self.forgotten += other.forgotten;
        self.grown += other.grown;
        self.waits += other.waits;
        self.outputs += other.outputs;
    }

    /// Of ten thousand schedules or more: whether all of it happened that may happen to any job.
    pub(super) fn assert_everything_happened(&self) {
        let Self {
            commits,
            aborts,
            unknown,
            fenced,
            crashes,
            losses,
            snapshots,
            restored,
            replayed,
            changes,
            outputs,
            // Only of some jobs.
            advances: _,
            followed: _,
            refused: _,
            recalled: _,
            forgotten: _,
            grown: _,
            waits: _,
        } = *self;
        let all = [
            commits, aborts, unknown, fenced, crashes, losses, snapshots, restored, replayed, changes,
            outputs,
        ];
        assert!(all.iter().all(|times| *times > 100), "{self:?}");
    }
}
