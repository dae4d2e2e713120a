//! What the settings say of how jobs are run.

use millrace_catalog::payments::topic;
use millrace_catalog::{JobSpec, owns_dead_letters};
use millrace_kafka::topic_name;
use millrace_runtime::JobConfig;
use millrace_runtime::processor::{Refusal, SkippedRecords};
use millrace_settings::{EventTime, Settings, Worker};
use millrace_telemetry::metrics::MetricError;

use crate::Instance;

/// What the jobs of a service are run with.
#[must_use]
pub fn job_config(
    settings: &Settings,
    worker: &Worker,
    event_time: &EventTime,
    instance: &Instance,
) -> JobConfig {
    JobConfig {
        kafka: settings.kafka.clone(),
        worker: worker.clone(),
        snapshots: settings.snapshots.clone(),
        instance: instance.name().to_owned(),
        instance_key: instance.key(),
        max_disorder_ms: event_time.max_disorder_ms,
        rekeyed_topic: topic_name(&settings.kafka, topic::KEYED),
    }
}

/// What becomes of the records that `job` leaves out: the catalog says which job keeps those of a
/// stream.
///
/// # Errors
/// The name of the metric that counts the others is taken.
pub fn refusal(settings: &Settings, job: &JobSpec) -> Result<Refusal, MetricError> {
    match owns_dead_letters(job, settings.rekeys()) {
        true => Ok(Refusal::DeadLetter),
        false => SkippedRecords::of(job.name).map(Refusal::Skip),
    }
}
