//! What is done for each fault. Every step waits for a condition, and each recovery is measured.

mod rekey;
mod servers;
mod settings;
mod snapshots;
mod workers;

use anyhow::{Context as _, Result};

use super::fault::Fault;
use super::pipeline::Pipeline;

/// Does `fault` to the pipeline and waits until it has recovered and everything runs again as
/// before.
///
/// # Errors
/// A step fails or takes too long; or something did not behave as it must.
pub async fn apply(fault: Fault, pipeline: &mut Pipeline) -> Result<()> {
    let done = act(fault, pipeline).await;
    done.with_context(|| format!("{fault}; {}", pipeline.fleet.tails()))
}

async fn act(fault: Fault, pipeline: &mut Pipeline) -> Result<()> {
    let jobs = workers::jobs(&pipeline.settings);
    match fault {
        Fault::WorkerKill => workers::kill(pipeline, &jobs).await,
        Fault::WorkerLoss => workers::lose(pipeline).await,
        Fault::AllWorkersKill => workers::kill_all(pipeline).await,
        Fault::WorkerPause => workers::pause(pipeline, &jobs).await,
        Fault::WorkersJoinLeave => workers::join_and_leave(pipeline).await,
        Fault::BrokerKill => servers::kill_broker(pipeline).await,
        Fault::TwoBrokersKill => servers::kill_two_brokers(pipeline).await,
        Fault::ControllerKill => servers::kill_controller(pipeline).await,
        Fault::ElasticsearchKill => servers::kill_elasticsearch(pipeline).await,
        Fault::RegistryKill => servers::kill_registry(pipeline).await,
        Fault::SnapshotDiskFull => snapshots::fill_disk(pipeline).await,
        Fault::SnapshotsDeleted => snapshots::delete(pipeline).await,
        Fault::SnapshotsTorn => snapshots::tear(pipeline).await,
        Fault::SettingsChange => settings::change(pipeline).await,
        Fault::RekeyKill => rekey::kill_and_pause(pipeline).await,
        Fault::RollingRestart => servers::restart_all(pipeline).await,
    }
}
