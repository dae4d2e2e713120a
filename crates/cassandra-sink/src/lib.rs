//! Aggregates, anomalies and page views in Cassandra, by the questions asked of them.
//!
//! The loop is `millrace_sink`'s; [`sink`] is what it asks of a store. [`stream`] has a line for
//! each topic, [`tables`] the columns and what rows a record makes, [`rows`] reads it; `version`
//! says which of several writes of a row stays, `fault` what an answer means. [`schema`] makes the
//! tables, [`store`] writes to them, and [`read`] is for `millrace query`. docs/cassandra.md says
//! what becomes of what.

#![forbid(unsafe_code)]

mod fault;
pub mod metrics;
pub mod read;
mod row;
pub mod rows;
pub mod schema;
pub mod sink;
pub mod store;
pub mod stream;
pub mod table;
pub mod tables;
mod version;

use millrace_catalog::Service;
use millrace_service::process::Running;
use millrace_service::sink::SinkHost;
use millrace_settings::Settings;
use millrace_sink::Reachability;
use millrace_telemetry::Shutdown;

use crate::metrics::Metrics;
use crate::rows::Readers;
use crate::schema::SchemaError;
use crate::sink::CassandraSink;
use crate::store::Store;

/// Runs the sink until `shutdown`, then drains it. Readiness: `kafka` is ready with an assignment
/// and a broker, `cassandra` while the cluster answers and takes rows.
///
/// # Errors
/// Wrong settings, a port in use, a table that is another than expected, or what a new start of the
/// process may mend.
pub fn run(settings: Settings, shutdown: Shutdown) -> Running<'static, ()> {
    Box::pin(write_rows(settings, shutdown))
}

async fn write_rows(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    let host = SinkHost {
        service: Service::CassandraSink,
        settings: &settings,
        sink: settings.cassandra_sink.sink_loop(),
        store: "cassandra",
    };
    let process = host.start::<CassandraSink>(&shutdown)?;
    let metrics = Metrics::register()?;
    let (store, readers) = tokio::select! {
        ready = async {
            let store = open(&host, metrics, &process.reachability).await?;
            anyhow::Ok((store, Readers::ask(&settings).await?))
        } => ready?,
        () = shutdown.wait() => return Ok(()),
    };
    let spec = host.spec(&process, sink::reads(&settings));
    let sink = CassandraSink::new(&settings, store, readers);
    process.run(sink, spec, shutdown).await
}

/// Connects and makes what is missing, however long the cluster is away.
async fn open(
    host: &SinkHost<'_>,
    metrics: Metrics,
    reachability: &Reachability,
) -> Result<Store, SchemaError> {
    let (sink, backoff) = (&host.settings.cassandra_sink, host.backoff());
    let mut attempt = 0;
    loop {
        match Store::open(sink, metrics.clone()).await {
            Err(SchemaError::Cluster(error)) => reachability.probe(Some(format!("{error:#}"))),
            Ok(store) => {
                reachability.probe(None);
                return Ok(store);
            }
            refused => return refused,
        }
        backoff.wait(attempt).await;
        attempt = attempt.saturating_add(1);
    }
}
