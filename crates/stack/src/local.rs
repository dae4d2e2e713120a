//! The running stack.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use nix::sys::signal::Signal;
use reqwest::Client;

use crate::components::Components;
use crate::error::StackError;
use crate::jdk;
use crate::launch::Launcher;
use crate::maven::find_program;
use crate::node::{Node, Progress};
use crate::options::StackOptions;
use crate::process::ManagedProcess;
use crate::tools::KafkaTools;
use crate::{preflight, quorum, ready, record, server_files};

/// What is left by a parent that was killed has this long to end by itself.
const LEFTOVER_TIMEOUT: Duration = Duration::from_secs(20);

type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

/// The running stack. Dropped without [`LocalStack::stop`], its processes are killed.
pub struct LocalStack {
    launcher: Launcher,
    http: Client,
    processes: BTreeMap<Node, ManagedProcess>,
    on_progress: OnProgress,
    /// Held while the stack runs: one stack for each state folder.
    _lock: File,
}

impl std::fmt::Debug for LocalStack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalStack")
            .field("options", &self.launcher.options)
            .field("processes", &self.processes)
            .finish_non_exhaustive()
    }
}

impl LocalStack {
    /// Fetches what is missing, then starts everything and waits until it serves. Data of an
    /// earlier run in the same state folder is taken up again.
    ///
    /// # Errors
    /// See [`StackError`]; whatever was started is ended again.
    pub async fn start(
        options: StackOptions,
        on_progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Self, StackError> {
        let on_progress: OnProgress = Arc::new(on_progress);
        let lock = lock_state(&options)?;
        record::stop_recorded(&options.pids_dir(), LEFTOVER_TIMEOUT).await?;
        preflight::check(&options)?;
        let launcher = prepare(options, Arc::clone(&on_progress)).await?;
        let http = client()?;

        let start = async |node: Node| start_node(&launcher, &http, &*on_progress, node).await;
        let kafka_and_registry = async {
            let nodes = Node::controllers().chain(Node::brokers());
            let mut started = try_join_all(nodes.map(&start)).await?;
            ready::wait_for_all_brokers(&launcher.options).await?;
            started.push(start(Node::Registry).await?);
            Ok(started)
        };
        let prometheus = async {
            Ok(if launcher.prometheus.is_some() {
                Some(start(Node::Prometheus).await?)
            } else {
                None
            })
        };
        let (mut started, elasticsearch, prometheus) =
            futures::try_join!(kafka_and_registry, start(Node::Elasticsearch), prometheus)?;
        started.push(elasticsearch);
        started.extend(prometheus);

        let processes = started.into_iter().collect();
        Ok(Self {
            launcher,
            http,
            processes,
            on_progress,
            _lock: lock,
        })
    }

    /// Where and how it runs.
    #[must_use]
    pub fn options(&self) -> &StackOptions {
        &self.launcher.options
    }

    /// Where a broker or controller keeps its data.
    #[must_use]
    pub fn kafka_data(&self, node: Node) -> PathBuf {
        server_files::kafka_data(self.options(), node)
    }

    /// The brokers, as librdkafka's `bootstrap.servers` takes them.
    #[must_use]
    pub fn bootstrap_servers(&self) -> String {
        self.options().bootstrap_servers()
    }

    /// The registry's Confluent-compatible API.
    #[must_use]
    pub fn registry_url(&self) -> String {
        self.options().registry_url()
    }

    /// Elasticsearch's HTTP API.
    #[must_use]
    pub fn elasticsearch_url(&self) -> String {
        self.options().elasticsearch_url()
    }

    /// What runs Kafka's own tools.
    #[must_use]
    pub fn kafka_tools(&self) -> KafkaTools {
        self.launcher.kafka_tools()
    }

    /// The nodes that run, with their process ids.
    pub fn running(&self) -> impl Iterator<Item = (Node, u32)> {
        self.processes
            .iter()
            .map(|(node, process)| (*node, process.pid()))
    }

    /// The error of the first node that ended by itself, if one has: its status and the end of its
    /// log.
    pub fn exited(&mut self) -> Option<StackError> {
        self.processes.values_mut().find_map(ManagedProcess::exit_error)
    }

    /// The controller that leads the quorum, by the controllers' own files; `None` while none is
    /// elected.
    #[must_use]
    pub fn active_controller(&self) -> Option<Node> {
        quorum::active_controller(self.options(), server_files::CONTROLLER_IDS)
    }

    /// Kills a node, as a crash would (SIGKILL).
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self, node: Node) -> Result<(), StackError> {
        // Dropping it kills it and waits for its end.
        self.processes
            .remove(&node)
            .map(drop)
            .ok_or(StackError::NotRunning { node })
    }

    /// Stops a node in good order (SIGTERM).
    ///
    /// # Errors
    /// It does not run.
    pub async fn stop_node(&mut self, node: Node) -> Result<(), StackError> {
        let process = self
            .processes
            .get_mut(&node)
            .ok_or(StackError::NotRunning { node })?;
        process.stop().await?;
        self.processes.remove(&node);
        Ok(())
    }

    /// Pauses a node, as a machine that hangs would (SIGSTOP).
    ///
    /// # Errors
    /// It does not run.
    pub fn pause(&mut self, node: Node) -> Result<(), StackError> {
        self.process(node)?.signal(Signal::SIGSTOP)
    }

    /// Ends a pause (SIGCONT).
    ///
    /// # Errors
    /// It does not run.
    pub fn resume(&mut self, node: Node) -> Result<(), StackError> {
        self.process(node)?.signal(Signal::SIGCONT)
    }

    /// Starts a node that was killed or stopped, on its old data, and waits until it serves.
    ///
    /// # Errors
    /// It runs already, or does not get ready.
    pub async fn start_node(&mut self, node: Node) -> Result<(), StackError> {
        if self.processes.contains_key(&node) {
            return Err(StackError::Running { node });
        }
        let (_, process) = start_node(&self.launcher, &self.http, &*self.on_progress, node).await?;
        self.processes.insert(node, process);
        Ok(())
    }

    /// Stops everything: what uses Kafka first, then the brokers, then the controllers that the
    /// brokers need for a stop in good order. What does not end in time is killed. The data stays.
    ///
    /// # Errors
    /// A signal is refused.
    pub async fn stop(mut self) -> Result<(), StackError> {
        let stage = |node: &Node| match node {
            Node::Registry | Node::Elasticsearch | Node::Prometheus => 0,
            Node::Broker(_) => 1,
            Node::Controller(_) => 2,
        };
        for current in 0..=2 {
            let stopping = self
                .processes
                .iter_mut()
                .filter(|(node, _)| stage(node) == current);
            let on_progress = &self.on_progress;
            let results = join_all(stopping.map(async |(node, process)| {
                on_progress(Progress::Stopping { node: *node });
                process.stop().await?;
                on_progress(Progress::Stopped { node: *node });
                Ok(())
            }));
            results.await.into_iter().collect::<Result<(), StackError>>()?;
        }
        Ok(())
    }

    fn process(&mut self, node: Node) -> Result<&mut ManagedProcess, StackError> {
        self.processes
            .get_mut(&node)
            .ok_or(StackError::NotRunning { node })
    }
}

fn lock_state(options: &StackOptions) -> Result<File, StackError> {
    let state_dir = &options.state_dir;
    fs::create_dir_all(state_dir).map_err(StackError::io("make", state_dir))?;
    let path = state_dir.join("lock");
    let lock = File::create(&path).map_err(StackError::io("open", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(StackError::AlreadyRunning {
            state_dir: state_dir.clone(),
        }),
        Err(fs::TryLockError::Error(source)) => Err(StackError::io("lock", &path)(source)),
    }
}

/// Finds the JDK and the programs, and writes the configuration. Maven, javac and the format block.
async fn prepare(mut options: StackOptions, on_progress: OnProgress) -> Result<Launcher, StackError> {
    let state_dir = options.state_dir.clone();
    // The servers run in folders of their own: every path they are given must be absolute.
    for path in [&mut options.state_dir, &mut options.cache_dir] {
        *path = std::path::absolute(&*path).map_err(StackError::io("find", path))?;
    }
    let work = move || {
        let jdk = jdk::newest()?;
        let components = Components::ensure(&options.cache_dir, &jdk, &*on_progress)?;
        let prometheus = options
            .prometheus
            .as_ref()
            .and_then(|_| find_program("prometheus"));
        if options.prometheus.is_some() && prometheus.is_none() {
            let reason = "there is no `prometheus` on the PATH".to_owned();
            on_progress(Progress::Skipped {
                node: Node::Prometheus,
                reason,
            });
        }
        let launcher = Launcher {
            options,
            jdk,
            components,
            prometheus,
        };
        launcher.prepare()?;
        Ok(launcher)
    };
    let worker = tokio::task::spawn_blocking(work).await;
    worker.unwrap_or_else(|error| {
        Err(StackError::io("prepare", &state_dir)(std::io::Error::other(
            error,
        )))
    })
}

fn client() -> Result<Client, StackError> {
    let built = millrace_http::local_client(Duration::from_secs(5));
    built.map_err(|error| StackError::Http(error.to_string()))
}

async fn start_node(
    launcher: &Launcher,
    http: &Client,
    on_progress: &(dyn Fn(Progress) + Send + Sync),
    node: Node,
) -> Result<(Node, ManagedProcess), StackError> {
    on_progress(Progress::Starting { node });
    let mut process = launcher.spawn(node)?;
    let after = ready::wait(&launcher.options, http, node, &mut process).await?;
    on_progress(Progress::Ready { node, after });
    Ok((node, process))
}
