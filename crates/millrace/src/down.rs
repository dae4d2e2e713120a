//! `millrace down`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::state::{DEFAULT_DIR, State};
use crate::up::compose::{Compose, FOR_PROJECT, PROJECT};

/// How long an `up` may take to drain and stop.
const UP_TIMEOUT: Duration = Duration::from_secs(180);
/// How long a process that an `up` left behind may take.
const LEFTOVER_TIMEOUT: Duration = Duration::from_secs(20);

/// What goes beside the processes.
#[derive(Debug, Args)]
pub struct Options {
    /// Remove the data too: the state folder, and the volumes of Docker Compose
    #[arg(long)]
    volumes: bool,
    /// The state folder of local mode
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR)]
    state_dir: PathBuf,
}

/// Stops a running `up`, then what an `up` that was killed left behind, in either mode.
///
/// # Errors
/// Something cannot be stopped or removed.
pub async fn command(options: &Options) -> anyhow::Result<ExitCode> {
    let state = State::new(options.state_dir.clone());
    let mut found = false;
    if let Some(up) = state.running_up() {
        say!("stopping `millrace up` (process {})", up.pid);
        let pid = Pid::from_raw(i32::try_from(up.pid).context("an impossible process id")?);
        kill(pid, Signal::SIGTERM).with_context(|| format!("cannot signal process {pid}"))?;
        let deadline = Instant::now() + UP_TIMEOUT;
        while up.is_alive() {
            if Instant::now() >= deadline {
                bail!(
                    "process {pid} has not stopped within {} s; end it with `kill -9 {pid}`",
                    UP_TIMEOUT.as_secs()
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        found = true;
    }
    for name in state.stop_leftovers(LEFTOVER_TIMEOUT).await? {
        say!("stopped {name}");
        found = true;
    }
    for project in [PROJECT, FOR_PROJECT] {
        let Ok(compose) = Compose::find(project).await else {
            continue;
        };
        // With --volumes there may be volumes left of containers that are gone.
        if !compose.containers().await?.is_empty() || options.volumes {
            compose.down(options.volumes).await?;
            say!("stopped the containers of Docker Compose project {project}");
            found = true;
        }
    }
    if options.volumes {
        state.remove()?;
        say!("removed {}", state.root().display());
    } else if !found {
        say!("nothing was running");
    }
    Ok(ExitCode::SUCCESS)
}
