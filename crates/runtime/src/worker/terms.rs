//! What a worker's partitions know of their job.

use crate::Job;

/// A job as its partitions see it.
#[derive(Debug, Clone, Default)]
pub(super) struct Terms {
    /// The input topic.
    pub(super) topic: String,
    /// The control topic.
    pub(super) control: Option<String>,
    /// Whether idle partitions are advanced.
    pub(super) advances_idle: bool,
    /// Whether each commit in which there are outputs of a partition has a control record of it.
    pub(super) tells_outputs: bool,
    /// Whether partitions wait for each other.
    pub(super) aligns: bool,
    /// The policy that every live partition is to have.
    pub(super) policy: String,
    /// How often the job's policy had changed by then.
    pub(super) policy_changes: u64,
}

impl Terms {
    /// Whether live partitions are given the policy.
    pub(super) fn is_to_configure(&self) -> bool {
        self.control.is_some() && !self.policy.is_empty()
    }

    pub(super) fn of(job: &impl Job) -> Self {
        // Asked first: a change in between is only taken twice.
        let policy_changes = job.policy_changes();
        Self {
            policy_changes,
            topic: job.input_topic().to_owned(),
            control: job.control_topic().map(str::to_owned),
            advances_idle: job.advances_idle(),
            tells_outputs: job.tells_outputs() && job.control_topic().is_some(),
            aligns: job.max_skew_ms().is_some(),
            policy: job.policy(),
        }
    }
}
