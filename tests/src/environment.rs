//! The stack that one run of the tests shares.

use std::env;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use millrace_lab::chaos::Cluster;
use millrace_settings::Settings;
use millrace_stack::{Heaps, KafkaTools, LocalStack, Node, Ports, Progress, StackOptions};
use tempfile::TempDir;
use tokio::sync::{Mutex, RwLock};

use crate::TestContext;
use crate::containers::{self, Containers};
use crate::context::Held;
use crate::secure::{self, Secure};

/// Decides how the stack is started: `docker` or `local`; or `running`, where one is there on the
/// documented ports.
const CHOICE: &str = "MILLRACE_TEST_STACK";

/// Whether the stack is one that runs already, which no test may do faults to.
#[must_use]
pub fn is_borrowed() -> bool {
    env::var(CHOICE).is_ok_and(|choice| choice == "running")
}

/// Whether the stack is in containers.
#[must_use]
pub fn is_docker() -> bool {
    match env::var(CHOICE).ok().as_deref() {
        None | Some("") => containers::engine_answers(),
        Some(choice) => choice == "docker",
    }
}

/// Whether the stack has a listener with TLS: as local processes.
#[must_use]
pub fn is_secure() -> bool {
    !is_borrowed() && !is_docker()
}

/// The running stack, in containers or as local processes.
pub struct Environment {
    kind: &'static str,
    addresses: Addresses,
    stack: Arc<dyn Cluster>,
    running: Running,
    /// Held by each test while it runs: by many at once, or by one that does faults to the servers.
    servers: Arc<RwLock<()>>,
}

/// Where the stack is.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Kafka's brokers.
    pub bootstrap_servers: String,
    /// The registry's Confluent API.
    pub registry_url: String,
    /// Elasticsearch.
    pub elasticsearch_url: String,
    /// The brokers' listener with TLS and a login, where the stack has one: as local processes.
    pub secure: Option<Secure>,
    /// Kafka's own tools, where there is that listener.
    pub kafka_tools: Option<KafkaTools>,
}

/// What is to be stopped at the end.
enum Running {
    Docker(Arc<Containers>),
    /// With its state in a folder that goes when the processes do.
    Local(Arc<Mutex<LocalStack>>, TempDir),
    /// It was there before, and stays.
    Borrowed,
}

impl Environment {
    /// Starts the stack: in containers where a Docker engine answers, else as local processes,
    /// unless the variable `MILLRACE_TEST_STACK` decides.
    ///
    /// # Errors
    /// As of the parts; or the variable has another value than `docker`, `local` or `running`.
    pub async fn start() -> Result<Self> {
        let docker = match env::var(CHOICE).ok().as_deref() {
            Some("docker") => true,
            Some("local") => false,
            None | Some("") => containers::engine_answers(),
            Some("running") => return Ok(Self::borrowed()),
            Some(other) => bail!("{CHOICE} is {other:?}; it must be docker, local or running"),
        };
        let held = Arc::default();
        if docker {
            let stack = Arc::new(Containers::start().await?);
            return Ok(Self {
                kind: "containers",
                addresses: Addresses {
                    bootstrap_servers: stack.bootstrap_servers.clone(),
                    registry_url: stack.registry_url.clone(),
                    elasticsearch_url: stack.elasticsearch_url.clone(),
                    secure: None,
                    kafka_tools: None,
                },
                stack: stack.clone(),
                running: Running::Docker(stack),
                servers: held,
            });
        }
        let folder = tempfile::Builder::new().prefix("millrace-stack-").tempdir()?;
        let ports = Ports::free()?;
        let (listener, secure) = secure::listener(folder.path(), &ports)?;
        let options = StackOptions {
            ports,
            secure: Some(listener),
            are_brief: true,
            // A run of all tests fills the default's old space, and its last ones, which kill
            // brokers, would wait for collections.
            heaps: Heaps {
                broker_mib: 512,
                ..Heaps::default()
            },
            ..StackOptions::new(folder.path())
        };
        let stack = LocalStack::start(options, show)
            .await
            .context("starting the stack as local processes")?;
        let addresses = Addresses {
            bootstrap_servers: stack.bootstrap_servers(),
            registry_url: stack.registry_url(),
            elasticsearch_url: stack.elasticsearch_url(),
            secure: Some(secure),
            kafka_tools: Some(stack.kafka_tools()),
        };
        let stack = Arc::new(Mutex::new(stack));
        Ok(Self {
            kind: "local processes",
            addresses,
            stack: stack.clone(),
            running: Running::Local(stack, folder),
            servers: held,
        })
    }

    /// The stack that runs already on the documented ports.
    fn borrowed() -> Self {
        let settings = Settings::default();
        Self {
            kind: "a stack that ran already",
            addresses: Addresses {
                bootstrap_servers: settings.kafka.bootstrap_servers,
                registry_url: settings.schema_registry.url,
                elasticsearch_url: settings.elasticsearch.url,
                secure: None,
                kafka_tools: None,
            },
            stack: Arc::new(Borrowed),
            running: Running::Borrowed,
            servers: Arc::default(),
        }
    }

    /// Settings and a folder for the test `name`. One that is `alone` waits until no other test
    /// runs, and keeps others waiting: it does faults to the servers that all share.
    ///
    /// # Errors
    /// As of [`TestContext::new`].
    pub async fn context(&self, name: &str, alone: bool) -> Result<TestContext> {
        let servers = Arc::clone(&self.servers);
        let held = if alone {
            Held::Alone(servers.write_owned().await)
        } else {
            Held::Shared(servers.read_owned().await)
        };
        TestContext::new(name, &self.addresses, Arc::clone(&self.stack), held)
    }

    /// Kafka's brokers.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.addresses.bootstrap_servers
    }

    /// How the stack was started.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Stops everything.
    ///
    /// # Errors
    /// A local process that does not end.
    pub async fn stop(self) -> Result<()> {
        drop(self.stack);
        match self.running {
            Running::Docker(stack) => {
                if let Some(stack) = Arc::into_inner(stack) {
                    stack.stop().await;
                }
            }
            Running::Local(stack, _folder) => {
                if let Some(stack) = Arc::into_inner(stack) {
                    stack.into_inner().stop().await?;
                }
            }
            Running::Borrowed => {}
        }
        Ok(())
    }
}

/// Servers of somebody else: no fault is done to them.
struct Borrowed;

impl Borrowed {
    fn refuse<T>() -> BoxFuture<'static, Result<T>> {
        async { bail!("a stack that ran already is not to be disturbed") }.boxed()
    }
}

impl Cluster for Borrowed {
    fn kill(&self, _: Node) -> BoxFuture<'_, Result<()>> {
        Self::refuse()
    }

    fn stop(&self, _: Node) -> BoxFuture<'_, Result<()>> {
        Self::refuse()
    }

    fn start(&self, _: Node) -> BoxFuture<'_, Result<()>> {
        Self::refuse()
    }

    fn active_controller(&self) -> BoxFuture<'_, Result<Option<Node>>> {
        Self::refuse()
    }

    fn mend(&self) -> BoxFuture<'_, Result<()>> {
        Self::refuse()
    }
}

fn show(progress: Progress) {
    if let Progress::Fetching { component } = progress {
        eprintln!("fetching {component}: once, it takes minutes on a slow line");
    }
}
