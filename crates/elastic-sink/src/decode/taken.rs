//! Which records of a source its jobs take: what they refuse is no document.

use millrace_domain::EventTimeLimits;
use millrace_kafka::{Misplaced, SourcePartitions};
use millrace_service::topics;
use millrace_settings::{EventTime, MisplacedRecords, Settings};
use millrace_telemetry::Shutdown;

use super::Record;
use crate::stream::Stream;

/// The partitions of a stream whose misplaced records become dead letters.
pub(super) async fn partitions(
    settings: &Settings,
    stream: Stream,
    misplaced: MisplacedRecords,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<SourcePartitions>> {
    if misplaced != MisplacedRecords::DeadLetter {
        return Ok(None);
    }
    let topic = stream.read_topic(settings);
    let count = topics::partition_count(&settings.kafka, &topic, shutdown).await?;
    Ok(Some(SourcePartitions::new(&settings.kafka, &topic, count)))
}

/// Which records of a source a job takes: what it refuses is no document.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) limits: EventTimeLimits,
    /// Where those that are misplaced become dead letters.
    partitions: Option<SourcePartitions>,
}

impl Taken {
    pub(super) fn of(event_time: &EventTime, partitions: Option<SourcePartitions>) -> Self {
        let limits = EventTimeLimits {
            earliest_ms: Some(event_time.earliest_time.ms()),
            max_future_ms: event_time.max_future_ms,
        };
        Self { limits, partitions }
    }

    /// Whether a record lies elsewhere than those of its user, and is a dead letter for it.
    pub(super) fn is_misplaced(&self, record: Record<'_>, user_id: &[u8]) -> bool {
        let is_misplaced = |source: &SourcePartitions| {
            let misplaced = Misplaced::of(user_id, record.key, record.partition, source.at_start());
            // Where partitions were added, the aggregator refuses to refuse such records, and so
            // they are no dead letters.
            misplaced.is_some() && {
                source.look_for_record();
                !source.have_grown()
            }
        };
        self.partitions.as_ref().is_some_and(is_misplaced)
    }
}
