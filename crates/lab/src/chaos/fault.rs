//! The faults, by name.

use std::fmt;

use clap::ValueEnum;

/// What is done to a pipeline under load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// SIGKILL of the only worker of a job, which is started again at once
    WorkerKill,
    /// SIGKILL of one of two workers of each job, which stays away: the other takes its partitions
    /// over
    WorkerLoss,
    /// SIGKILL of every worker and the sink at once
    AllWorkersKill,
    /// SIGSTOP of one of two workers of each job past its session timeout, then SIGCONT: it must be
    /// fenced
    WorkerPause,
    /// Workers join and leave: from one to three of each job, and back to one
    WorkersJoinLeave,
    /// SIGKILL of a broker
    BrokerKill,
    /// SIGKILL of two of three brokers, which is below the minimum of in-sync replicas: everything
    /// must wait
    TwoBrokersKill,
    /// SIGKILL of the active controller
    ControllerKill,
    /// SIGKILL of Elasticsearch: the sink alone is held back
    ElasticsearchKill,
    /// SIGKILL of the schema registry: running services go on, and one that is started waits
    RegistryKill,
    /// Snapshots on a disk that is full, then SIGKILL
    SnapshotDiskFull,
    /// Snapshots deleted under a running pipeline, then again with a SIGKILL of every worker
    SnapshotsDeleted,
    /// The newest snapshot of each partition cut in half, then SIGKILL
    SnapshotsTorn,
    /// SIGKILL of the only worker of each job, which is started with other settings: window,
    /// lateness, disorder, thresholds; then a restart with the old ones
    SettingsChange,
    /// With `misplaced_records: rekey`: SIGKILL of the only worker that rekeys, then SIGSTOP of one
    /// of two past its session timeout: it must be fenced
    RekeyKill,
    /// Every service and every server stopped in good order and started again, one by one
    RollingRestart,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl Fault {
    /// Whether it is done to a pipeline that rekeys its transactions.
    #[must_use]
    pub fn rekeys(self) -> bool {
        self == Self::RekeyKill
    }

    /// What is done, in one sentence.
    #[must_use]
    pub fn describe(self) -> String {
        let value = self.to_possible_value();
        let help = value
            .as_ref()
            .and_then(|value| value.get_help().map(ToString::to_string));
        help.unwrap_or_default()
    }
}
