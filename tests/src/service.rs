//! Services as child processes of the test binary, which carries the `millrace` command.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use millrace_lab::chaos::Program;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{TestContext, ready, wait_until};

/// Set in a child: it is the `millrace` command, not the tests.
const CHILD: &str = "MILLRACE_TEST_CHILD";

/// The status that a panic exits with.
const PANIC: i32 = 101;

/// How long a service may take to become ready, or to end, on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// Whether this process is to be the `millrace` command.
#[must_use]
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// This binary as the `millrace` command.
///
/// # Errors
/// Its file cannot be found.
pub fn program() -> Result<Program> {
    Ok(Program {
        variables: vec![(CHILD.to_owned(), "1".to_owned())],
        ..Program::this()?
    })
}

/// Runs the `millrace` command with this process's arguments.
///
/// # Errors
/// There can be no runtime.
pub fn run_child() -> ExitCode {
    millrace::dispatch::main()
}

/// A stream of transactions over simulated event time.
#[derive(Debug, Clone, Copy)]
pub struct Simulated {
    /// Transactions.
    pub count: u64,
    /// How many a second; 0 is as fast as it goes.
    pub rate_per_s: u64,
    /// Event time of the first, in milliseconds since 1970.
    pub start_time_ms: i64,
    /// Transactions a second of event time.
    pub event_rate_per_s: u64,
}

/// A running command; dropped, it is killed.
pub struct Service {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts `millrace ARGUMENTS… --config FILE` with the test's settings; `name` is that of its
    /// log.
    ///
    /// # Errors
    /// The process cannot be started.
    pub fn start(context: &TestContext, name: &str, arguments: &[&str]) -> Result<Self> {
        Self::start_with(context, name, arguments, &[])
    }

    /// Starts the producer over simulated event time, in one thread.
    ///
    /// # Errors
    /// As of [`Self::start`].
    pub fn start_simulated(context: &TestContext, stream: &Simulated) -> Result<Self> {
        let flags = [
            ("--count", stream.count.to_string()),
            ("--threads", "1".to_owned()),
            ("--rate", stream.rate_per_s.to_string()),
            ("--start-time", stream.start_time_ms.to_string()),
            ("--event-rate", stream.event_rate_per_s.to_string()),
        ];
        let mut arguments = vec!["service", "producer"];
        for (flag, value) in &flags {
            arguments.extend([*flag, value]);
        }
        Self::start(context, "producer", &arguments)
    }

    /// As [`Self::start`], with these variables in its environment.
    ///
    /// # Errors
    /// The process cannot be started.
    pub fn start_with(
        context: &TestContext,
        name: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let config = context.path(format!("{name}.yml"));
        fs::write(&config, serde_yaml_ng::to_string(&context.settings)?)?;
        let log = context.path(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .arg("--config")
            .arg(&config)
            .env(CHILD, "1")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Waits until `/health/ready` on `port` says so.
    ///
    /// # Errors
    /// It ends, or is not ready in time; with the end of its log.
    pub async fn ready(&mut self, port: u16) -> Result<()> {
        let url = format!("http://127.0.0.1:{port}/health/ready");
        let answer = tokio::select! {
            answer = ready::answers(&url, LIMIT) => answer,
            ended = wait_for_end(&mut self.child, LIMIT) => ended.and_then(|status| bail!("it ended early with {status}")),
        };
        answer.with_context(|| self.tail())
    }

    /// Ends it as a crash would.
    ///
    /// # Errors
    /// It has ended by itself.
    pub fn kill(mut self) -> Result<()> {
        ensure!(
            self.child.try_wait()?.is_none(),
            "{} had ended by itself\n{}",
            self.name,
            self.tail()
        );
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops it as an operator would, and checks that it ends well.
    ///
    /// # Errors
    /// It does not end in time, or with another status than 0.
    pub async fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        self.succeed(LIMIT).await
    }

    /// Waits until it ends by itself, with status 0.
    ///
    /// # Errors
    /// It does not end within `limit`, or with another status; with the end of its log.
    pub async fn succeed(&mut self, limit: Duration) -> Result<()> {
        let status = wait_for_end(&mut self.child, limit)
            .await
            .with_context(|| self.tail())?;
        ensure!(
            status.success(),
            "{} ended with {status}\n{}",
            self.name,
            self.tail()
        );
        Ok(())
    }

    /// Waits until it ends by itself; the status it exits with, and all it has written.
    ///
    /// # Errors
    /// It does not end within `limit`.
    pub async fn end(&mut self, limit: Duration) -> Result<(Option<i32>, String)> {
        let status = wait_for_end(&mut self.child, limit).await;
        let status = status.with_context(|| self.tail())?;
        Ok((status.code(), self.output()))
    }

    /// Waits until it ends by itself with an error. A panic or a signal is none of its own, and no
    /// refusal.
    ///
    /// # Errors
    /// It does not end within `limit`, or in another way; with the end of its log.
    pub async fn fail(&mut self, limit: Duration) -> Result<()> {
        let status = wait_for_end(&mut self.child, limit)
            .await
            .with_context(|| self.tail())?;
        ensure!(
            status.code().is_some_and(|code| code != 0 && code != PANIC),
            "{} ended with {status}, and not with an error of its own\n{}",
            self.name,
            self.tail()
        );
        Ok(())
    }

    /// Whether it has not ended.
    ///
    /// # Errors
    /// The system does not say.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// All it has written.
    #[must_use]
    pub fn output(&self) -> String {
        // The end of what it is writing may be half a letter.
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<_> = output.lines().collect();
        format!(
            "the end of the log of {}:\n{}",
            self.name,
            lines[lines.len().saturating_sub(30)..].join("\n")
        )
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn wait_for_end(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let start = std::time::Instant::now();
    let child = std::cell::RefCell::new(child);
    let status = wait_until("the end of a process", limit, || async {
        Ok(child.borrow_mut().try_wait()?)
    })
    .await;
    status.with_context(|| format!("after {:.0} s", start.elapsed().as_secs_f32()))
}
