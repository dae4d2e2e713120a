//! A container, or a network of some, by Docker's own command: it lives until it is dropped.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Runs `docker ARGUMENTS…`; returns what it printed.
pub(super) async fn docker(arguments: &[&str]) -> Result<String> {
    let output = tokio::process::Command::new("docker")
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .context("running docker")?;
    ensure!(
        output.status.success(),
        "docker {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// As a last resort: nobody waits for what is dropped, or hears of its errors.
fn remove(arguments: &[&str]) {
    let mut command = Command::new("docker");
    let _ = command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// A network that containers find each other in by their names.
pub(super) struct Network(String);

impl Network {
    pub(super) async fn create(name: &str) -> Result<Self> {
        docker(&["network", "create", name]).await?;
        Ok(Self(name.to_owned()))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        remove(&["network", "rm", &self.0]);
    }
}

/// What a container is to be.
pub(super) struct Request {
    name: String,
    image: &'static str,
    options: Vec<String>,
    command: Vec<String>,
}

impl Request {
    /// A container `NETWORK-NAME` in a network, which is `NAME` to itself.
    pub(super) fn new(network: &str, name: &str, image: &'static str) -> Self {
        Self {
            name: format!("{network}-{name}"),
            image,
            options: vec![format!("--network={network}"), format!("--hostname={name}")],
            command: Vec::new(),
        }
    }

    pub(super) fn variable(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.options.push(format!("--env={name}={value}"));
        self
    }

    /// Shows the file `host` of this machine as `path`, to be read alone.
    pub(super) fn file(mut self, host: &str, path: &str) -> Self {
        self.options.push(format!("--volume={host}:{path}:ro"));
        self
    }

    /// Publishes `container_port` as `host_port` on loopback alone.
    pub(super) fn port(mut self, host_port: u16, container_port: u16) -> Self {
        let published = format!("--publish=127.0.0.1:{host_port}:{container_port}");
        self.options.push(published);
        self
    }

    /// What runs in place of the image's own command.
    pub(super) fn command<const N: usize>(mut self, command: [String; N]) -> Self {
        self.command = command.into();
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Starts it, after its image has been had. It need not serve yet.
    pub(super) async fn start(self) -> Result<Container> {
        // Made first: what is started half way is removed as well.
        let container = Container { name: self.name };
        let mut arguments = vec!["run", "--detach", "--name", &container.name];
        arguments.extend(self.options.iter().map(String::as_str));
        arguments.push(self.image);
        arguments.extend(self.command.iter().map(String::as_str));
        docker(&arguments).await?;
        Ok(container)
    }
}

/// A container; dropped, it is removed with all it has written.
pub(super) struct Container {
    name: String,
}

impl Container {
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        remove(&["rm", "--force", "--volumes", &self.name]);
    }
}
