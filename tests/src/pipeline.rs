//! The services of the pipeline, as processes.

use std::time::Duration;

use anyhow::{Context, Result};
use millrace_catalog as catalog;
use millrace_registry::{RegistryConfig, SchemaFetcher};
use millrace_settings::Settings;
use millrace_telemetry::exposition::{self, Sample};

use crate::service::Service;
use crate::{TestContext, topics};

/// How long one command may take on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(240);

/// Aggregator, detector and sink, and the job that rekeys where the settings ask for it, after
/// `init`.
pub struct Pipeline(Vec<Part>);

struct Part {
    name: &'static str,
    port: u16,
    service: Service,
}

impl Pipeline {
    /// Runs `init`, starts the services, and waits until they are ready.
    ///
    /// # Errors
    /// One of them fails; with the end of its log.
    pub async fn start(context: &TestContext) -> Result<Self> {
        init(context).await?;
        let settings = &context.settings;
        let start = |kind: catalog::Service| {
            let name = kind.name();
            Ok(Part {
                name,
                port: settings.metrics_port(kind),
                service: Service::start(context, name, &["service", name])?,
            })
        };
        let readers = settings.services().filter(|it| !it.is_source());
        let mut parts = readers.map(start).collect::<Result<Vec<_>>>()?;
        for part in &mut parts {
            part.service.ready(part.port).await?;
        }
        Ok(Self(parts))
    }

    /// Kills the service `name` as a crash would, and starts it again.
    ///
    /// # Errors
    /// It had ended by itself, or does not become ready again.
    pub async fn crash(&mut self, context: &TestContext, name: &str) -> Result<()> {
        let (name, port) = self.kill(name)?;
        self.start_part(context, name, port).await
    }

    /// Kills the service `name` as a crash would; gives its name and port.
    ///
    /// # Errors
    /// It had ended by itself.
    pub fn kill(&mut self, name: &str) -> Result<(&'static str, u16)> {
        let at = self
            .0
            .iter()
            .position(|part| part.name == name)
            .with_context(|| format!("no service {name}"))?;
        let Part { name, port, service } = self.0.swap_remove(at);
        service.kill()?;
        Ok((name, port))
    }

    /// Starts a service that was killed, and waits until it is ready.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn start_part(&mut self, context: &TestContext, name: &'static str, port: u16) -> Result<()> {
        let mut service = Service::start(context, name, &["service", name])?;
        service.ready(port).await?;
        self.0.push(Part { name, port, service });
        Ok(())
    }

    /// What the service `name` has written to its log, before a crash too.
    ///
    /// # Errors
    /// There is no such service.
    pub fn output(&self, name: &str) -> Result<String> {
        Ok(self.part(name)?.service.output())
    }

    /// The sum of a metric's series in the service `name`, or of those of one operator; 0 where
    /// there is none yet.
    ///
    /// # Errors
    /// The service does not answer.
    pub async fn metric(&self, name: &str, metric: &str, operator: Option<&str>) -> Result<f64> {
        let text = metrics_text(self.part(name)?.port).await?;
        let is_wanted = |sample: &Sample<'_>| operator.is_none() || sample.label("operator") == operator;
        let wanted = exposition::samples(&text, metric).filter(is_wanted);
        Ok(wanted.map(|sample| sample.value).sum())
    }

    fn part(&self, name: &str) -> Result<&Part> {
        let found = self.0.iter().find(|part| part.name == name);
        found.with_context(|| format!("no service {name}"))
    }

    /// Stops all, and checks that each ends well.
    ///
    /// # Errors
    /// One does not.
    pub async fn stop(self) -> Result<()> {
        for part in self.0 {
            part.service.stop().await?;
        }
        Ok(())
    }
}

/// Short windows, as `millrace-lab chaos` has them, with sessions and transactions that a busy
/// machine keeps up: a worker that had no processor for longer would end, and no test counts on
/// that.
pub fn hasten(settings: &mut Settings) {
    millrace_lab::chaos::hasten(settings);
    for worker in [
        &mut settings.aggregator.worker,
        &mut settings.detector.worker,
        &mut settings.rekey.worker,
        &mut settings.clickstream.worker,
        &mut settings.iot.worker,
        &mut settings.commerce.worker,
        &mut settings.incidents.worker,
    ] {
        worker.session_timeout_ms = 25_000;
        worker.transaction_timeout_ms = 20_000;
        worker.drain_timeout_ms = 10_000;
    }
}

/// Runs `millrace init`, and waits until every broker knows what it has made; returns what it
/// printed.
///
/// # Errors
/// It fails; with the end of its log.
pub async fn init(context: &TestContext) -> Result<String> {
    let mut service = Service::start(context, "init", &["init", "--kibana-timeout", "0s"])?;
    service.succeed(LIMIT).await?;
    topics::known_to_all_brokers(&context.settings).await?;
    Ok(service.output())
}

/// Runs `millrace verify`, which waits for the last windows to close.
///
/// # Errors
/// It fails; with the end of its table.
pub async fn verify(context: &TestContext) -> Result<()> {
    Service::start(context, "verify", &["verify", "--timeout", "180s"])?
        .succeed(LIMIT)
        .await
}

/// Asks the test's registry for schemas.
#[must_use]
pub fn schemas(context: &TestContext) -> SchemaFetcher {
    SchemaFetcher::new(registry_config(context))
}

/// The test's registry.
#[must_use]
pub fn registry_config(context: &TestContext) -> RegistryConfig {
    millrace_service::registry::config(&context.settings.schema_registry)
}

/// What a service on this port says of itself in the text format of Prometheus.
///
/// # Errors
/// It does not answer.
pub async fn metrics_text(port: u16) -> Result<String> {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await?;
    Ok(answer.error_for_status()?.text().await?)
}

/// Runs `millrace ARGUMENTS…` to its end; whether it succeeds, and what it says.
///
/// # Errors
/// It does not end within [`LIMIT`].
pub async fn run(context: &TestContext, name: &str, arguments: &[&str]) -> Result<(bool, String)> {
    let mut command = Service::start(context, name, arguments)?;
    let (status, output) = command.end(LIMIT).await?;
    Ok((status == Some(0), output))
}

/// A detector that is ready.
///
/// # Errors
/// It does not get ready.
pub async fn detector(context: &TestContext) -> Result<Service> {
    let mut detector = Service::start(context, "detector", &["service", "detector"])?;
    detector.ready(context.settings.detector.metrics_port).await?;
    Ok(detector)
}
