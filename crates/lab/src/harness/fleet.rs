//! The services as processes that can be killed, paused and started again, several of a kind.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use millrace_catalog::Service;
use millrace_settings::Settings;
use millrace_stack::{ManagedProcess, Ports, ProcessSpec, StackError};
use nix::sys::signal::Signal;
use reqwest::Client;

use super::program::Program;
use super::worker::Worker;
use millrace_telemetry::exposition;

/// How long a service may take to get ready on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(180);
/// Pause between two looks at a service that starts.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
/// How long one may take to stop on a busy machine: the producer's flush, or a drain.
const STOP_LIMIT: Duration = Duration::from_secs(180);

/// Workers of one service.
const MOST_OF_A_SERVICE: u8 = 3;
/// Lines of a log that are shown of each worker.
const TAIL: usize = 12;

struct Member {
    worker: Worker,
    port: u16,
    process: ManagedProcess,
}

/// The running services. Dropped, they are killed.
pub struct Fleet {
    settings: Settings,
    program: Program,
    folder: PathBuf,
    /// For the workers beyond the first of each service.
    ports: Vec<u16>,
    members: Vec<Member>,
    http: Client,
}

impl Fleet {
    /// None yet; their logs and pid records will be in `folder`.
    ///
    /// # Errors
    /// No free ports, or no HTTP client.
    pub fn new(settings: &Settings, program: Program, folder: &Path) -> Result<Self> {
        Ok(Self {
            settings: settings.clone(),
            program,
            folder: folder.to_owned(),
            ports: Ports::take(usize::from(MOST_OF_A_SERVICE - 1) * Service::ALL.len())?,
            members: Vec::new(),
            http: millrace_http::local_client(Duration::from_secs(3))?,
        })
    }

    /// What is started from now on has these settings.
    pub fn set(&mut self, settings: &Settings) {
        self.settings = settings.clone();
    }

    fn port(&self, Worker(service, number): Worker) -> Result<u16> {
        let beyond = match number {
            1 => return Ok(self.settings.metrics_port(service)),
            2..=MOST_OF_A_SERVICE => usize::from(number) - 2,
            _ => bail!("there is no port for {service:?} {number}"),
        };
        Ok(self.ports[service as usize + beyond * Service::ALL.len()])
    }

    /// Starts a worker; `within` is put before its command.
    ///
    /// # Errors
    /// It runs already, or the process cannot be started.
    pub fn start(&mut self, worker: Worker, within: &[String]) -> Result<()> {
        self.start_with(worker, within, &[])
    }

    /// As [`Self::start`], with arguments of the service's own.
    ///
    /// # Errors
    /// It runs already, or the process cannot be started.
    pub fn start_with(&mut self, worker: Worker, within: &[String], arguments: &[String]) -> Result<()> {
        ensure!(self.find(worker).is_err(), "{worker} runs already");
        let port = self.port(worker)?;
        let mut settings = self.settings.clone();
        settings.set_metrics_port(worker.0, port);
        let mut command = match within {
            [] => Command::new(&self.program.path),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&self.program.path);
                command
            }
        };
        command.args(["service", "--exit-with-parent", worker.0.name()]);
        command.args(arguments);
        command
            .envs(settings.variables())
            .envs(self.program.variables.iter().cloned());
        let process = ManagedProcess::spawn(ProcessSpec {
            name: worker.to_string(),
            command,
            logs_dir: self.folder.join("logs"),
            pids_dir: self.folder.join("pids"),
            stop_order: u8::from(worker.0 != Service::Producer),
            stop_timeout: STOP_LIMIT,
        })?;
        self.members.push(Member {
            worker,
            port,
            process,
        });
        Ok(())
    }

    fn find(&self, worker: Worker) -> Result<usize> {
        let found = self.members.iter().position(|member| member.worker == worker);
        found.with_context(|| format!("{worker} does not run"))
    }

    fn take(&mut self, worker: Worker) -> Result<Member> {
        let index = self.find(worker)?;
        Ok(self.members.swap_remove(index))
    }

    /// The worker's process id.
    ///
    /// # Errors
    /// It does not run.
    pub fn pid(&self, worker: Worker) -> Result<u32> {
        Ok(self.members[self.find(worker)?].process.pid())
    }

    /// The status of one that ends when its work is done; `None` while it runs. After that it can
    /// be started again.
    ///
    /// # Errors
    /// It does not run.
    pub fn finished(&mut self, worker: Worker) -> Result<Option<ExitStatus>> {
        let index = self.find(worker)?;
        let status = self.members[index].process.exited();
        if status.is_some() {
            self.members.swap_remove(index);
        }
        Ok(status)
    }

    /// Waits until the worker is ready.
    ///
    /// # Errors
    /// It ends, or is not ready within three minutes; with the end of its log.
    pub async fn ready(&mut self, worker: Worker) -> Result<()> {
        let index = self.find(worker)?;
        let (http, member) = (self.http.clone(), &mut self.members[index]);
        let url = format!("http://127.0.0.1:{}/health/ready", member.port);
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            if let Some(error) = member.process.exit_error() {
                return Err(error.into());
            }
            let answer = http.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{worker} was not ready within {} s; the end of its log:\n{}",
                READY_LIMIT.as_secs(),
                member.process.log_tail()
            );
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }

    /// Ends the worker as a crash would (SIGKILL).
    ///
    /// # Errors
    /// It does not run, or had ended by itself.
    pub fn kill(&mut self, worker: Worker) -> Result<()> {
        let mut member = self.take(worker)?;
        if let Some(error) = member.process.exit_error() {
            return Err(error).context("it was to be killed, and had ended by itself");
        }
        member.process.kill();
        Ok(())
    }

    /// Lets the worker hang (SIGSTOP).
    ///
    /// # Errors
    /// It does not run.
    pub fn pause(&mut self, worker: Worker) -> Result<()> {
        let index = self.find(worker)?;
        Ok(self.members[index].process.signal(Signal::SIGSTOP)?)
    }

    /// Lets the worker go on (SIGCONT).
    ///
    /// # Errors
    /// It does not run.
    pub fn resume(&mut self, worker: Worker) -> Result<()> {
        let index = self.find(worker)?;
        Ok(self.members[index].process.signal(Signal::SIGCONT)?)
    }

    /// Stops the worker in good order (SIGTERM), and checks that it ends with status 0.
    ///
    /// # Errors
    /// It does not; with the end of its log.
    pub async fn stop(&mut self, worker: Worker) -> Result<()> {
        let mut member = self.take(worker)?;
        let in_time = member.process.stop().await?;
        let status = member.process.exited();
        ensure!(
            in_time && status.is_some_and(|status| status.success()),
            "{worker} did not stop in good order ({status:?}); the end of its log:\n{}",
            member.process.log_tail()
        );
        Ok(())
    }

    /// Stops the worker (SIGTERM) where it cannot save what it has, and so may end with an error;
    /// returns how long it took.
    ///
    /// # Errors
    /// It does not run, or not end within `limit`; with the end of its log.
    pub async fn stop_within(&mut self, worker: Worker, limit: Duration) -> Result<Duration> {
        let mut member = self.take(worker)?;
        let start = Instant::now();
        member.process.signal(Signal::SIGTERM)?;
        while member.process.exited().is_none() {
            ensure!(
                start.elapsed() < limit,
                "{worker} did not stop within {:.1} s; the end of its log:\n{}",
                limit.as_secs_f64(),
                member.process.log_tail()
            );
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        Ok(start.elapsed())
    }

    /// Stops all that run: the producer first.
    ///
    /// # Errors
    /// One does not stop in good order.
    pub async fn stop_all(&mut self) -> Result<()> {
        let mut workers: Vec<Worker> = self.members.iter().map(|member| member.worker).collect();
        workers.sort_by_key(|worker| worker.0 != Service::Producer);
        for worker in workers {
            self.stop(worker).await?;
        }
        Ok(())
    }

    /// If the worker has ended by itself: why. It can be started again then.
    ///
    /// # Errors
    /// It does not run.
    pub fn ended(&mut self, worker: Worker) -> Result<Option<StackError>> {
        let index = self.find(worker)?;
        let ended = self.members[index].process.exit_error();
        if ended.is_some() {
            self.members.swap_remove(index);
        }
        Ok(ended)
    }

    /// Starts again every service but the producer that has ended by itself, as a restart policy
    /// does; returns how many.
    ///
    /// # Errors
    /// One cannot be started.
    pub fn restart_ended(&mut self) -> Result<u32> {
        let workers: Vec<Worker> = self.members.iter().map(|member| member.worker).collect();
        let mut restarts = 0;
        for worker in workers.into_iter().filter(|worker| worker.0 != Service::Producer) {
            if let Some(ended) = self.ended(worker)? {
                tracing::warn!(%worker, %ended, "a service has ended, and is started again");
                self.start(worker, &[])?;
                restarts += 1;
            }
        }
        Ok(restarts)
    }

    /// All that the worker has written since its last start.
    #[must_use]
    pub fn log(&self, worker: Worker) -> String {
        let path = self.folder.join("logs").join(format!("{worker}.log"));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// When the worker first wrote `message`.
    #[must_use]
    pub fn logged_at(&self, worker: Worker, message: &str) -> Option<SystemTime> {
        let log = self.log(worker);
        log.lines().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let time = line["timestamp"]
                .as_str()
                .filter(|_| line["message"] == message)?;
            Some(time.parse::<Timestamp>().ok()?.into())
        })
    }

    /// The end of each worker's log, without what librdkafka says: for the report of a failure.
    #[must_use]
    pub fn tails(&self) -> String {
        let tail = |member: &Member| {
            let log = self.log(member.worker);
            let lines = log.lines().filter(|line| !line.contains("librdkafka"));
            let lines: Vec<&str> = lines.collect();
            let last = lines[lines.len().saturating_sub(TAIL)..].join("\n");
            format!("the end of the log of {}:\n{last}", member.worker)
        };
        let tails: Vec<String> = self.members.iter().map(tail).collect();
        tails.join("\n")
    }

    /// The sum of a metric of the worker over its labels; `None` where it does not answer or has
    /// none.
    pub async fn metric(&self, worker: Worker, name: &str) -> Option<f64> {
        let port = self.members[self.find(worker).ok()?].port;
        let answer = self.http.get(format!("http://127.0.0.1:{port}/metrics")).send();
        exposition::sum(&answer.await.ok()?.text().await.ok()?, name)
    }

    /// When the last partitions were assigned to any worker of `service` after `since`.
    #[must_use]
    pub fn last_assigned(
        &self,
        service: Service,
        since: SystemTime,
        until: SystemTime,
    ) -> Option<SystemTime> {
        let workers = self.members.iter().map(|member| member.worker);
        let logs: Vec<String> = workers
            .filter(|worker| worker.0 == service)
            .map(|worker| self.log(worker))
            .collect();
        let times = logs.iter().flat_map(|log| log.lines()).filter_map(assigned_at);
        times.filter(|time| (since..=until).contains(time)).max()
    }
}

/// The time of a log line that tells of assigned partitions.
fn assigned_at(line: &str) -> Option<SystemTime> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let partitions = line["numbers"].as_str()?;
    if line["message"] != "partitions assigned" || partitions == "[]" {
        return None;
    }
    let time: Timestamp = line["timestamp"].as_str()?.parse().ok()?;
    Some(time.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_of_partitions_is_found_in_the_log() {
        let line = |message: &str, numbers: &str| {
            format!(
                r#"{{"service":"detector","timestamp":"2026-11-21T15:00:00.5Z","level":"INFO","message":"{message}","operator":"detect","numbers":"{numbers}"}}"#
            )
        };
        let time = assigned_at(&line("partitions assigned", "[0, 3]")).unwrap();
        assert_eq!(
            time.duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .subsec_millis(),
            500
        );
        assert_eq!(assigned_at(&line("partitions assigned", "[]")), None);
        assert_eq!(assigned_at(&line("partitions revoked", "[0]")), None);
        assert_eq!(assigned_at("not JSON"), None);
    }
}
