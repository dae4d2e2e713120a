//! Transactions, aggregates and anomalies into Elasticsearch, so that a replay changes nothing.
//!
//! [`consumer`] reads the three topics on a thread of its own and decides by [`decode`] what each
//! record becomes: a [`document`], a dead letter, or nothing. [`bulk`] collects documents and gives
//! meaning to the answers, [`writer`] sends them until they are taken or refused, and
//! [`acknowledgement`] says which offsets may be committed then. [`indices`] makes sure of an index
//! before it is written to, [`set_aside`] keeps the documents of one that takes none. [`templates`]
//! is for whoever sets the server up. docs/elasticsearch.md says what becomes of every error.

#![forbid(unsafe_code)]

pub mod acknowledgement;
pub mod bulk;
pub mod client;
pub mod conflict;
pub mod consumer;
pub mod dead_letter;
pub mod decode;
pub mod document;
pub mod indices;
pub mod metrics;
pub mod reachability;
pub mod refusals;
pub mod retry;
pub mod sample;
pub mod set_aside;
pub mod stream;
pub mod templates;
pub mod writer;

use anyhow::Context as _;
use millrace_domain::plan::{Action, Item, State};
use millrace_kafka::client::consumer_config;
use millrace_service::Instance;
use millrace_settings::Settings;
use millrace_telemetry::{Health, Shutdown};
use tokio::runtime::Handle;

use crate::client::Elasticsearch;
use crate::consumer::Consumer;
use crate::decode::Readers;
use crate::metrics::Metrics;
use crate::reachability::Reachability;
use crate::retry::Backoff;
use crate::writer::Writer;

/// Runs the sink until `shutdown`, then drains it. Readiness: `kafka` is ready with an assignment
/// and a broker, `elasticsearch` while the server answers and takes documents.
///
/// # Errors
/// Wrong settings, a port in use, or what a new start of the process may mend.
pub async fn run(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    // A wrong property is wrong however long the servers are waited for.
    consumer_config(
        &settings.kafka,
        "check",
        &settings.elastic_sink.consumer_properties,
    )?;
    let health = Health::new(metrics::OPERATOR);
    let (host, port) = (&settings.telemetry.bind_host, settings.elastic_sink.metrics_port);
    let server = millrace_telemetry::serve(host, port, health.clone(), shutdown.clone())?;
    let instance = Instance::claim(
        &settings.kafka,
        metrics::OPERATOR,
        "elastic_sink.instance",
        settings.elastic_sink.instance.as_deref(),
        server.address().port(),
    )?;
    let metrics = Metrics::register()?;
    let client = client::connect(&settings.elasticsearch)?;
    let reachability = Reachability::new(health.component("elasticsearch"));
    let writer = Writer::new(&client, &settings, metrics, reachability.clone());
    // Aborted when it is dropped, at the end of this function.
    let mut watch = tokio::task::JoinSet::new();
    watch.spawn(reachability.clone().watch(client.clone()));
    let readers = tokio::select! {
        readers = async {
            set_up(&client, &settings, &reachability, writer.backoff).await;
            limit_size(&client, &writer).await;
            Readers::ask(&settings, &shutdown).await
        } => readers?,
        () = shutdown.wait() => return Ok(()),
    };
    let consumer = Consumer::new(&settings, &instance, readers, writer, &Handle::current(), &health)?;
    let (sender, ended) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("elastic-sink".to_owned())
        .spawn(move || sender.send(consumer.run(&shutdown)))
        .context("starting the consumer's thread")?;
    ended.await.context("the consumer's thread has panicked")?
}

/// Puts the templates, however long the server is away: without them it would make up mappings of
/// its own.
async fn set_up(client: &Elasticsearch, settings: &Settings, reachability: &Reachability, backoff: Backoff) {
    let mut attempt = 0;
    loop {
        match templates::put_all(client, &settings.elasticsearch).await {
            Ok(items) => {
                reachability.writes(None);
                items.iter().for_each(tell);
                return warn_of_data_streams(client, settings).await;
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

/// Says at the start, and not with the first document, that there are data streams where indices
/// should be.
async fn warn_of_data_streams(client: &Elasticsearch, settings: &Settings) {
    for name in indices::data_streams(client, &settings.elasticsearch).await {
        tracing::warn!(
            data_stream = name,
            "gets no documents: {}",
            bulk::IndexFault::DataStream.remedy()
        );
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
