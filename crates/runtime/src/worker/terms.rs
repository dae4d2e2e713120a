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
}

impl Terms {
    pub(super) fn of(job: &impl Job) -> Self {
        Self {
            topic: job.input_topic().to_owned(),
            control: job.control_topic().map(str::to_owned),
            advances_idle: job.advances_idle(),
            tells_outputs: job.tells_outputs() && job.control_topic().is_some(),
            aligns: job.max_skew_ms().is_some(),
            policy: job.policy(),
        }
    }
}
