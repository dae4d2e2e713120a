//! Docker mode: the services of the compose file.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

use super::addresses::{self, Address};
use super::compose::{Compose, Container, FOR_PROJECT, PROJECT, Service};
use super::images::{self, Missing};
use super::reporter::Reporter;
use super::summary::Summary;
use super::{Options, Wake};
use crate::env::{self, Written};

/// The one-shot service, which ends when it is done: Compose starts it for those that wait for it.
const INIT: &str = "init";
/// Without one of these there is no pipeline.
const CORE: [&str; 13] = [
    "controller-1",
    "controller-2",
    "controller-3",
    "broker-1",
    "broker-2",
    "broker-3",
    "schema-registry",
    "elasticsearch",
    INIT,
    "producer",
    "aggregator",
    "detector",
    "elastic-sink",
];
/// Building all Rust services on a small machine.
const BUILD_TIMEOUT: Duration = Duration::from_secs(3600);
const UP_TIMEOUT: Duration = Duration::from_secs(600);
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// A broker that its restart policy brings back takes a minute to be healthy.
const MAX_LOOKS_DOWN: u32 = 60;
const VERIFY_MARGIN: Duration = Duration::from_secs(60);

/// What is to be started.
#[derive(Debug)]
pub(super) struct Plan {
    compose: Compose,
    services: Vec<String>,
}

/// Whether Docker is used.
#[derive(Debug)]
pub(super) enum Choice {
    /// So.
    Use(Box<Plan>),
    /// It cannot, and why.
    Cannot(String),
    /// A stop was asked for meanwhile.
    Stopped,
}

/// Finds out whether the core can be started with Docker, pulling and building what is missing.
pub(super) async fn plan(
    options: &Options,
    reporter: &Reporter,
    shutdown: &Shutdown,
) -> anyhow::Result<Choice> {
    let project = if options.duration.is_some() {
        FOR_PROJECT
    } else {
        PROJECT
    };
    let compose = match Compose::find(project).await {
        Ok(compose) => compose,
        Err(reason) => return Ok(Choice::Cannot(format!("{reason:#}"))),
    };
    let services = compose.services().await?;
    tokio::select! {
        choice = choose(compose, &services, options, reporter) => choice,
        () = shutdown.wait() => Ok(Choice::Stopped),
    }
}

async fn choose(
    compose: Compose,
    services: &BTreeMap<String, Service>,
    options: &Options,
    reporter: &Reporter,
) -> anyhow::Result<Choice> {
    let is_core = |name: &str| CORE.contains(&name);
    let pulled = |wanted_core: bool| -> BTreeSet<String> {
        let wanted = services.iter().filter(|(name, service)| {
            service.is_default() && !service.is_built() && is_core(name) == wanted_core
        });
        wanted.filter_map(|(_, service)| service.image.clone()).collect()
    };
    let on_pull = |image: &str| reporter.line(&format!("pulling {image}"));
    reporter.waiting("looking for the images");
    let missing = images::pull_missing(&pulled(true), on_pull).await;
    if let Some((image, reason)) = missing.first_key_value() {
        return Ok(Choice::Cannot(format!(
            "the image {image} cannot be had ({reason})"
        )));
    }
    if let Err(error) = build(&compose, services, options.no_build, reporter).await {
        return Ok(Choice::Cannot(format!(
            "Millrace's own images cannot be built: {error:#}"
        )));
    }
    let missing: Missing = images::pull_missing(&pulled(false), on_pull).await;
    let (mut chosen, left_out) = images::choose(services, &missing);
    for (name, reason) in &left_out {
        reporter.line(&format!("{name} is left out: {reason}"));
    }
    if let Some(name) = CORE
        .iter()
        .find(|name| !chosen.iter().any(|chosen| chosen == *name))
    {
        return Ok(Choice::Cannot(format!(
            "the compose file has no service {name} that can be started"
        )));
    }
    chosen.retain(|name| name != INIT);
    Ok(Choice::Use(Box::new(Plan {
        compose,
        services: chosen,
    })))
}

/// Builds each image of ours once. An image of older sources would refuse, or misread, what these sources write; where
/// nothing has changed a build takes seconds.
async fn build(
    compose: &Compose,
    services: &BTreeMap<String, Service>,
    only_missing: bool,
    reporter: &Reporter,
) -> anyhow::Result<()> {
    let mut by_image: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, service) in services {
        if let Some(image) = &service.image
            && service.is_built()
            && service.is_default()
            && !(only_missing && images::is_here(image).await)
        {
            by_image.insert(image, name);
        }
    }
    if by_image.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = by_image.keys().copied().collect();
    reporter.line(&format!(
        "building {}: minutes at first, seconds if nothing changed",
        names.join(", ")
    ));
    reporter.waiting(&format!("building {}", names.join(", ")));
    let wanted: Vec<&str> = by_image.into_values().collect();
    compose.build(&wanted, BUILD_TIMEOUT).await
}

/// Starts the plan, stays until the time is up or a stop is asked for, and stops everything. `configured` is what the
/// `.env` says: the settings without this call's flags.
pub(super) async fn run(
    configured: &Settings,
    settings: &Settings,
    options: &Options,
    mut plan: Plan,
    reporter: &Reporter,
    shutdown: &Shutdown,
) -> anyhow::Result<ExitCode> {
    write_env(configured, &plan.compose, reporter)?;
    plan.compose
        .set("MILLRACE_RATE", settings.producer.rate_per_s.to_string());
    let is_run = options.duration.is_some();
    if is_run {
        plan.compose
            .down(true)
            .await
            .context("cannot remove what an earlier run left")?;
    }
    let run = Run {
        settings,
        options,
        plan: &plan,
        reporter,
        shutdown,
    };
    let outcome = run.pipeline().await;
    reporter.line("stopping; Ctrl-C again ends at once and leaves the containers to `millrace down`");
    reporter.waiting("stopping the containers");
    let passed = matches!(outcome, Ok(Some(true)));
    // A run that did not pass keeps its data, for who wants to look: `docker compose -p millrace-for up`.
    let stopped = plan.compose.down(is_run && passed).await;
    let verified = outcome?;
    stopped?;
    reporter.clear();
    Ok(match verified {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None if is_run => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}

/// The containers are given the configuration of this process, unless a person wrote an `.env`.
fn write_env(settings: &Settings, compose: &Compose, reporter: &Reporter) -> anyhow::Result<()> {
    let path = compose.folder().join(".env");
    match env::write(settings, &path, false) {
        Ok(Written::Unchanged) => Ok(()),
        Ok(Written::Created | Written::Updated) => {
            reporter.line(&format!("wrote the configuration to {}", path.display()));
            Ok(())
        }
        Err(error) if path.exists() => {
            reporter.line(&format!("using {} as it is: {error:#}", path.display()));
            Ok(())
        }
        Err(error) => Err(error),
    }
}

struct Run<'a> {
    settings: &'a Settings,
    options: &'a Options,
    plan: &'a Plan,
    reporter: &'a Reporter,
    shutdown: &'a Shutdown,
}

impl Run<'_> {
    /// Whether the verification passed; `None` where it did not come to one.
    async fn pipeline(&self) -> anyhow::Result<Option<bool>> {
        let compose = &self.plan.compose;
        let starting = compose.up(&self.plan.services, UP_TIMEOUT);
        tokio::select! {
            started = starting => self.explain(started).await?,
            // Ends with an error alone.
            error = self.tell_until_stopped() => return Err(error),
            () = self.shutdown.wait() => return Ok(None),
        }
        let ends = self.options.duration.map(|duration| Instant::now() + duration);
        self.reporter.line("everything is ready");
        self.show_addresses();
        match self.watch(ends).await? {
            Wake::TimeIsUp => {}
            Wake::Asked => return Ok(None),
        }
        self.reporter.line("the time is up: stopping the producer");
        compose.stop("producer").await?;
        self.reporter
            .line("waiting for the last windows to close, and verifying");
        self.reporter.waiting("verifying");
        let seconds = format!("{}s", self.options.drain_timeout.as_secs());
        let timeout = self.options.drain_timeout + VERIFY_MARGIN;
        let arguments = ["verify", "--timeout", &seconds];
        let verification = tokio::select! {
            told = compose.millrace(&arguments, timeout) => told?,
            () = self.shutdown.wait() => return Ok(None),
        };
        self.reporter
            .block(String::from_utf8_lossy(&verification.stdout).trim_end());
        if !verification.status.success() {
            self.reporter
                .line(String::from_utf8_lossy(&verification.stderr).trim_end());
        }
        Ok(Some(verification.status.success()))
    }

    /// Adds to a failed start the log of each service that is not well.
    async fn explain(&self, started: anyhow::Result<()>) -> anyhow::Result<()> {
        let Err(error) = started else { return Ok(()) };
        for container in self.plan.compose.containers().await.unwrap_or_default() {
            // One that was only created waited for another that is not well.
            let has_no_fault =
                container.state == "created" || (container.state == "exited" && container.exit_code == 0);
            if !is_well(&container) && !has_no_fault {
                let tail = self.plan.compose.log_tail(&container.service).await;
                self.reporter.line(&format!(
                    "{}: {}; the end of its log:\n{tail}",
                    container.service,
                    describe(&container)
                ));
            }
        }
        Err(error)
    }

    /// Says what becomes ready while Compose starts.
    async fn tell_until_stopped(&self) -> anyhow::Error {
        let mut well = BTreeSet::new();
        loop {
            let containers = match self.plan.compose.containers().await {
                Ok(containers) => containers,
                Err(error) => return error,
            };
            let mut waiting = Vec::new();
            for container in containers {
                if container.service == INIT {
                    continue;
                }
                if !is_well(&container) {
                    waiting.push(container.service);
                } else if well.insert(container.service.clone()) {
                    self.reporter.line(&format!("{} is ready", container.service));
                }
            }
            self.reporter
                .waiting(&format!("waiting for {}", waiting.join(", ")));
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
    }

    fn show_addresses(&self) {
        let mut rows = addresses::core(self.settings);
        for (service, what, address, note) in [
            ("kibana", "Kibana", "http://127.0.0.1:5601", ""),
            (
                "grafana",
                "Grafana",
                "http://127.0.0.1:3000",
                "admin, GRAFANA_ADMIN_PASSWORD or admin",
            ),
            ("prometheus", "Prometheus", "http://127.0.0.1:9090", ""),
            ("alertmanager", "Alertmanager", "http://127.0.0.1:9093", ""),
            ("node-exporter", "node-exporter", "http://127.0.0.1:9100", ""),
        ] {
            if self.plan.services.iter().any(|chosen| chosen == service) {
                rows.push(Address::new(what, address, note));
            }
        }
        self.reporter.block(&addresses::table(&rows));
        let hint = match self.options.duration {
            Some(duration) => format!("running for {}", humantime::format_duration(duration)),
            None => "running; Ctrl-C stops".to_owned(),
        };
        self.reporter.line(&hint);
    }

    /// Tells of every container that changes, until the time is up or a stop is asked for.
    async fn watch(&self, ends: Option<Instant>) -> anyhow::Result<Wake> {
        let mut known: BTreeMap<String, (String, u32)> = BTreeMap::new();
        let mut summary = Summary::new(self.settings)?;
        loop {
            let now = Instant::now();
            let pause = ends.map_or(WATCH_INTERVAL, |at| {
                at.saturating_duration_since(now).min(WATCH_INTERVAL)
            });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.shutdown.wait() => return Ok(Wake::Asked),
            }
            if ends.is_some_and(|at| Instant::now() >= at) {
                return Ok(Wake::TimeIsUp);
            }
            for container in self.plan.compose.containers().await? {
                if container.service != INIT {
                    self.look_at(&container, &mut known).await?;
                }
            }
            self.reporter.status(&summary.look().await);
        }
    }

    async fn look_at(
        &self,
        container: &Container,
        known: &mut BTreeMap<String, (String, u32)>,
    ) -> anyhow::Result<()> {
        let now = describe(container);
        let (before, looks_down) = known
            .entry(container.service.clone())
            .or_insert_with(|| (now.clone(), 0));
        let is_core = CORE.contains(&container.service.as_str());
        *looks_down = if is_well(container) || !is_core {
            0
        } else {
            *looks_down + 1
        };
        if *looks_down > MAX_LOOKS_DOWN {
            let tail = self.plan.compose.log_tail(&container.service).await;
            bail!("{} stays {now}; the end of its log:\n{tail}", container.service);
        }
        if *before != now {
            self.reporter.line(&format!("{}: {now}", container.service));
            *before = now;
        }
        Ok(())
    }
}

fn is_well(container: &Container) -> bool {
    container.state == "running" && (container.health.is_empty() || container.health == "healthy")
}

fn describe(container: &Container) -> String {
    match (container.state.as_str(), container.health.as_str()) {
        ("running", "") => "running".to_owned(),
        ("running", health) => health.to_owned(),
        ("exited", _) => format!("exited ({})", container.exit_code),
        (state, _) => state.to_owned(),
    }
}
