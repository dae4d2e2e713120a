//! Transactions of any accepted form, wherever they lie, in one form and in the partition of their
//! user, exactly once.
//!
//! One job, [`job::NAME`], reads `financial_transactions` and writes
//! `financial_transactions.keyed`, which the other jobs read in its place where `misplaced_records`
//! is `rekey`. It decides what is a dead letter, and keeps those.

#![forbid(unsafe_code)]

mod headers;
pub mod job;
pub mod metrics;
pub mod policy;

use std::sync::Arc;

use millrace_catalog::{Service, payments::topic};
use millrace_domain::schema;
use millrace_kafka::{SourcePartitions, topic_name};
use millrace_registry::{Registry, SchemaFetcher};
use millrace_runtime::JobMetrics;
use millrace_service::host::{Host, Prepared};
use millrace_service::process::Running;
use millrace_service::{handover, registry, topics};
use millrace_settings::{Format, Settings};
use millrace_telemetry::Shutdown;

use crate::job::{Encoding, RekeyJob, RekeyParts};
use crate::metrics::RekeyMetrics;
use crate::policy::RekeyPolicy;

/// Runs the job until `shutdown`, then lets it commit what it has.
///
/// # Errors
/// Wrong settings, a port in use, missing topics or schemas, or what ended a worker: a new start
/// goes on from the last commit.
pub fn run(settings: Settings, shutdown: Shutdown) -> Running<'static, ()> {
    Box::pin(rekey(settings, shutdown))
}

async fn rekey(settings: Settings, shutdown: Shutdown) -> anyhow::Result<()> {
    anyhow::ensure!(
        settings.rekeys(),
        "the job that rekeys runs where aggregator.misplaced_records and detector.misplaced_records are rekey: nobody else \
         would read what it writes"
    );
    if settings.rekey.worker.threads != 1 {
        tracing::warn!(
            threads = settings.rekey.worker.threads,
            "rekey.worker.threads is not 1: after a kill, records that one thread had read come behind those that              another has committed, in a backlog by more than rekey.max_skew_ms, and may be late"
        );
    }
    let host = Host {
        service: Service::Rekey,
        worker: &settings.rekey.worker,
        event_time: &settings.aggregator.event_time,
        stream: topic::TRANSACTIONS,
    };
    host.run(&settings, &shutdown, async || {
        let job = prepare(&settings, &shutdown).await?;
        handover::check(&settings, job::NAME, &shutdown).await?;
        let source = Arc::clone(job.partitions());
        Ok(Prepared::over(&source).with(job))
    })
    .await
}

/// Asks the registry and the brokers what the job needs, and makes it.
///
/// # Errors
/// A schema or topic that is missing, or `shutdown`.
pub async fn prepare(settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<RekeyJob> {
    let name = |topic| topic_name(&settings.kafka, topic);
    let (input, output) = (name(topic::TRANSACTIONS), name(topic::KEYED));
    let registry_config = registry::config(&settings.schema_registry);
    let client = Registry::new(registry_config.clone())?;
    let fetcher = SchemaFetcher::new(registry_config);
    let encoding = match settings.rekey.format {
        Format::Avro => Encoding::Avro(registry::schema_id(&client, &output, schema::TRANSACTION).await?),
        Format::Json => Encoding::Json,
    };
    let event_time = &settings.aggregator.event_time;
    let source_partitions = topics::partition_count(&settings.kafka, &input, shutdown).await?;
    // Before anything is read: an output that is not there would be found with the first record.
    topics::partition_count(&settings.kafka, &output, shutdown).await?;
    Ok(RekeyJob::new(RekeyParts {
        policy: RekeyPolicy {
            max_future_ms: event_time.max_future_ms,
            earliest_ms: event_time.earliest_time.ms(),
        },
        max_disorder_ms: event_time.max_disorder_ms,
        max_skew_ms: settings.rekey.max_skew_ms,
        source: Arc::new(SourcePartitions::new(&settings.kafka, &input, source_partitions)),
        reader: registry::reader(&client, &fetcher, &input).await?,
        input,
        control: name(topic::KEYED_CONTROL),
        output,
        encoding,
        job: JobMetrics::of(job::NAME)?,
        metrics: RekeyMetrics::new(job::NAME)?,
    }))
}
