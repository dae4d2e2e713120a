//! What is done for each fault. Every step waits for a condition, and each recovery is measured.

mod servers;
mod snapshots;
mod workers;

use anyhow::{Context as _, Result};

use super::bench::Bench;
use super::fault::Fault;

/// Does `fault` to the pipeline and waits until it has recovered and everything runs again as before.
///
/// # Errors
/// A step fails or takes too long; or something did not behave as it must.
pub async fn apply(fault: Fault, bench: &mut Bench) -> Result<()> {
    let done = act(fault, bench).await;
    done.with_context(|| format!("{fault}; {}", bench.fleet.tails()))
}

async fn act(fault: Fault, bench: &mut Bench) -> Result<()> {
    match fault {
        Fault::WorkerKill => workers::kill(bench).await,
        Fault::WorkerLoss => workers::lose(bench).await,
        Fault::AllWorkersKill => workers::kill_all(bench).await,
        Fault::WorkerPause => workers::pause(bench).await,
        Fault::WorkersJoinLeave => workers::join_and_leave(bench).await,
        Fault::BrokerKill => servers::kill_broker(bench).await,
        Fault::TwoBrokersKill => servers::kill_two_brokers(bench).await,
        Fault::ControllerKill => servers::kill_controller(bench).await,
        Fault::ElasticsearchKill => servers::kill_elasticsearch(bench).await,
        Fault::RegistryKill => servers::kill_registry(bench).await,
        Fault::SnapshotDiskFull => snapshots::fill_disk(bench).await,
        Fault::SnapshotsDeleted => snapshots::delete(bench).await,
        Fault::SnapshotsTorn => snapshots::tear(bench).await,
        Fault::RollingRestart => servers::restart_all(bench).await,
    }
}
