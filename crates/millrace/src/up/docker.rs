//! Docker mode: the services of the compose file.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use millrace_catalog::{PIPELINES, When};
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;

use super::addresses::{self, Address};
use super::compose::{Compose, Container};
use super::plan::{INIT, Plan, core};
use super::reporter::Reporter;
use super::summary::Summary;
use super::{Options, Wake};
use crate::env::{self, Written};

const UP_TIMEOUT: Duration = Duration::from_secs(600);
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// A broker that its restart policy brings back takes a minute to be healthy.
const MAX_LOOKS_DOWN: u32 = 60;
const VERIFY_MARGIN: Duration = Duration::from_secs(60);

/// Starts the plan, stays until the time is up or a stop is asked for, and stops everything.
/// `configured` is what the `.env` says: the settings without this call's flags.
pub(super) async fn run(
    configured: &Settings,
    settings: &Settings,
    options: &Options,
    mut plan: Plan,
    reporter: &Reporter,
    shutdown: &Shutdown,
) -> anyhow::Result<ExitCode> {
    write_env(configured, &plan.compose, reporter)?;
    plan.compose.set(
        "MILLRACE_RATE".to_owned(),
        settings.producer.rate_per_s.to_string(),
    );
    // The .env may enable others.
    for service in PIPELINES.iter().filter_map(|pipeline| pipeline.enabled_by) {
        let key = format!("MILLRACE__{}__ENABLED", service.section().to_uppercase());
        let is_enabled = settings.installation().enables(service);
        plan.compose.set(key, is_enabled.to_string());
    }
    // Named, they start although they have a profile.
    let optional = settings.services().filter(|it| it.spec().when != When::Always);
    plan.services
        .extend(optional.map(|service| service.name().to_owned()));
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
    // A run that did not pass keeps its data, for who wants to look:
    // `docker compose -p millrace-for up`.
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
        let is_core = core().any(|core| core == container.service);
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
