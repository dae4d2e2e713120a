//! Faults of the snapshots: lost, torn, or on a disk that is full. They cost time and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use millrace_catalog::Service;

use super::workers;
use crate::chaos::pipeline::{LIMIT, Pipeline};
use crate::harness::group::Group;
use crate::harness::worker::Worker;
use crate::wait::wait_until;

/// The worker whose state is the largest.
const DETECTOR: Worker = Worker(Service::Detector, 1);
/// The disk of [`fill_disk`]: for no more than a part of one snapshot.
const DISK: &str = "16k";

/// Every snapshot below `folder`, in the order of partition and offset.
fn snapshots(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        // A folder may go while it is looked at.
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "snap") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

async fn wait_for_snapshots(pipeline: &Pipeline) -> Result<()> {
    let folder = pipeline.settings.snapshots.url.clone();
    wait_until("snapshots of every job", LIMIT, || async {
        let found = snapshots(&folder);
        let of = |job: &str| {
            found.iter().any(|path| {
                path.components()
                    .any(|part| part.as_os_str().to_string_lossy().ends_with(job))
            })
        };
        let jobs = Group::jobs(&pipeline.settings);
        Ok(jobs.iter().all(|job| of(job.reader())).then_some(()))
    })
    .await
}

/// The folder goes under running workers, which write it anew; then it goes with them.
pub(super) async fn delete(pipeline: &mut Pipeline) -> Result<()> {
    wait_for_snapshots(pipeline).await?;
    let folder = pipeline.settings.snapshots.url.clone();
    remove(&folder)?;
    wait_for_snapshots(pipeline)
        .await
        .context("after the folder was deleted")?;
    remove(&folder)?;
    workers::kill_all(pipeline).await
}

fn remove(folder: &Path) -> Result<()> {
    // A snapshot that is being written may make its folder anew meanwhile.
    for _ in 0..10 {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
            result => return result.with_context(|| format!("deleting {}", folder.display())),
        }
    }
    bail!("{} is written to faster than it can be deleted", folder.display())
}

/// The newest snapshot of each partition is half there, as after a crash of a machine whose disk
/// lied.
pub(super) async fn tear(pipeline: &mut Pipeline) -> Result<()> {
    wait_for_snapshots(pipeline).await?;
    // Stopped first, so that no newer one comes after.
    pipeline.fleet.pause(DETECTOR)?;
    let mut newest = BTreeMap::new();
    for path in snapshots(&pipeline.settings.snapshots.url) {
        if path.to_string_lossy().contains("millrace-detect") || path.to_string_lossy().contains("detect/") {
            newest.insert(path.parent().map(Path::to_owned), path);
        }
    }
    ensure!(!newest.is_empty(), "the detector has no snapshot to tear");
    for path in newest.values() {
        let file = fs::File::options().write(true).open(path)?;
        file.set_len(file.metadata()?.len() / 2)?;
    }
    let before = pipeline.mark();
    pipeline.fleet.kill(DETECTOR)?;
    pipeline.fleet.start(DETECTOR, &[])?;
    pipeline
        .recovered(
            "SIGKILL with torn snapshots",
            before,
            &[Group::Detect],
            Some(Service::Detector),
        )
        .await?;
    let refused = pipeline
        .fleet
        .log(DETECTOR)
        .matches("a snapshot is refused")
        .count();
    ensure!(
        refused >= newest.len(),
        "{} snapshots were torn, and {refused} refused",
        newest.len()
    );
    Ok(())
}

/// The detector's snapshots go to a disk that has no room for one: it goes on without, and a
/// restart replays the log.
pub(super) async fn fill_disk(pipeline: &mut Pipeline) -> Result<()> {
    let folder = pipeline.settings.snapshots.url.clone();
    fs::create_dir_all(&folder)?;
    let within = with_small_disk(&folder)?;
    pipeline.fleet.stop(DETECTOR).await?;
    pipeline.fleet.start(DETECTOR, &within)?;
    pipeline.fleet.ready(DETECTOR).await?;
    let fleet = &pipeline.fleet;
    wait_until("a snapshot that finds the disk full", LIMIT, || async {
        let failures = fleet.metric(DETECTOR, "millrace_snapshot_failures_total").await;
        Ok(failures.filter(|count| *count > 0.0).map(drop))
    })
    .await?;
    let enough = i64::try_from(pipeline.settings.producer.rate_per_s)?.max(1) * 5;
    pipeline.monitor.advanced(Group::Detect, enough, LIMIT).await?;
    let before = pipeline.mark();
    pipeline.fleet.kill(DETECTOR)?;
    pipeline.fleet.start(DETECTOR, &[])?;
    pipeline
        .recovered(
            "SIGKILL on a full disk",
            before,
            &[Group::Detect],
            Some(Service::Detector),
        )
        .await?;
    pipeline.fleet.ready(DETECTOR).await
}

/// A command that runs another with a small disk in the place of `folder`, seen by that process
/// alone: a mount namespace of its own with a tmpfs in it.
fn with_small_disk(folder: &Path) -> Result<Vec<String>> {
    let script = r#"mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@""#;
    let unshare = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c"];
    let mut command: Vec<String> = unshare.map(str::to_owned).into();
    command.extend([script, "sh", DISK].map(str::to_owned));
    command.push(folder.display().to_string());
    let tried = Command::new(&command[0]).args(&command[1..]).arg("true").output();
    let refused = match tried {
        Ok(output) if output.status.success() => return Ok(command),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    bail!(
        "this machine gives no mount namespace for a small disk (unshare --mount --user --map-root-user: {refused}); \
         the fault needs Linux with unprivileged user namespaces, or root"
    )
}
