//! Reads what a control topic says of a partition.

use millrace_kafka::reader::Reader;
use rdkafka::Message as _;
use rdkafka::error::KafkaError;
use thiserror::Error;

use super::ControlLog;

/// How many records from the end the search for a control offset starts.
const FIRST_STEP: i64 = 2_000;

impl ControlLog {
    /// The control records about offsets from `from` on, in order, and perhaps some before.
    ///
    /// Their offsets rise with the log, so it is enough to read back from the end until one is
    /// below `from`: the whole topic may hold days.
    pub(crate) fn read(
        reader: &Reader,
        topic: &str,
        partition: i32,
        from: i64,
    ) -> Result<ControlLog, ControlError> {
        let (low, high) = reader.bounds(topic, partition)?;
        let mut step = FIRST_STEP;
        loop {
            let start = high.saturating_sub(step).max(low);
            let mut log = ControlLog::default();
            let mut broken = None;
            reader.read(topic, partition, start, |message| {
                if let Err(reason) = log.add(message.payload().unwrap_or_default()) {
                    broken = Some((message.offset(), reason));
                }
                broken.is_none()
            })?;
            if let Some((offset, reason)) = broken {
                // An event that is not understood cannot be left out of a replay.
                return Err(ControlError::Broken { offset, reason });
            }
            let reaches_back = log.records.first().is_some_and(|first| first.offset() < from);
            if reaches_back || start == low {
                return Ok(log);
            }
            step = step.saturating_mul(8);
        }
    }
}

/// Why the control records could not be read.
#[derive(Debug, Error)]
pub(crate) enum ControlError {
    /// The cluster did not answer.
    #[error("{0}")]
    Kafka(KafkaError),
    /// A record that is none.
    #[error("at offset {offset}: {reason}")]
    Broken { offset: i64, reason: String },
}

impl From<KafkaError> for ControlError {
    fn from(error: KafkaError) -> Self {
        Self::Kafka(error)
    }
}
