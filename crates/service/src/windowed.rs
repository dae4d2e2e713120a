//! Both jobs of aggregates in two stages, as the catalog and the settings have them.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use millrace_catalog::{JobSpec, stream, topic_spec};
use millrace_contract::Reader;
use millrace_engine::windowed::{Aggregation as _, EarlyResults, MergePolicy, PartialPolicy};
use millrace_kafka::{SourcePartitions, topic_name};
use millrace_registry::{Registry, SchemaFetcher};
use millrace_runtime::windowed::{
    MergeJob, MergeParts, MergeTopics, PartialJob, PartialParts, PartialTopics, TwoStage, WindowMetrics,
};
use millrace_runtime::{JobMetrics, hash_seed};
use millrace_settings::{EventTime, MisplacedRecords, Settings, StreamJobs};
use millrace_telemetry::Shutdown;

use crate::{refusal, registry, source, topics};

/// What two stages are of: their jobs, and what is set of them.
#[derive(Debug, Clone, Copy)]
pub struct Windowed<'a> {
    /// The first stage.
    pub partial: &'a JobSpec,
    /// The second stage, which reads what the first one writes first.
    pub merge: &'a JobSpec,
    /// The size of a window.
    pub window_ms: i64,
    /// How long after the watermark has passed its end a window still takes records.
    pub allowed_lateness_ms: i64,
    /// Which event times are possible, and their disorder.
    pub event_time: &'a EventTime,
    /// How often early results are due, where they are.
    pub early_every_ms: Option<i64>,
    /// What becomes of a record that lies elsewhere than those of its key.
    pub misplaced_records: MisplacedRecords,
}

impl<'a> Windowed<'a> {
    /// Two stages over a stream, by what is set of its jobs.
    #[must_use]
    pub const fn of_stream(partial: &'a JobSpec, merge: &'a JobSpec, jobs: StreamJobs<'a>) -> Self {
        Self {
            partial,
            merge,
            window_ms: jobs.window_ms,
            allowed_lateness_ms: jobs.allowed_lateness_ms,
            event_time: jobs.event_time,
            early_every_ms: None,
            misplaced_records: jobs.misplaced_records,
        }
    }
}

/// Where a first stage copies late records to, before any prefix; `None` where it counts them
/// alone, as another job of the stream copies the same.
fn late(partial: &JobSpec) -> Option<&'static str> {
    let takes_copies = |name: &&str| topic_spec(name).is_some_and(|spec| spec.takes_copies);
    partial.writes.iter().copied().find(takes_copies)
}

/// Asks the registry and the brokers what the jobs need, and makes them: to run them, or to repeat
/// their logs without Kafka's groups and transactions, which gives what an undisturbed run gives.
///
/// # Errors
/// Wrong settings, a schema or a topic that is missing, brokers that do not answer, or `shutdown`.
pub async fn prepare<W: TwoStage>(
    settings: &Settings,
    of: &Windowed<'_>,
    shutdown: &Shutdown,
) -> anyhow::Result<(PartialJob<W>, MergeJob<W>)> {
    let name = |topic| topic_name(&settings.kafka, topic);
    let read = stream(of.partial.input, settings.rekeys());
    let results = of
        .merge
        .writes
        .first()
        .context("the second stage writes nothing")?;
    let (input, partials, results_topic) = (name(read), name(of.merge.input), name(results));
    let registry_config = registry::config(&settings.schema_registry);
    let client = Registry::new(registry_config.clone())?;
    let partial_id = registry::schema_id(&client, &partials, topics::schema(of.merge.input)?).await?;
    let result_id = registry::schema_id(&client, &results_topic, topics::schema(results)?).await?;
    let fetcher = SchemaFetcher::new(registry_config);
    let reader = registry::reader(&client, &fetcher, &input).await?;
    let partitions = |topic| topics::partition_count(&settings.kafka, topic, shutdown);
    let source_partitions = partitions(&input).await?;
    let partials_partitions = of_contract(of.merge.input, partitions(&partials).await?, &partials)?;

    let early = of.early_every_ms.map(EarlyResults::every_ms).transpose()?;
    let (lateness_ms, event_time) = (of.allowed_lateness_ms, of.event_time);
    let seed = hash_seed();
    let partial = PartialJob::new(PartialParts {
        policy: PartialPolicy::new(of.window_ms, lateness_ms, event_time.max_disorder_ms)?.with_early(early),
        max_future_ms: event_time.max_future_ms,
        earliest_ms: event_time.earliest_time.ms(),
        seed,
        topics: PartialTopics {
            control: name(of.partial.control(settings.rekeys())),
            partials: partials.clone(),
            partials_control: name(of.merge.control),
            late: late(of.partial).map(name),
            input: input.clone(),
        },
        source: Arc::new(SourcePartitions::new(&settings.kafka, &input, source_partitions)),
        upstream: (read != of.partial.input).then(|| source::rekeying(&settings.kafka)),
        misplaced_records: of.misplaced_records,
        partials_partitions,
        schema_id: partial_id,
        reader,
        refusal: refusal(settings, of.partial)?,
        metrics: JobMetrics::of(W::Aggregation::PARTIAL)?,
        windows: WindowMetrics::of(W::Aggregation::PARTIAL)?,
    });
    let merge = MergeJob::new(MergeParts {
        policy: MergePolicy::new(usize::try_from(source_partitions)?, lateness_ms)?.with_early(early),
        seed,
        topics: MergeTopics {
            input: partials,
            control: name(of.merge.control),
            results: results_topic,
        },
        schema_id: result_id,
        reader: Reader::new(fetcher).with_own_schema_id(partial_id),
        refusal: refusal(settings, of.merge)?,
        metrics: JobMetrics::of(W::Aggregation::MERGE)?,
        windows: WindowMetrics::of(W::Aggregation::MERGE)?,
    });
    Ok((partial, merge))
}

/// How many partitions of a topic between the stages are used: those that it is made with. Others
/// stay empty, as a window of a key would be in two parts, each a result of its own, where a key's
/// partition changed in its midst.
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

#[cfg(test)]
mod tests {
    use millrace_catalog::{clickstream, commerce, iot, payments};

    use super::*;

    #[test]
    fn late_records_of_a_stream_are_copied_once() {
        let of = |job| late(&job);
        assert_eq!(of(payments::AGGREGATE_PARTIAL), Some(payments::topic::LATE));
        assert_eq!(
            of(clickstream::PAGE_VIEWS_PARTIAL),
            Some(clickstream::topic::LATE)
        );
        assert_eq!(of(iot::MINUTES_PARTIAL), Some(iot::topic::LATE));
        assert_eq!(of(commerce::REVENUE_PARTIAL), Some(commerce::topic::LATE));
        assert_eq!(
            of(commerce::PRODUCT_SALES_PARTIAL),
            None,
            "revenue copies the same"
        );
    }
}
