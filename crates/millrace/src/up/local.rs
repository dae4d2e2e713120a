//! Local mode: the stack and the services as processes of this machine.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use millrace_catalog::Service;
use millrace_settings::Settings;
use millrace_stack::{Cassandra, LocalStack, Node, Progress, PrometheusOptions, StackOptions};
use millrace_telemetry::Shutdown;
use tokio::sync::Notify;

use super::addresses::{self, Address};
use super::feed::Feed;
use super::reporter::Reporter;
use super::services::Services;
use super::summary::Summary;
use super::{Options, Wake, cassandra, conclude, ports};
use crate::init::{self, Outcome};
use crate::state::State;

const LEFTOVER_TIMEOUT: Duration = Duration::from_secs(20);
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Alerting and recording rules, where the working directory is the project's.
const RULES: &str = "prometheus/alerts.yml";

/// Runs everything until the time is up or a stop is asked for.
pub(super) async fn run(
    mut settings: Settings,
    options: &Options,
    feed: Feed,
    state: &State,
    reporter: &Arc<Reporter>,
    shutdown: &Shutdown,
) -> anyhow::Result<ExitCode> {
    for name in state.stop_leftovers(LEFTOVER_TIMEOUT).await? {
        reporter.line(&format!("stopped {name}, left by an earlier `millrace up`"));
    }
    ports::check_services(&settings)?;
    let stack_ports = ports::of(&settings)?;
    let is_run = options.duration.is_some();
    let state = if is_run { &state.for_run()? } else { state };
    state.place(&mut settings, is_run);
    let mut stack_options = StackOptions::new(state.stack());
    stack_options.ports = stack_ports;
    stack_options.prometheus = Some(prometheus(&settings));
    if let Some(dir) = &options.cache_dir {
        stack_options.cache_dir.clone_from(dir);
    }
    let beside = cassandra::start(&settings, options, state, tell(Arc::clone(reporter)));
    let starting = async {
        let stack = async { Ok(LocalStack::start(stack_options, tell(Arc::clone(reporter))).await?) };
        tokio::try_join!(stack, beside)
    };
    let (stack, cassandra) = tokio::select! {
        stack = starting => stack?,
        // What was started ends as the half-made stack is dropped.
        () = shutdown.wait() => {
            reporter.line("stopped before everything was up");
            return Ok(ExitCode::FAILURE);
        }
    };
    if cassandra.is_some() {
        reporter.line("cassandra is ready");
    }
    let services = Services::new(&settings, state, feed.clone())?;
    let mut pipeline = Pipeline {
        settings: &settings,
        options,
        feed,
        reporter,
        shutdown,
        stack,
        cassandra,
        services,
        sent: Arc::default(),
    };
    let outcome = pipeline.run().await;
    let stopped = pipeline.stop().await;
    let verified = outcome?;
    stopped?;
    let Some(report) = verified else {
        // A plain `up` ends when it is asked to; one with --for was cut short.
        return Ok(if is_run {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        });
    };
    if report.passed {
        state.remove_data()?;
    } else {
        reporter.line(&format!(
            "the data and logs of this run are in {}",
            state.root().display()
        ));
    }
    Ok(conclude(reporter, &report))
}

/// What Prometheus scrapes: the services, at the ports they are configured with.
fn prometheus(settings: &Settings) -> PrometheusOptions {
    let target = |service: Service| {
        let address = format!("127.0.0.1:{}", settings.metrics_port(service));
        (service.name().to_owned(), address)
    };
    let rules = std::path::absolute(RULES).ok().filter(|path| path.is_file());
    PrometheusOptions {
        targets: settings.services().map(target).collect(),
        rule_files: rules.into_iter().collect(),
    }
}

/// Shows the stack's progress: a line for what is ready, and what is still waited for.
fn tell(reporter: Arc<Reporter>) -> impl Fn(Progress) + Send + Sync + 'static {
    let starting: Mutex<BTreeSet<Node>> = Mutex::default();
    move |progress| {
        let mut starting = starting.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            Progress::Fetching { component } => {
                reporter.line(&format!(
                    "fetching {component} by Maven, once: this can take minutes"
                ));
                reporter.waiting(&format!("fetching {component}"));
            }
            Progress::Fetched { component } => reporter.line(&format!("{component} is in the cache")),
            Progress::Starting { node } => {
                if starting.is_empty() {
                    reporter.line("starting processes");
                }
                starting.insert(node);
            }
            Progress::Ready { node, .. } => {
                starting.remove(&node);
                reporter.line(&format!("{node} is ready"));
            }
            Progress::Skipped { node, reason } => reporter.line(&format!("{node} is left out: {reason}")),
            Progress::Stopping { .. } => {}
            Progress::Stopped { node } => reporter.line(&format!("{node} has stopped")),
        }
        if !starting.is_empty() {
            let names: Vec<String> = starting.iter().map(|node| node.name()).collect();
            reporter.waiting(&format!("waiting for {}", names.join(", ")));
        }
    }
}

struct Pipeline<'a> {
    settings: &'a Settings,
    options: &'a Options,
    feed: Feed,
    reporter: &'a Reporter,
    shutdown: &'a Shutdown,
    stack: LocalStack,
    cassandra: Option<Cassandra>,
    services: Services<'a>,
    /// Told when a replay has sent its files.
    sent: Arc<Notify>,
}

impl Pipeline<'_> {
    /// Everything between the start and the stop of the stack. The verification's report, where it
    /// came to one.
    async fn run(&mut self) -> anyhow::Result<Option<millrace_verify::Report>> {
        let shutdown = self.shutdown;
        tokio::select! {
            initialised = self.init() => initialised?,
            () = shutdown.wait() => return Ok(None),
        }
        // The producer last: whatever it sends finds its readers in place.
        let first: Vec<_> = self
            .settings
            .services()
            .filter(|service| *service != Service::Producer)
            .collect();
        if !self.start_services(&first).await? || !self.start_producer().await? {
            return Ok(None);
        }
        let ends = self.options.duration.map(|duration| Instant::now() + duration);
        self.show_addresses();
        let wake = {
            let sent = Arc::clone(&self.sent);
            let until = async move {
                match ends {
                    Some(at) => tokio::select! {
                        () = tokio::time::sleep_until(at.into()) => Wake::TimeIsUp,
                        () = sent.notified() => Wake::TimeIsUp,
                        () = shutdown.wait() => Wake::Asked,
                    },
                    None => {
                        shutdown.wait().await;
                        Wake::Asked
                    }
                }
            };
            self.watch(until).await?
        };
        match wake {
            Wake::TimeIsUp => self.drain_and_verify().await,
            Wake::Asked => Ok(None),
        }
    }

    async fn init(&self) -> anyhow::Result<()> {
        self.reporter
            .waiting("creating topics, schemas and index templates");
        // Kibana is no part of local mode.
        let options = init::Options {
            kibana_timeout: Duration::ZERO,
            ..init::Options::default()
        };
        let report = init::run(self.settings, &options)
            .await
            .context("`init` failed")?;
        let created = report
            .steps
            .iter()
            .filter(|step| step.outcome == Outcome::Created)
            .count();
        let unchanged = report.steps.len() - report.news().count();
        self.reporter.line(&format!(
            "topics, schemas and index templates: {created} created, {unchanged} as they were"
        ));
        for step in report.news() {
            if matches!(step.outcome, Outcome::Changed(_) | Outcome::Warning(_)) {
                self.reporter.line(&step.to_string());
            }
        }
        Ok(())
    }

    /// `false`: a stop was asked for.
    async fn start_producer(&mut self) -> anyhow::Result<bool> {
        match self.feed {
            Feed::Generator => self.start_services(&[Service::Producer]).await,
            Feed::Files(_) => {
                // It looks at its rows before it is ready, which takes as long as they are many.
                self.services.start(Service::Producer)?;
                self.reporter.line("looking at the files, then sending them");
                Ok(true)
            }
            Feed::Others => {
                self.reporter.line("no producer is started");
                Ok(true)
            }
        }
    }

    async fn start_services(&mut self, services: &[Service]) -> anyhow::Result<bool> {
        for service in services {
            self.services.start(*service)?;
        }
        for service in services {
            self.reporter.waiting(&format!("waiting for {}", service.name()));
            if !self.services.wait_ready(*service, self.shutdown).await? {
                return Ok(false);
            }
            self.reporter.line(&format!("{} is ready", service.name()));
        }
        Ok(true)
    }

    fn show_addresses(&self) {
        let mut rows = addresses::core(self.settings);
        if self.stack.running().any(|(node, _)| node == Node::Prometheus) {
            let port = self.stack.options().ports.prometheus;
            rows.push(Address::new("Prometheus", format!("http://127.0.0.1:{port}"), ""));
        }
        let folder = self
            .stack
            .options()
            .state_dir
            .parent()
            .map(|path| path.display().to_string());
        rows.push(Address::new("data and logs", folder.unwrap_or_default(), ""));
        self.reporter.block(&addresses::table(&rows));
        let hint = match self.options.duration {
            Some(duration) => format!("running for {}", humantime::format_duration(duration)),
            None => "running; Ctrl-C stops".to_owned(),
        };
        self.reporter.line(&hint);
    }

    /// Watches over every process until `until` is done.
    async fn watch<T>(&mut self, until: impl Future<Output = T>) -> anyhow::Result<T> {
        tokio::pin!(until);
        let reporter = self.reporter;
        let mut summary = Summary::new(self.settings)?;
        let mut interval = tokio::time::interval(WATCH_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                done = &mut until => return Ok(done),
                _ = interval.tick() => {}
            }
            let ended = self.stack.exited();
            if let Some(error) = ended.or_else(|| cassandra::exited(&mut self.cassandra)) {
                return Err(error.into());
            }
            self.services.restart_ended(|service, error| {
                reporter.line(&format!("{error}\nstarting {} anew", service.name()));
            })?;
            if let Some(summary) = self.services.replay_ended()? {
                reporter.line(&format!("the files are sent: {summary}"));
                self.sent.notify_one();
            }
            reporter.status(&summary.look().await);
        }
    }

    async fn drain_and_verify(&mut self) -> anyhow::Result<Option<millrace_verify::Report>> {
        if self.services.is_running(Service::Producer) {
            self.reporter.line("the time is up: stopping the producer");
        }
        // The gateway too: a verification waits for what still comes.
        for name in self.services.stop_sources().await? {
            self.reporter
                .line(&format!("{name} did not stop in time and was killed"));
        }
        self.reporter
            .line("waiting for the last windows to close, and verifying");
        let options = millrace_verify::Options {
            timeout: self.options.drain_timeout,
            ..millrace_verify::Options::default()
        };
        let (settings, shutdown) = (self.settings, self.shutdown);
        let verification = async {
            tokio::select! {
                report = millrace_verify::run(settings, &options) => report.map(Some),
                () = shutdown.wait() => Ok(None),
            }
        };
        self.watch(verification)
            .await?
            .context("the verification could not be done")
    }

    /// Stops the services, then the stack, whatever came before.
    async fn stop(self) -> anyhow::Result<()> {
        self.reporter.line("stopping; Ctrl-C again ends at once");
        self.reporter.waiting("stopping the services");
        let killed = self.services.stop_all().await;
        for name in killed.iter().flatten() {
            self.reporter
                .line(&format!("{name} did not stop in time and was killed"));
        }
        self.reporter.waiting("stopping the stack");
        let stopped = cassandra::stop(self.cassandra).await;
        self.stack.stop().await?;
        stopped?;
        killed.map(drop)
    }
}
