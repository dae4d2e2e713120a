//! Merchant aggregates over tumbling windows of event time, in two stages, exactly once.
//!
//! [`partial`] adds up each partition of transactions and sends one contribution for each window,
//! merchant and currency, then its watermark; [`merge`] adds the contributions up once every
//! partition has passed the window. Both are jobs on the worker loop of [`millrace_runtime`],
//! around the pure operators of [`millrace_engine::windowed`].

#![forbid(unsafe_code)]

mod beginning;
pub mod merge;
pub mod metrics;
pub mod partial;
mod settings;

use std::sync::Arc;

use anyhow::ensure;
use millrace_catalog::payments::{AGGREGATE_MERGE, AGGREGATE_PARTIAL, topic};
use millrace_catalog::{Service, topic_spec};
use millrace_codec::{PartialReader, Registry, SchemaFetcher};
use millrace_domain::schema;
use millrace_engine::windowed::{EarlyResults, MergePolicy, PartialPolicy};
use millrace_kafka::{SourcePartitions, topic_name};
use millrace_runtime::{JobMetrics, Jobs, check_settings, hash_seed};
use millrace_service::{Instance, handover, job_config, refusal, registry, source, topics};
use millrace_settings::Settings;
use millrace_telemetry::{Health, Shutdown};

use crate::merge::{MergeJob, MergeParts, MergeTopics};
use crate::metrics::WindowMetrics;
use crate::partial::{PartialJob, PartialParts, PartialTopics};

/// Runs both stages until `shutdown`, then lets them commit what they have. Each stage is a part of
/// readiness.
///
/// # Errors
/// Wrong settings, a port in use, missing topics or schemas, or what ended a worker: a new start
/// goes on from the last commit.
pub async fn run(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    let health = Health::new(Service::Aggregator.name());
    let (first, second) = (health.component(partial::NAME), health.component(merge::NAME));
    let aggregator = &settings.aggregator;
    check_settings(&settings, &aggregator.worker)?;
    let (host, port) = (&settings.telemetry.bind_host, aggregator.metrics_port);
    let server = millrace_telemetry::serve(host, port, health.clone(), shutdown.clone())?;
    let instance = Instance::claim(
        &settings.kafka,
        Service::Aggregator.name(),
        "aggregator.worker.instance",
        aggregator.worker.instance.as_deref(),
        server.address().port(),
    )?;
    source::warn_of_create_time(&settings.kafka, &source::transactions_topic(&settings));
    let config = job_config(&settings, &aggregator.worker, &aggregator.event_time, &instance);
    loop {
        let prepared = tokio::select! {
            prepared = prepare_to_run(&settings, &shutdown) => prepared,
            () = shutdown.wait() => return Ok(()),
        };
        if shutdown.is_triggered() {
            return Ok(());
        }
        let (partial, merge) = prepared?;
        let source = Arc::clone(partial.partitions());
        let mut jobs = Jobs::new(shutdown.clone());
        jobs.start(partial, config.clone(), first.clone());
        jobs.start(merge, config.clone(), second.clone());
        let ended = jobs.finish().await;
        if shutdown.is_triggered() || !topics::have_grown(source, &ended).await? {
            return ended;
        }
    }
}

/// Prepares the jobs for the partitions that there are, and the control topics too.
async fn prepare_to_run(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<(PartialJob, MergeJob)> {
    let jobs = prepare(settings, shutdown).await?;
    handover::check(settings, partial::NAME, shutdown).await?;
    topics::extend_controls(settings).await?;
    Ok(jobs)
}

/// Asks the registry and the brokers what the jobs need, and makes them: to run them, or to repeat
/// their logs without Kafka's groups and transactions, which gives what an undisturbed run gives.
///
/// # Errors
/// Wrong settings, a schema or a topic that is missing, brokers that do not answer, or `shutdown`.
pub async fn prepare(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<(PartialJob, MergeJob)> {
    let name = |topic| topic_name(&settings.kafka, topic);
    let (transactions, partials) = (source::transactions_topic(settings), name(topic::PARTIALS));
    let aggregates = name(topic::AGGREGATES);
    let registry_config = registry::config(&settings.schema_registry);
    let client = Registry::new(registry_config.clone())?;
    let partial_id = registry::schema_id(&client, &partials, schema::AGGREGATE_PARTIAL).await?;
    let aggregate_id = registry::schema_id(&client, &aggregates, schema::MERCHANT_AGGREGATE).await?;
    let fetcher = SchemaFetcher::new(registry_config);
    let reader = registry::reader(&client, &fetcher, &transactions).await?;
    let partitions = |topic| topics::partition_count(&settings.kafka, topic, shutdown);
    let source_partitions = partitions(&transactions).await?;
    let partials_partitions = of_contract(topic::PARTIALS, partitions(&partials).await?, &partials)?;

    let aggregator = &settings.aggregator;
    let (lateness_ms, event_time) = (aggregator.allowed_lateness_ms, &aggregator.event_time);
    let early = aggregator
        .emit
        .every_ms()
        .map(EarlyResults::every_ms)
        .transpose()?;
    let seed = hash_seed();
    let partial = PartialJob::new(PartialParts {
        policy: PartialPolicy::new(aggregator.window_ms, lateness_ms, event_time.max_disorder_ms)?
            .with_early(early),
        max_future_ms: event_time.max_future_ms,
        earliest_ms: event_time.earliest_time.ms(),
        seed,
        topics: PartialTopics {
            input: transactions,
            control: name(AGGREGATE_PARTIAL.control(settings.rekeys())),
            partials: partials.clone(),
            partials_control: name(AGGREGATE_MERGE.control),
            late: name(topic::LATE),
        },
        source: Arc::new(SourcePartitions::new(
            &settings.kafka,
            &source::transactions_topic(settings),
            source_partitions,
        )),
        upstream: settings.rekeys().then(|| source::rekeying(&settings.kafka)),
        misplaced_records: aggregator.misplaced_records,
        partials_partitions,
        schema_id: partial_id,
        reader,
        refusal: refusal(settings, &AGGREGATE_PARTIAL)?,
        metrics: JobMetrics::of(partial::NAME)?,
        windows: WindowMetrics::of(partial::NAME)?,
    });
    let merge = MergeJob::new(MergeParts {
        policy: MergePolicy::new(usize::try_from(source_partitions)?, lateness_ms)?.with_early(early),
        seed,
        topics: MergeTopics {
            input: partials,
            control: name(AGGREGATE_MERGE.control),
            aggregates,
        },
        schema_id: aggregate_id,
        reader: PartialReader::new(fetcher).with_own_schema_id(partial_id),
        refusal: refusal(settings, &AGGREGATE_MERGE)?,
        metrics: JobMetrics::of(merge::NAME)?,
        windows: WindowMetrics::of(merge::NAME)?,
    });
    Ok((partial, merge))
}

/// How many partitions of a topic between the stages are used: those that it is made with. Others
/// stay empty, as a window of a merchant would be in two parts, each an aggregate of its own, where
/// a merchant's partition changed in its midst.
fn of_contract(name: &str, found: i32, topic: &str) -> anyhow::Result<i32> {
    let partitions = topic_spec(name).map_or(found, |spec| spec.partitions);
    ensure!(
        found >= partitions,
        "the topic {topic} has {found} partitions and must have {partitions}: `millrace init` makes it so"
    );
    if found > partitions {
        tracing::warn!(
            topic,
            found,
            used = partitions,
            "partitions were added to a topic between the stages of aggregation: they stay empty"
        );
    }
    Ok(partitions)
}
