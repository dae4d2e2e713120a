//! The services as children of this process.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use millrace_catalog::Service;
use millrace_settings::Settings;
use millrace_stack::{ManagedProcess, ProcessSpec, StackError};
use millrace_telemetry::Shutdown;
use reqwest::Client;

use super::feed::{Feed, last_word};
use crate::state::State;

/// A service that does not get ready in this time will not.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
const BETWEEN_TRIES: Duration = Duration::from_millis(200);
/// Beyond its own drain timeout, for the last commit and the exit.
const STOP_MARGIN: Duration = Duration::from_secs(10);
/// Most new starts of one service within one `up`.
const MAX_RESTARTS: u32 = 3;

/// The address of a service's endpoint.
pub(crate) fn url(service: Service, settings: &Settings, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", settings.metrics_port(service))
}

fn stop_timeout(service: Service, settings: &Settings) -> Duration {
    // The producer waits for the outcome of what is in flight, as long as librdkafka tries: by
    // default 120 s.
    let drain_ms = settings.drain_timeout_ms(service).unwrap_or(120_000);
    Duration::from_millis(drain_ms) + STOP_MARGIN
}

/// A service that runs, and how often it was started anew.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) service: Service,
    process: ManagedProcess,
    restarts: u32,
}

/// Starts and watches the services.
#[derive(Debug)]
pub(super) struct Services<'a> {
    settings: &'a Settings,
    state: &'a State,
    feed: Feed,
    http: Client,
    running: Vec<Running>,
}

impl<'a> Services<'a> {
    pub(super) fn new(settings: &'a Settings, state: &'a State, feed: Feed) -> anyhow::Result<Self> {
        let http = millrace_http::local_client(Duration::from_secs(3))?;
        Ok(Self {
            settings,
            state,
            feed,
            http,
            running: Vec::new(),
        })
    }

    /// Starts a service; [`Services::wait_ready`] waits for it.
    pub(super) fn start(&mut self, service: Service) -> anyhow::Result<()> {
        let process = self.spawn(service)?;
        self.running.push(Running {
            service,
            process,
            restarts: 0,
        });
        Ok(())
    }

    fn spawn(&self, service: Service) -> anyhow::Result<ManagedProcess> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut command = Command::new(program);
        command.args(["service", "--exit-with-parent", service.name()]);
        if let (Service::Producer, Feed::Files(arguments)) = (service, &self.feed) {
            command.args(arguments);
        }
        // Every value: the child has the settings of this process, whatever file and flags they
        // came from.
        command.envs(self.settings.variables());
        Ok(ManagedProcess::spawn(ProcessSpec {
            name: service.name().to_owned(),
            command,
            logs_dir: self.state.logs(),
            pids_dir: self.state.pids(),
            stop_order: u8::from(!service.is_source()),
            stop_timeout: stop_timeout(service, self.settings),
        })?)
    }

    /// Waits until `service` says that it is ready. `false`: a stop was asked for.
    pub(super) async fn wait_ready(&mut self, service: Service, shutdown: &Shutdown) -> anyhow::Result<bool> {
        let deadline = Instant::now() + READY_TIMEOUT;
        let url = url(service, self.settings, "/health/ready");
        let http = self.http.clone();
        let running = self.get(service)?;
        while !shutdown.is_triggered() {
            if let Some(error) = running.process.exit_error() {
                return Err(error.into());
            }
            let last = match http.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(true),
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                bail!(
                    "{} was not ready within {} s: {last}; the end of {}:\n{}",
                    service.name(),
                    READY_TIMEOUT.as_secs(),
                    running.process.log().display(),
                    running.process.log_tail()
                );
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        Ok(false)
    }

    fn get(&mut self, service: Service) -> anyhow::Result<&mut Running> {
        self.running
            .iter_mut()
            .find(|running| running.service == service)
            .with_context(|| format!("{} was not started", service.name()))
    }

    /// Starts anew what has ended by itself, and tells of it through `on_restart`.
    ///
    /// # Errors
    /// A service has ended once too often.
    pub(super) fn restart_ended(
        &mut self,
        mut on_restart: impl FnMut(Service, &StackError),
    ) -> anyhow::Result<()> {
        for index in 0..self.running.len() {
            let is_replay =
                self.running[index].service == Service::Producer && matches!(self.feed, Feed::Files(_));
            let Some(error) = self.running[index].process.exit_error() else {
                continue;
            };
            if is_replay {
                // It ends when its files do: see `replay_ended`.
                continue;
            }
            let (service, restarts) = (self.running[index].service, self.running[index].restarts);
            if restarts >= MAX_RESTARTS {
                let times = restarts + 1;
                return Err(error).with_context(|| format!("{} has ended {times} times", service.name()));
            }
            on_restart(service, &error);
            // The old one gives up its record before the new one writes its own.
            drop(self.running.remove(index));
            let process = self.spawn(service)?;
            self.running.insert(
                index,
                Running {
                    service,
                    process,
                    restarts: restarts + 1,
                },
            );
        }
        Ok(())
    }

    /// Whether a service runs, or has ended without being looked at.
    pub(super) fn is_running(&self, service: Service) -> bool {
        self.running.iter().any(|running| running.service == service)
    }

    /// If a replay has sent its files since the last call: its summary.
    ///
    /// # Errors
    /// It ended by an error.
    pub(super) fn replay_ended(&mut self) -> anyhow::Result<Option<String>> {
        let replay = |running: &Running| running.service == Service::Producer;
        let index = match &self.feed {
            Feed::Files(_) => self.running.iter().position(replay),
            Feed::Generator | Feed::Others => None,
        };
        let Some((index, status)) = index.and_then(|index| {
            let status = self.running[index].process.exited()?;
            Some((index, status))
        }) else {
            return Ok(None);
        };
        let ended = self.running.remove(index).process;
        let word = last_word(&ended.log_tail());
        if status.success() {
            Ok(Some(word))
        } else {
            bail!(
                "the replay ended ({status}): {word}; its log is {}",
                ended.log().display()
            )
        }
    }

    /// Stops one service in good order. Returns whether it ended by itself in time.
    pub(super) async fn stop(&mut self, service: Service) -> anyhow::Result<bool> {
        let Some(index) = self.running.iter().position(|running| running.service == service) else {
            return Ok(true);
        };
        let mut running = self.running.remove(index);
        Ok(running.process.stop().await?)
    }

    /// Stops what brings records in. Returns those that had to be killed.
    pub(super) async fn stop_sources(&mut self) -> anyhow::Result<Vec<&'static str>> {
        let mut killed = Vec::new();
        for service in Service::ALL.into_iter().filter(|service| service.is_source()) {
            if !self.stop(service).await? {
                killed.push(service.name());
            }
        }
        Ok(killed)
    }

    /// Stops all that run: the sources, then the others at once. Returns those that had to be
    /// killed.
    pub(super) async fn stop_all(mut self) -> anyhow::Result<Vec<&'static str>> {
        let mut killed = self.stop_sources().await?;
        let stops = self.running.iter_mut().map(async |running| {
            let in_time = running.process.stop().await?;
            anyhow::Ok((running.service.name(), in_time))
        });
        for stopped in futures::future::join_all(stops).await {
            let (name, in_time) = stopped?;
            if !in_time {
                killed.push(name);
            }
        }
        Ok(killed)
    }
}
