//! Which events of a stream its jobs take: what they refuse is in no store.

use millrace_contract::EventTimeLimits;
use millrace_kafka::{Misplaced, SourcePartitions};
use millrace_settings::{EventTime, Kafka, MisplacedRecords};
use millrace_telemetry::Shutdown;

use crate::topics::partition_count;

/// Which events of a stream its jobs take.
#[derive(Debug)]
pub struct Taken {
    /// The bounds on their times.
    pub limits: EventTimeLimits,
    /// Where those that are misplaced become dead letters.
    partitions: Option<SourcePartitions>,
}

impl Taken {
    /// Within these bounds, and in their key's partition where `partitions` are given.
    #[must_use]
    pub fn of(event_time: &EventTime, partitions: Option<SourcePartitions>) -> Self {
        Self {
            limits: event_time.limits(),
            partitions,
        }
    }

    /// The partitions of a topic by its full name, where those of its records that are misplaced
    /// become dead letters. Waits for brokers that are away.
    ///
    /// # Errors
    /// The topic does not exist, no broker answers in a minute, or `shutdown`.
    pub async fn partitions(
        kafka: &Kafka,
        topic: &str,
        misplaced: MisplacedRecords,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Option<SourcePartitions>> {
        if misplaced != MisplacedRecords::DeadLetter {
            return Ok(None);
        }
        let count = partition_count(kafka, topic, shutdown).await?;
        Ok(Some(SourcePartitions::new(kafka, topic, count)))
    }

    /// Whether a record, by its partition and key, lies elsewhere than those of its event's key,
    /// and is a dead letter for it.
    #[must_use]
    pub fn is_misplaced(&self, partition: i32, key: Option<&[u8]>, event_key: &[u8]) -> bool {
        let is_misplaced = |source: &SourcePartitions| {
            let misplaced = Misplaced::of(event_key, key, partition, source.at_start());
            // Where partitions were added, the jobs refuse to refuse such records, and so they are
            // no dead letters.
            misplaced.is_some() && {
                source.look_for_record();
                !source.have_grown()
            }
        };
        self.partitions.as_ref().is_some_and(is_misplaced)
    }
}
