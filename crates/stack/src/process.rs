//! One child process: its log, its pid record, and its end.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::StackError;
use crate::record::{self, ProcessRecord};

/// What to start.
#[derive(Debug)]
pub struct ProcessSpec {
    /// Its name, for its log file and record.
    pub name: String,
    /// The command. Its standard streams are set here: input is a pipe that ends when this process
    /// ends, so that a child that watches it can end too; output and errors go to the log.
    pub command: Command,
    /// Folder of its log, `NAME.log`; the log of the run before is kept as `NAME.previous.log`.
    pub logs_dir: PathBuf,
    /// Folder of its record, `NAME.json`.
    pub pids_dir: PathBuf,
    /// Processes with a lower number are stopped first where the records are all that is left.
    pub stop_order: u8,
    /// How long [`ManagedProcess::stop`] waits between SIGTERM and SIGKILL.
    pub stop_timeout: Duration,
}

/// A running child. Dropped, it is killed.
#[derive(Debug)]
pub struct ManagedProcess {
    name: String,
    child: Child,
    log: PathBuf,
    record: PathBuf,
    stop_timeout: Duration,
}

impl ManagedProcess {
    /// Starts it, in a process group of its own: Ctrl-C at the terminal reaches this process only,
    /// which then stops its children in order.
    ///
    /// # Errors
    /// The program, the log or the record cannot be opened.
    pub fn spawn(mut spec: ProcessSpec) -> Result<Self, StackError> {
        fs::create_dir_all(&spec.logs_dir).map_err(StackError::io("make", &spec.logs_dir))?;
        let log = spec.logs_dir.join(format!("{}.log", spec.name));
        if log.exists() {
            let previous = spec.logs_dir.join(format!("{}.previous.log", spec.name));
            fs::rename(&log, previous).map_err(StackError::io("rename", &log))?;
        }
        let output = File::create(&log).map_err(StackError::io("open", &log))?;
        let errors = output.try_clone().map_err(StackError::io("open", &log))?;
        let program = PathBuf::from(spec.command.get_program());
        let child = spec
            .command
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .map_err(StackError::io("start", &program))?;
        let mut process = Self {
            record: spec.pids_dir.join(format!("{}.json", spec.name)),
            name: spec.name,
            child,
            log,
            stop_timeout: spec.stop_timeout,
        };
        match ProcessRecord::of(&process.name, process.pid(), spec.stop_order) {
            Some(entry) => record::write(&process.record, &entry)?,
            // It has ended already; whoever waits for it will say so, with its log.
            None => drop(process.exited()),
        }
        Ok(process)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log file.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        // try_wait fails only for a process that is no child of this one.
        self.child.try_wait().ok().flatten()
    }

    /// If it has ended: the error that says so, with its status and the end of its log.
    pub fn exit_error(&mut self) -> Option<StackError> {
        let status = self.exited()?;
        Some(StackError::Exited {
            name: self.name.clone(),
            status: status.to_string(),
            log: self.log.clone(),
            tail: self.log_tail(),
        })
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        log_tail(&self.log, 25)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<(), StackError> {
        // A child that is not reaped keeps its id: between this look and the signal it cannot be
        // another process's.
        let gone = self.exited().is_some();
        let failed = |reason| StackError::Signal {
            name: self.name.clone(),
            pid: self.child.id(),
            reason,
        };
        if gone {
            return Err(failed(nix::Error::ESRCH));
        }
        let pid = i32::try_from(self.child.id()).map_err(|_| failed(nix::Error::EINVAL))?;
        kill(Pid::from_raw(pid), signal).map_err(failed)
    }

    /// Sends SIGTERM, waits, and kills what is left. Returns whether it ended by itself.
    ///
    /// # Errors
    /// A signal cannot be sent.
    pub async fn stop(&mut self) -> Result<bool, StackError> {
        if self.exited().is_none() {
            // A paused process would not see the SIGTERM.
            self.signal(Signal::SIGTERM)?;
            let _ = self.signal(Signal::SIGCONT);
        }
        let deadline = Instant::now() + self.stop_timeout;
        while self.exited().is_none() {
            if Instant::now() >= deadline {
                self.kill();
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        self.forget();
        Ok(true)
    }

    /// Kills it and waits for its end, which SIGKILL makes immediate.
    pub fn kill(&mut self) {
        // Fails only where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.forget();
    }

    fn forget(&self) {
        // A record that stays does no harm: its start time tells that its process is gone.
        let _ = fs::remove_file(&self.record);
    }
}

impl Drop for ManagedProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last `lines` lines of a log; a note where it cannot be read or is empty.
#[must_use]
pub fn log_tail(log: &Path, lines: usize) -> String {
    match fs::read(log) {
        Ok(bytes) if bytes.is_empty() => "(it is empty)".to_owned(),
        Ok(bytes) => last_lines(&String::from_utf8_lossy(&bytes), lines),
        Err(error) => format!("(cannot be read: {error})"),
    }
}

pub(crate) fn last_lines(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(folder: &Path, script: &str) -> ProcessSpec {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        ProcessSpec {
            name: "child".to_owned(),
            command,
            logs_dir: folder.join("logs"),
            pids_dir: folder.join("pids"),
            stop_order: 0,
            // For as long a busy machine's shell may need to obey.
            stop_timeout: Duration::from_secs(120),
        }
    }

    fn wait_until(mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !condition() {
            assert!(Instant::now() < deadline, "the condition did not come true");
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn a_child_that_takes_sigterm_ends_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = ManagedProcess::spawn(spec(
            dir.path(),
            "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done",
        ))
        .unwrap();
        wait_until(|| child.log_tail().contains("up"));
        assert!(dir.path().join("pids/child.json").exists());
        assert!(child.stop().await.unwrap());
        assert!(child.log_tail().contains("bye"));
        assert!(!dir.path().join("pids/child.json").exists());
    }

    #[tokio::test]
    async fn a_child_that_ignores_sigterm_is_killed_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap '' TERM; echo up; while :; do sleep 0.05; done";
        let mut child = ManagedProcess::spawn(ProcessSpec {
            stop_timeout: Duration::from_millis(300),
            ..spec(dir.path(), script)
        })
        .unwrap();
        wait_until(|| child.log_tail().contains("up"));
        assert!(!child.stop().await.unwrap());
        assert!(child.exited().is_some());
    }

    #[tokio::test]
    async fn a_child_that_dies_is_told_with_status_and_log() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = ManagedProcess::spawn(spec(dir.path(), "echo no such topic; exit 3")).unwrap();
        wait_until(|| child.exited().is_some());
        let error = child.exit_error().unwrap().to_string();
        assert!(
            error.contains("child ended by itself (exit status: 3)"),
            "{error}"
        );
        assert!(error.ends_with("no such topic"), "{error}");
    }

    #[tokio::test]
    async fn the_log_of_the_run_before_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        for word in ["first", "second"] {
            let mut child = ManagedProcess::spawn(spec(dir.path(), &format!("echo {word}"))).unwrap();
            wait_until(|| child.exited().is_some());
        }
        let read = |name: &str| fs::read_to_string(dir.path().join("logs").join(name)).unwrap();
        assert_eq!(read("child.log"), "second\n");
        assert_eq!(read("child.previous.log"), "first\n");
    }
}
