//! Records of started processes, so that what a killed parent left behind can be ended, and nothing
//! else.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

use crate::error::StackError;

/// A process id alone may be another process's by now; with its start time it names one process for
/// ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Its name.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// When it started, in seconds since 1970.
    pub started_s: u64,
    /// Processes with a lower number are stopped first.
    pub stop_order: u8,
}

impl ProcessRecord {
    /// The record of a process that runs now.
    #[must_use]
    pub fn of(name: &str, pid: u32, stop_order: u8) -> Option<Self> {
        Some(Self {
            name: name.to_owned(),
            pid,
            started_s: start_time_s(pid)?,
            stop_order,
        })
    }

    /// Whether that very process still runs.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        // A second of tolerance: some systems compute the start from an uptime that they round.
        start_time_s(self.pid).is_some_and(|start| start.abs_diff(self.started_s) <= 1)
    }

    fn signal(&self, signal: Signal) -> Result<(), StackError> {
        let failed = |reason| StackError::Signal {
            name: self.name.clone(),
            pid: self.pid,
            reason,
        };
        if !self.is_alive() {
            return Ok(());
        }
        let pid = i32::try_from(self.pid).map_err(|_| failed(nix::Error::EINVAL))?;
        match kill(Pid::from_raw(pid), signal) {
            // It ended between the look and the signal.
            Err(nix::Error::ESRCH) => Ok(()),
            other => other.map_err(failed),
        }
    }
}

fn start_time_s(pid: u32) -> Option<u64> {
    let pid = sysinfo::Pid::from_u32(pid);
    let mut system = System::new().ok()?;
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        true,
        ProcessRefreshKind::nothing(),
    );
    let process = system.process(pid)?;
    (!matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead)).then(|| process.start_time())
}

/// Writes a record.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, record: &ProcessRecord) -> Result<(), StackError> {
    let text = serde_json::to_string(record).map_err(|error| StackError::io("write", path)(error.into()))?;
    crate::components::write(path, &text).map(drop)
}

/// The records in a folder; none where there is no folder. A file that is no record is passed over.
#[must_use]
pub fn read_all(pids_dir: &Path) -> Vec<(PathBuf, ProcessRecord)> {
    let files = fs::read_dir(pids_dir).into_iter().flatten().flatten();
    let mut records: Vec<_> = files
        .filter_map(|file| {
            let path = file.path();
            let record: ProcessRecord = serde_json::from_str(&fs::read_to_string(&path).ok()?).ok()?;
            Some((path, record))
        })
        .collect();
    records.sort_by(|(_, a), (_, b)| (a.stop_order, &a.name).cmp(&(b.stop_order, &b.name)));
    records
}

/// Ends every recorded process that still runs, in order: SIGTERM, a bounded wait, SIGKILL. Returns
/// their names.
///
/// # Errors
/// A signal is refused.
pub async fn stop_recorded(pids_dir: &Path, timeout: Duration) -> Result<Vec<String>, StackError> {
    let records = read_all(pids_dir);
    let mut stopped = Vec::new();
    for group in records.chunk_by(|(_, a), (_, b)| a.stop_order == b.stop_order) {
        for (_, record) in group.iter().filter(|(_, record)| record.is_alive()) {
            record.signal(Signal::SIGTERM)?;
            record.signal(Signal::SIGCONT)?;
            stopped.push(record.name.clone());
        }
        let deadline = Instant::now() + timeout;
        while group.iter().any(|(_, record)| record.is_alive()) {
            if Instant::now() >= deadline {
                for (_, record) in group {
                    record.signal(Signal::SIGKILL)?;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for (path, _) in group {
            let _ = fs::remove_file(path);
        }
    }
    Ok(stopped)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn only_the_recorded_process_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut ours = Command::new("sleep").arg("600").spawn().unwrap();
        let mut other = Command::new("sleep").arg("600").spawn().unwrap();
        let record = ProcessRecord::of("ours", ours.id(), 0).unwrap();
        let mut reused = ProcessRecord::of("gone", other.id(), 0).unwrap();
        // As if the process of this record had ended long ago and its id had been given to another.
        reused.started_s -= 1000;
        write(&dir.path().join("ours.json"), &record).unwrap();
        write(&dir.path().join("gone.json"), &reused).unwrap();
        fs::write(dir.path().join("junk.json"), "no record").unwrap();

        let stopped = stop_recorded(dir.path(), Duration::from_secs(10)).await.unwrap();

        assert_eq!(stopped, ["ours"]);
        assert!(!ours.wait().unwrap().success());
        assert!(
            other.try_wait().unwrap().is_none(),
            "a process with a reused id lives on"
        );
        assert!(read_all(dir.path()).is_empty());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
