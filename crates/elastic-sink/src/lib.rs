//! Transactions, what is made of them, page views and sessions into Elasticsearch, so that a replay
//! changes nothing.
//!
//! The loop is `millrace_sink`'s; [`sink`] is what it asks of a store. [`decode`] says what each
//! record of the topics becomes: a [`document`], a dead letter, or nothing. [`bulk`] gives
//! meaning to the answers, [`writer`] sends documents until they are taken or refused, or their
//! index takes none. [`indices`] makes sure of an index before it is written to. [`templates`] is
//! for whoever sets the server up. docs/elasticsearch.md says what becomes of every error.

#![forbid(unsafe_code)]

pub mod bulk;
pub mod client;
pub mod conflict;
pub mod decode;
pub mod document;
pub mod indices;
pub mod metrics;
pub mod origin;
pub mod probe;
pub mod refusals;
pub mod sample;
pub mod sink;
pub mod stream;
mod table;
pub mod templates;
pub mod unfit;
pub mod writer;

use millrace_catalog::Service;
use millrace_domain::plan::{Action, Item, State};
use millrace_service::process::Running;
use millrace_service::sink::SinkHost;
use millrace_settings::Settings;
use millrace_sink::{Backoff, Reachability};
use millrace_telemetry::Shutdown;

use crate::client::Elasticsearch;
use crate::decode::Readers;
use crate::metrics::Metrics;
use crate::sink::ElasticSink;
use crate::writer::Writer;

/// Runs the sink until `shutdown`, then drains it. Readiness: `kafka` is ready with an assignment
/// and a broker, `elasticsearch` while the server answers and takes documents.
///
/// # Errors
/// Wrong settings, a port in use, or what a new start of the process may mend.
pub fn run(settings: Settings, shutdown: Shutdown) -> Running<'static, ()> {
    Box::pin(index(settings, shutdown))
}

async fn index(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    let host = SinkHost {
        service: Service::ElasticSink,
        settings: &settings,
        sink: settings.elastic_sink.sink_loop(),
        store: "elasticsearch",
    };
    let process = host.start::<ElasticSink>(&shutdown)?;
    let (metrics, reachability) = (Metrics::register()?, process.reachability.clone());
    let client = client::connect(&settings.elasticsearch)?;
    let writer = Writer::new(&client, &settings, metrics, reachability.clone());
    // Aborted when it is dropped, at the end of this function.
    let mut watch = tokio::task::JoinSet::new();
    watch.spawn(probe::watch(reachability.clone(), client.clone()));
    let readers = tokio::select! {
        readers = async {
            set_up(&client, &settings, &reachability, writer.backoff).await;
            if unfit::tell(&client, &settings, &reachability).await {
                let reachability = reachability.clone();
                watch.spawn(unfit::watch(client.clone(), settings.clone(), reachability));
            }
            limit_size(&client, &writer).await;
            Readers::ask(&settings, &shutdown).await
        } => readers?,
        () = shutdown.wait() => return Ok(()),
    };
    let share = settings.elastic_sink.transaction_share;
    tracing::info!(share, "of the transactions are indexed");
    let spec = host.spec(&process, sink::reads(&settings));
    let sink = ElasticSink::new(&settings, readers, writer);
    process.run(sink, spec, shutdown).await
}

/// Puts the templates, however long the server is away: without them it would make up mappings of
/// its own.
async fn set_up(client: &Elasticsearch, settings: &Settings, reachability: &Reachability, backoff: Backoff) {
    let mut attempt = 0;
    loop {
        match templates::put_all(client, settings).await {
            Ok(items) => {
                reachability.writes(None);
                items.iter().for_each(tell);
                return;
            }
            Err(error) => reachability.writes(Some(error.to_string())),
        }
        backoff.wait(attempt).await;
        attempt = attempt.saturating_add(1);
    }
}

/// Logs what was done about a template, and what should be looked at.
fn tell(item: &Item) {
    let name = &item.name;
    match &item.state {
        State::New => tracing::info!("{name} is created"),
        State::AsWanted => tracing::debug!("{name} is as it should be"),
        State::Skipped(reason) => tracing::info!("{name}: {reason}"),
        State::Warning(reason) | State::Refused(reason) => tracing::warn!("{name}: {reason}"),
        State::Differs(differences) => {
            for difference in differences {
                match difference.action {
                    Action::Change => tracing::info!("{name}: {difference}"),
                    Action::Keep | Action::Refuse => tracing::warn!("{name}: {difference}"),
                }
            }
        }
    }
}

/// Asks how large a request the server takes.
async fn limit_size(client: &Elasticsearch, writer: &Writer) {
    let Some(bytes) = client::max_content_bytes(client).await else {
        return;
    };
    if bytes < writer.size.limit() {
        tracing::warn!(
            bytes,
            "the server's http.max_content_length is below elastic_sink.bulk_bytes, and is kept to"
        );
    }
    writer.size.server_takes(bytes);
}
