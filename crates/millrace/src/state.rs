//! The state folder: what is where, and who runs.
//!
//! `.millrace/` holds `stack` (Kafka's and Elasticsearch's data), `ledger`, `snapshots`, `logs` and
//! `pids` of `millrace up`, and `runs/TIME` with the same for each `millrace up --for`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use millrace_settings::Settings;
use millrace_stack::record::{self, ProcessRecord};

/// The default state folder, in the working directory.
pub const DEFAULT_DIR: &str = ".millrace";
const UP: &str = "up";

/// The folder of one `up`.
#[derive(Debug, Clone)]
pub struct State {
    root: PathBuf,
}

impl State {
    /// The folder itself; `up` without `--for` keeps its data in it from one start to the next.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// A new folder for one run.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn for_run(&self) -> anyhow::Result<Self> {
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let root = self
            .root
            .join("runs")
            .join(format!("{time}-{}", std::process::id()));
        fs::create_dir_all(&root).with_context(|| format!("cannot make the folder {}", root.display()))?;
        Ok(Self { root })
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of Kafka's, the registry's, Elasticsearch's and Prometheus's data.
    #[must_use]
    pub fn stack(&self) -> PathBuf {
        self.root.join("stack")
    }

    /// Folder of the services' logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Folder of the services' pid records.
    #[must_use]
    pub fn pids(&self) -> PathBuf {
        self.root.join("pids")
    }

    /// Points the ledger and the snapshots into this folder: always for a run, whose data is new;
    /// else where the configuration leaves them at their defaults.
    pub fn place(&self, settings: &mut Settings, is_run: bool) {
        let defaults = Settings::default();
        if is_run || settings.producer.ledger_dir == defaults.producer.ledger_dir {
            settings.producer.ledger_dir = self.root.join("ledger");
        }
        // In an object store, the cluster's id in each snapshot keeps the runs apart.
        let is_folder = !settings.snapshots.url.to_string_lossy().contains("://");
        if (is_run && is_folder) || settings.snapshots.url == defaults.snapshots.url {
            settings.snapshots.url = self.root.join("snapshots");
        }
    }

    /// Removes the data of a run and leaves its logs.
    ///
    /// # Errors
    /// A folder cannot be removed.
    pub fn remove_data(&self) -> anyhow::Result<()> {
        for entry in fs::read_dir(self.stack()).into_iter().flatten().flatten() {
            if entry.file_name() != "logs" {
                remove(&entry.path())?;
            }
        }
        remove(&self.root.join("snapshots"))
    }

    /// Says that this process is the `up` of this folder.
    ///
    /// # Errors
    /// Another one is; or the record cannot be written.
    pub fn claim(&self) -> anyhow::Result<Claim> {
        if let Some(other) = self.running_up() {
            anyhow::bail!(
                "process {} is a `millrace up` with the state folder {}; stop it with `millrace down`, or use \
                 another folder (--state-dir) with other ports in the configuration",
                other.pid,
                self.root.display()
            );
        }
        let path = self.up_path();
        let own =
            ProcessRecord::of(UP, std::process::id(), 0).context("this process is not among the system's")?;
        record::write(&path, &own)?;
        Ok(Claim { path })
    }

    /// The `up` of this folder, if one runs.
    #[must_use]
    pub fn running_up(&self) -> Option<ProcessRecord> {
        let record: ProcessRecord = serde_json::from_str(&fs::read_to_string(self.up_path()).ok()?).ok()?;
        record.is_alive().then_some(record)
    }

    fn up_path(&self) -> PathBuf {
        self.root.join("up.json")
    }

    /// Ends what a killed `up` left: here and in every run. Returns the names of the processes.
    ///
    /// # Errors
    /// A process cannot be signalled.
    pub async fn stop_leftovers(&self, timeout: Duration) -> anyhow::Result<Vec<String>> {
        let mut stopped = Vec::new();
        let runs = fs::read_dir(self.root.join("runs"))
            .into_iter()
            .flatten()
            .flatten();
        let mut roots: Vec<PathBuf> = runs.map(|run| run.path()).collect();
        roots.push(self.root.clone());
        for root in roots {
            let state = Self { root };
            // The services first: they use the stack.
            stopped.extend(millrace_stack::stop_recorded(&state.pids(), timeout).await?);
            stopped.extend(millrace_stack::stop_recorded(&state.stack().join("pids"), timeout).await?);
        }
        Ok(stopped)
    }

    /// Removes the whole folder.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self) -> anyhow::Result<()> {
        remove(&self.root)
    }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(fs::remove_file(path)?),
        other => other.with_context(|| format!("cannot remove {}", path.display())),
    }
}

/// The record of this `up`; dropped, it is removed.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // A record that stays names a process that is gone.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_a_ledger_and_snapshots_of_its_own() {
        let state = State::new(PathBuf::from("s"));
        let mut settings = Settings::default();
        settings.producer.ledger_dir = PathBuf::from("elsewhere");
        let mut of_run = settings.clone();
        state.place(&mut settings, false);
        assert_eq!(
            settings.producer.ledger_dir,
            Path::new("elsewhere"),
            "the configuration says so"
        );
        assert_eq!(settings.snapshots.url, Path::new("s/snapshots"));
        state.place(&mut of_run, true);
        assert_eq!(of_run.producer.ledger_dir, Path::new("s/ledger"));
    }

    #[test]
    fn one_up_claims_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::new(dir.path().to_owned());
        let claim = state.claim().unwrap();
        let error = state.claim().unwrap_err().to_string();
        assert!(
            error.contains(&format!("process {} is a `millrace up`", std::process::id())),
            "{error}"
        );
        drop(claim);
        assert!(state.running_up().is_none());
        state.claim().unwrap();
    }

    #[test]
    fn the_data_of_a_run_goes_and_its_logs_stay() {
        let dir = tempfile::tempdir().unwrap();
        let run = State::new(dir.path().to_owned()).for_run().unwrap();
        for below in ["stack/broker-1/data", "stack/logs", "logs", "snapshots"] {
            fs::create_dir_all(run.root().join(below)).unwrap();
        }
        fs::write(run.stack().join("lock"), "").unwrap();
        run.remove_data().unwrap();
        let left = |below: &str| run.root().join(below).exists();
        assert!(left("stack/logs") && left("logs"));
        assert!(!left("stack/broker-1") && !left("snapshots") && !left("stack/lock"));
    }
}
