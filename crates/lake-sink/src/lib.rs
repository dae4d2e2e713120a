//! The lake: streams as Parquet by day, each record once, whatever is killed when.
//!
//! The loop is `millrace_sink`'s; [`sink`] is what it asks of a store: rows ([`table`],
//! [`tables`]), and files of them (`file`) whose names say what they hold ([`name`]), put into a
//! [`store`] so that what was written and not committed is found again. docs/design/lake.md has the
//! argument.

#![forbid(unsafe_code)]

mod columns;
pub mod compact;
mod covered;
pub mod expire;
mod file;
pub mod metrics;
pub mod name;
mod read;
pub mod sink;
pub mod store;
pub mod table;
pub mod tables;
pub mod verify;

use millrace_catalog::Service;
use millrace_kafka::client::consumer_config;
use millrace_service::Instance;
use millrace_service::process::Running;
use millrace_settings::Settings;
use millrace_sink::{Consumer, Reachability, Sink as _};
use millrace_telemetry::{Health, Shutdown};
use tokio::runtime::Handle;

use crate::sink::LakeSink;
use crate::store::Lake;

/// Runs the sink until `shutdown`, then drains it. Readiness: `kafka` is ready with an assignment
/// and a broker, `lake` while the store takes files.
///
/// # Errors
/// Wrong settings, a port in use, or what a new start of the process may mend.
pub fn run(settings: Settings, shutdown: Shutdown) -> Running<'static, ()> {
    Box::pin(write_files(settings, shutdown))
}

async fn write_files(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    let sink = &settings.lake_sink;
    // A wrong property is wrong however long the servers are waited for.
    consumer_config(&settings.kafka, "check", &sink.consumer_properties)?;
    let name = Service::LakeSink.name();
    let health = Health::new(name);
    let (host, port) = (&settings.telemetry.bind_host, sink.metrics_port);
    let server = millrace_telemetry::serve(host, port, health.clone(), shutdown.clone())?;
    let instance = Instance::claim(
        &settings.kafka,
        name,
        "lake_sink.instance",
        sink.instance.as_deref(),
        server.address().port(),
    )?;
    let (metrics, of_loop) = (
        metrics::Metrics::register()?,
        millrace_sink::Metrics::register(LakeSink::<Lake>::NAMES)?,
    );
    let store = Lake::open(sink)?;
    let reachability = Reachability::new(health.component("lake"));
    let readers = tokio::select! {
        readers = tables::readers(&settings) => readers?,
        () = shutdown.wait() => return Ok(()),
    };
    reachability.probe(None);
    let spec = sink::spec(&settings, &instance);
    let group = spec.group.clone();
    let topics: Vec<String> = spec.topics().into_iter().map(str::to_owned).collect();
    let consumer = Consumer::new(
        LakeSink::new(
            store,
            readers,
            sink::backoff(&settings),
            metrics,
            Handle::current(),
        ),
        spec,
        of_loop,
        reachability,
        &Handle::current(),
        &health,
    )?;
    tracing::info!(group, ?topics, url = %sink.url.display(), "reading");
    consumer.run(shutdown).await
}
