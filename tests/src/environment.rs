//! The stack that one run of the tests shares.

use std::env;

use anyhow::{Context, Result, bail};
use millrace_stack::{LocalStack, Ports, Progress, StackOptions};
use tempfile::TempDir;

use crate::TestContext;
use crate::containers::{self, Containers};

/// Decides how the stack is started: `docker` or `local`.
const CHOICE: &str = "MILLRACE_TEST_STACK";

/// The running stack, in containers or as local processes.
pub enum Environment {
    /// In containers.
    Docker(Containers),
    /// As processes, with their state in a folder that goes when they do.
    Local(Box<LocalStack>, TempDir),
}

impl Environment {
    /// Starts the stack: in containers where a Docker engine answers, else as local processes, unless the variable
    /// `MILLRACE_TEST_STACK` decides.
    ///
    /// # Errors
    /// As of the parts; or the variable has another value than `docker` or `local`.
    pub async fn start() -> Result<Self> {
        let docker = match env::var(CHOICE).ok().as_deref() {
            Some("docker") => true,
            Some("local") => false,
            None | Some("") => containers::engine_answers(),
            Some(other) => bail!("{CHOICE} is {other:?}; it must be docker or local"),
        };
        if docker {
            return Ok(Self::Docker(Containers::start().await?));
        }
        let folder = tempfile::Builder::new().prefix("millrace-stack-").tempdir()?;
        let options = StackOptions {
            ports: Ports::free()?,
            ..StackOptions::new(folder.path())
        };
        let stack = LocalStack::start(options, show)
            .await
            .context("starting the stack as local processes")?;
        Ok(Self::Local(Box::new(stack), folder))
    }

    /// Settings and a folder for the test `name`.
    ///
    /// # Errors
    /// As of [`TestContext::new`].
    pub fn context(&self, name: &str) -> Result<TestContext> {
        match self {
            Self::Docker(stack) => TestContext::new(
                name,
                &stack.bootstrap_servers,
                &stack.registry_url,
                &stack.elasticsearch_url,
            ),
            Self::Local(stack, _) => TestContext::new(
                name,
                &stack.bootstrap_servers(),
                &stack.registry_url(),
                &stack.elasticsearch_url(),
            ),
        }
    }

    /// How the stack was started.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Docker(_) => "containers",
            Self::Local(..) => "local processes",
        }
    }

    /// Stops everything.
    ///
    /// # Errors
    /// A local process that does not end.
    pub async fn stop(self) -> Result<()> {
        match self {
            Self::Docker(stack) => stack.stop().await,
            Self::Local(stack, _folder) => stack.stop().await?,
        }
        Ok(())
    }
}

fn show(progress: Progress) {
    if let Progress::Fetching { component } = progress {
        eprintln!("fetching {component}: once, it takes minutes on a slow line");
    }
}
