//! The lake: streams as Parquet by day, each record once, whatever is killed when.
//!
//! The loop is `millrace_sink`'s; [`sink`] is what it asks of a store: rows ([`table`],
//! [`tables`]), and files of them (`file`) whose names say what they hold ([`name`]), put into a
//! [`store`] so that what was written and not committed is found again. docs/design/lake.md has the
//! argument.

#![forbid(unsafe_code)]

mod another_log;
mod avro;
mod cells;
mod columns;
pub mod compact;
mod covered;
pub mod expire;
mod file;
mod kind;
pub mod metrics;
pub mod name;
mod read;
pub mod sink;
pub mod store;
pub mod table;
pub mod tables;
pub mod verify;

use millrace_catalog::Service;
use millrace_service::process::Running;
use millrace_service::sink::SinkHost;
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;
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
    let host = SinkHost {
        service: Service::LakeSink,
        settings: &settings,
        sink: settings.lake_sink.sink_loop(),
        store: "lake",
    };
    let process = host.start::<LakeSink<Lake>>(&shutdown)?;
    let metrics = metrics::Metrics::register()?;
    let store = Lake::open(&settings.lake_sink)?;
    let readers = tokio::select! {
        readers = tables::readers(&settings, &shutdown) => readers?,
        () = shutdown.wait() => return Ok(()),
    };
    process.reachability.probe(None);
    let spec = host.spec(&process, sink::reads(&settings));
    let sink = LakeSink::new(store, readers, host.backoff(), metrics, Handle::current());
    process.run(sink, spec, shutdown).await
}
