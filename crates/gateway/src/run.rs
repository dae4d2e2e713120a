//! The service from start to end.

use std::future::IntoFuture as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use millrace_catalog::Service;
use millrace_domain::schema;
use millrace_kafka::client::{Properties, idempotent_producer_config};
use millrace_kafka::clock::now_ms;
use millrace_kafka::topic_name;
use millrace_publisher::ledger::{Heading, Ledger};
use millrace_publisher::{Ended, Lanes, RunId, Spec, Supervisor, Topic, Topics};
use millrace_registry::Registry;
use millrace_service::process::Running;
use millrace_service::{registry, topics};
use millrace_settings::Settings;
use millrace_telemetry::{Health, Shutdown};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::access::Access;
use crate::api;
use crate::batch::Posted;
use crate::idempotency::Store;
use crate::inbox::{Inbox, inbox};
use crate::ingest::Gateway;
use crate::intake::{STREAMS, Stream};
use crate::metrics::Metrics;

/// Serves until `shutdown`; then takes no more requests, does those under way, and waits until what
/// they sent is acknowledged.
///
/// # Errors
/// Wrong settings, a port in use, a missing topic or schema, or sending cannot go on.
pub fn run(settings: Settings, shutdown: Shutdown) -> Running<'static, ()> {
    Box::pin(take_requests(settings, shutdown))
}

async fn take_requests(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    let metrics = Metrics::register()?;
    let health = Health::new(Service::Gateway.name());
    let kafka_health = health.component("kafka");
    let api_health = health.component("api");
    let (host, port) = (&settings.telemetry.bind_host, settings.gateway.metrics_port);
    let _server = millrace_telemetry::serve(host, port, health, shutdown.clone())?;
    let listener = bind(&settings.gateway).await?;
    let prepared = tokio::select! {
        prepared = prepare(&settings, &metrics, &shutdown) => prepared?,
        () = shutdown.wait() => return Ok(()),
    };
    let Prepared {
        gateway,
        mut lanes,
        ledger,
    } = prepared;
    lanes.start()?;
    // Requests end first, and then what sends their records.
    let sending = Shutdown::new();
    let supervisor = Supervisor::new(ledger, metrics.sending, kafka_health.clone(), None);
    let watched = {
        let sending = sending.clone();
        tokio::spawn(async move { supervisor.watch(lanes, &sending, |_| {}).await })
    };
    kafka_health.ready();
    api_health.ready();
    tracing::info!(address = %listener.local_addr()?, streams = ?STREAMS, "taking records");
    let served = serve(listener, Arc::clone(&gateway), &shutdown);
    finish(served, watched, &gateway, &sending, &shutdown).await
}

async fn bind(settings: &millrace_settings::Gateway) -> anyhow::Result<TcpListener> {
    let (host, port) = (&*settings.bind_host, settings.port);
    let bound = TcpListener::bind((host, port)).await;
    bound.with_context(|| {
        format!(
            "the gateway cannot listen on {host}:{port}; set gateway.port to a free port (0 takes any), or \
             gateway.bind_host to an address of this machine"
        )
    })
}

struct Prepared {
    gateway: Arc<Gateway>,
    lanes: Lanes<Posted>,
    ledger: Ledger<Posted>,
}

/// Asks the registry and the brokers for what is needed, and makes the parts.
async fn prepare(settings: &Settings, metrics: &Metrics, shutdown: &Shutdown) -> anyhow::Result<Prepared> {
    let own = &settings.gateway;
    let access = Access::new(own)?;
    if !access.is_required() {
        tracing::warn!(
            bind_host = own.bind_host,
            "gateway.api_keys is empty: whoever reaches this address may write"
        );
    }
    let client = Registry::new(registry::config(&settings.schema_registry))?;
    let mut streams = Vec::new();
    for (at, name) in STREAMS.into_iter().enumerate() {
        let topic = topic_name(&settings.kafka, name);
        topics::partition_count(&settings.kafka, &topic, shutdown).await?;
        streams.push(Arc::new(Stream {
            name,
            topic: at,
            schema_id: registry::schema_id(&client, &topic, schema::TRANSACTION).await?,
            topic_name: topic,
            limits: settings.aggregator.event_time.limits(),
            max_item_bytes: own.max_item_bytes,
        }));
    }
    // Each parcel has a record, so that there is room for all that may be in flight.
    let (outlet, inbox) = inbox(own.max_in_flight_records);
    let lanes = lanes(settings, metrics, &streams, inbox).await?;
    let ledger = ledger(settings, &streams)?;
    let gateway = Arc::new(Gateway {
        access,
        streams,
        store: Store::new(
            Duration::from_millis(own.idempotency_ttl_ms),
            own.idempotency_max_keys,
        ),
        metrics: metrics.clone(),
        outlet,
        bytes: Arc::new(Semaphore::new(own.max_in_flight_bytes)),
        records: Arc::new(Semaphore::new(own.max_in_flight_records)),
        settings: own.clone(),
    });
    Ok(Prepared {
        gateway,
        lanes,
        ledger,
    })
}

async fn lanes(
    settings: &Settings,
    metrics: &Metrics,
    streams: &[Arc<Stream>],
    inbox: Inbox,
) -> anyhow::Result<Lanes<Posted>> {
    let own = &settings.gateway;
    // A record of which nothing is known by then is told as such.
    let properties = Properties::from([
        ("linger.ms".to_owned(), own.linger_ms.to_string()),
        (
            "message.timeout.ms".to_owned(),
            own.request_timeout_ms.to_string(),
        ),
    ]);
    let topic = |stream: &Arc<Stream>| Topic {
        name: stream.topic_name.clone(),
        item: "record",
    };
    let spec = Spec {
        client: idempotent_producer_config(&settings.kafka, &properties)?,
        topics: Topics {
            records: streams.iter().map(topic).collect(),
            asides: None,
        },
        durations: metrics.sending.durations(),
        window_ms: settings.aggregator.window_ms,
    };
    let prepared = tokio::task::spawn_blocking(move || Lanes::prepare(&spec, vec![inbox]));
    prepared.await.context("a start was cut off")?
}

/// Beside the producers', so that a verification expects what was sent here too.
fn ledger(settings: &Settings, streams: &[Arc<Stream>]) -> anyhow::Result<Ledger<Posted>> {
    let started_ms = now_ms();
    let topic = streams.first().map(|stream| stream.topic_name.clone());
    let heading = Heading {
        run_id: RunId::new(started_ms).to_string(),
        started_ms,
        run_in_ids: None,
        topic: topic.unwrap_or_default(),
        window_ms: settings.aggregator.window_ms,
    };
    Ok(Ledger::create(&settings.producer.ledger_dir, &heading)?)
}

async fn serve(listener: TcpListener, gateway: Arc<Gateway>, shutdown: &Shutdown) -> io::Result<()> {
    let drain = Duration::from_millis(gateway.settings.drain_timeout_ms);
    let ending = shutdown.clone();
    let server = axum::serve(listener, api::router(gateway))
        .with_graceful_shutdown(async move { ending.wait().await })
        .into_future();
    let late = async {
        shutdown.wait().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        ended = server => ended,
        () = late => {
            tracing::warn!(drain_ms = drain.as_millis() as u64, "requests are cut off: they took longer than gateway.drain_timeout_ms");
            Ok(())
        }
    }
}

/// Waits until requests have ended, or sending has; then ends the other.
async fn finish(
    served: impl Future<Output = io::Result<()>>,
    mut watched: JoinHandle<anyhow::Result<Ended<Posted>>>,
    gateway: &Gateway,
    sending: &Shutdown,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let served = tokio::select! {
        served = served => served,
        ended = &mut watched => {
            let ended = ended.context("sending was cut off")??;
            return match ended.failure {
                Some(failure) => Err(failure.context("sending cannot go on")),
                None => Err(anyhow::anyhow!("sending has ended by itself")),
            };
        }
    };
    // What was put there before is sent.
    let outlet = gateway.outlet.clone();
    let closed = tokio::task::spawn_blocking(move || outlet.close());
    let ended = tokio::select! {
        ended = &mut watched => ended,
        () = tokio::time::sleep(Duration::from_millis(gateway.settings.drain_timeout_ms)) => {
            sending.trigger();
            watched.await
        }
    };
    closed.await.context("a stop was cut off")?;
    let ended = ended.context("sending was cut off")??;
    let totals = ended.ledger.totals();
    tracing::info!(
        acknowledged = totals.acknowledged,
        failed = totals.failed,
        ledger = %ended.ledger.path().display(),
        stopping = shutdown.is_triggered(),
        "sending has ended"
    );
    served.context("the gateway cannot serve")?;
    ended.failure.map_or(Ok(()), Err)
}
