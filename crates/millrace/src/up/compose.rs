//! The calls of Docker Compose.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tokio::process::Command;

/// Compose's own name for the project of `docker-compose.yml`: what a person starts by hand is the
/// same.
pub(crate) const PROJECT: &str = "millrace";
/// The project of `up --for`, with volumes of its own.
pub(crate) const FOR_PROJECT: &str = "millrace-for";

const FILE: &str = "docker-compose.yml";
/// An engine that answers does so at once.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Stopping waits for every service's grace period, the longest of which is 60 s, in stages.
const DOWN_TIMEOUT: Duration = Duration::from_secs(300);

/// A Compose project of this repository.
#[derive(Debug, Clone)]
pub(crate) struct Compose {
    project: &'static str,
    file: PathBuf,
    /// Set for every call: Compose puts them into the file.
    variables: BTreeMap<String, String>,
}

/// A service of the file.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Service {
    /// Its image.
    pub(crate) image: Option<String>,
    /// Whether its image is built here.
    build: Option<serde_json::Value>,
    #[serde(default)]
    depends_on: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    profiles: Vec<String>,
}

impl Service {
    /// Whether its image is built here.
    pub(crate) fn is_built(&self) -> bool {
        self.build.is_some()
    }

    /// Whether it starts without a profile.
    pub(crate) fn is_default(&self) -> bool {
        self.profiles.is_empty()
    }

    /// The services that must run first.
    pub(crate) fn depends_on(&self) -> impl Iterator<Item = &str> {
        self.depends_on.keys().map(String::as_str)
    }
}

/// A container of the project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Container {
    /// Its service.
    pub(crate) service: String,
    /// As `running`, `exited`.
    pub(crate) state: String,
    /// As `healthy`, `starting`; empty without a health check.
    #[serde(default)]
    pub(crate) health: String,
    /// Of the last exit.
    #[serde(default)]
    pub(crate) exit_code: i64,
}

impl Compose {
    /// The project, where an engine and the Compose plugin answer and the file is in the working
    /// directory or above.
    ///
    /// # Errors
    /// One of them is not there; the message is a reason to put after "because".
    pub(crate) async fn find(project: &'static str) -> anyhow::Result<Self> {
        let working = std::env::current_dir().context("the working directory cannot be read")?;
        let file = working
            .ancestors()
            .map(|folder| folder.join(FILE))
            .find(|file| file.is_file())
            .with_context(|| format!("there is no {FILE} in {} or above", working.display()))?;
        let mut engine = Command::new("docker");
        engine.args(["version", "--format", "{{.Server.Version}}"]);
        output(engine, ENGINE_TIMEOUT)
            .await
            .context("no Docker engine answers")?;
        let mut plugin = Command::new("docker");
        plugin.args(["compose", "version", "--short"]);
        output(plugin, ENGINE_TIMEOUT)
            .await
            .context("Docker has no Compose plugin (docker compose)")?;
        Ok(Self {
            project,
            file,
            variables: BTreeMap::new(),
        })
    }

    /// The folder of the file.
    pub(crate) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("."))
    }

    /// Sets a variable of the file.
    pub(crate) fn set(&mut self, name: String, value: String) {
        self.variables.insert(name, value);
    }

    fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new("docker");
        command
            .args(["compose", "--project-name", self.project, "--file"])
            .arg(&self.file);
        command.envs(&self.variables).args(arguments);
        command
    }

    async fn call<'a>(
        &self,
        timeout: Duration,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> anyhow::Result<Output> {
        output(self.command(arguments), timeout).await
    }

    /// The services of the file, with those of profiles.
    pub(crate) async fn services(&self) -> anyhow::Result<BTreeMap<String, Service>> {
        #[derive(Deserialize)]
        struct Config {
            services: BTreeMap<String, Service>,
        }
        let told = self
            .call(CALL_TIMEOUT, ["--profile", "*", "config", "--format", "json"])
            .await?;
        let config: Config = serde_json::from_slice(&told.stdout).with_context(|| {
            format!(
                "`docker compose config` of {} is not as expected",
                self.file.display()
            )
        })?;
        Ok(config.services)
    }

    /// The containers of the project, stopped ones too.
    pub(crate) async fn containers(&self) -> anyhow::Result<Vec<Container>> {
        let told = self
            .call(
                CALL_TIMEOUT,
                ["--profile", "*", "ps", "--all", "--format", "json"],
            )
            .await?;
        parse_containers(&told.stdout).context("`docker compose ps` is not as expected")
    }

    /// Builds the images of `services`.
    pub(crate) async fn build(&self, services: &[&str], timeout: Duration) -> anyhow::Result<()> {
        self.call(timeout, ["build"].into_iter().chain(services.iter().copied()))
            .await
            .map(drop)
    }

    /// Starts `services` and what they depend on, and waits until all are healthy.
    pub(crate) async fn up(&self, services: &[String], timeout: Duration) -> anyhow::Result<()> {
        let wait_s = timeout.as_secs().to_string();
        let options = [
            "up",
            "--wait",
            "--wait-timeout",
            &wait_s,
            "--no-build",
            "--pull",
            "never",
        ];
        let arguments = options.into_iter().chain(services.iter().map(String::as_str));
        // Compose keeps to its own timeout; this one is for a Compose that hangs.
        self.call(timeout + CALL_TIMEOUT, arguments).await.map(drop)
    }

    /// Stops one service in good order.
    pub(crate) async fn stop(&self, service: &str) -> anyhow::Result<()> {
        self.call(DOWN_TIMEOUT, ["stop", service]).await.map(drop)
    }

    /// Runs `millrace ARGUMENTS` in a container of its own and returns what it printed; a failure
    /// is no error here.
    pub(crate) async fn millrace(&self, arguments: &[&str], timeout: Duration) -> anyhow::Result<Output> {
        let run = ["--profile", "tools", "run", "--rm", "--no-TTY", "millrace"];
        run_to_end(
            self.command(run.into_iter().chain(arguments.iter().copied())),
            timeout,
        )
        .await
    }

    /// The end of a service's log.
    pub(crate) async fn log_tail(&self, service: &str) -> String {
        match self
            .call(
                CALL_TIMEOUT,
                ["logs", "--no-color", "--no-log-prefix", "--tail", "25", service],
            )
            .await
        {
            Ok(told) => String::from_utf8_lossy(&told.stdout).trim_end().to_owned(),
            Err(error) => format!("(its log cannot be read: {error:#})"),
        }
    }

    /// Stops and removes the containers, and the data too where `volumes` says so.
    pub(crate) async fn down(&self, volumes: bool) -> anyhow::Result<()> {
        let arguments = ["--profile", "*", "down", "--remove-orphans"].into_iter();
        self.call(DOWN_TIMEOUT, arguments.chain(volumes.then_some("--volumes")))
            .await
            .map(drop)
    }
}

/// Older versions of Compose print one list, newer ones an object a line.
fn parse_containers(told: &[u8]) -> serde_json::Result<Vec<Container>> {
    if told.trim_ascii_start().starts_with(b"[") {
        return serde_json::from_slice(told);
    }
    serde_json::Deserializer::from_slice(told).into_iter().collect()
}

/// Runs a command to its end; a failure carries the end of what it said.
pub(super) async fn output(command: Command, timeout: Duration) -> anyhow::Result<Output> {
    let name = describe(&command);
    let told = run_to_end(command, timeout).await?;
    if !told.status.success() {
        let said = String::from_utf8_lossy(&told.stderr);
        // Compose tells each step of each container: what went wrong is in the other lines.
        let lines: Vec<&str> = said
            .trim()
            .lines()
            .filter(|line| !line.starts_with(" Container "))
            .collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n");
        bail!("`{name}` failed ({}): {tail}", told.status);
    }
    Ok(told)
}

async fn run_to_end(mut command: Command, timeout: Duration) -> anyhow::Result<Output> {
    let name = describe(&command);
    // A process group of its own: Ctrl-C at the terminal is this process's to handle.
    command.stdin(Stdio::null()).kill_on_drop(true).process_group(0);
    match tokio::time::timeout(timeout, command.output()).await {
        Ok(told) => told.with_context(|| format!("`{name}` cannot be run")),
        Err(_) => bail!("`{name}` did not end within {} s", timeout.as_secs()),
    }
}

fn describe(command: &Command) -> String {
    let arguments = command
        .as_std()
        .get_args()
        .map(|argument| argument.to_string_lossy());
    // The file's path and the services' names make it long and say nothing.
    let words: Vec<_> = arguments
        .filter(|argument| !argument.starts_with('/'))
        .take(6)
        .collect();
    format!("docker {}", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_read_from_either_format() {
        let one = r#"{"Service":"init","State":"exited","Health":"","ExitCode":0,"Name":"millrace-init-1"}"#;
        let two = r#"{"Service":"detector","State":"running","Health":"healthy","ExitCode":0}"#;
        let lines = parse_containers(format!("{one}\n{two}\n").as_bytes()).unwrap();
        let list = parse_containers(format!("[{one},{two}]").as_bytes()).unwrap();
        assert_eq!(lines, list);
        assert_eq!(
            (lines[1].service.as_str(), lines[1].health.as_str()),
            ("detector", "healthy")
        );
        assert!(parse_containers(b"").unwrap().is_empty());
    }
}
