//! Where a partition starts and ends.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

/// Pause before the next attempt.
const RETRY: Duration = Duration::from_millis(100);

/// The first offset of a partition and its end, by word of its leader, which has `limit` to answer.
///
/// librdkafka sends such a question to the leader that it has once heard of; where leaders have
/// moved since, it is told to learn of them anew, and asked again.
///
/// # Errors
/// The last answer, if there is none within `limit`; at once what no leader would answer otherwise.
pub fn bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
    limit: Duration,
) -> KafkaResult<(i64, i64)> {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let error = match consumer.fetch_watermarks(topic, partition, left) {
            Ok(bounds) => return Ok(bounds),
            Err(error) => error,
        };
        if !is_of_the_leader(&error) || Instant::now() + RETRY > deadline {
            return Err(error);
        }
        tracing::debug!(%error, topic, partition, "looking for the leader");
        std::thread::sleep(RETRY);
        let left = deadline.saturating_duration_since(Instant::now());
        // If it fails too, the next attempt says why.
        let _ = consumer.fetch_metadata(Some(topic), left);
    }
}

fn is_of_the_leader(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::FencedLeaderEpoch
                | RDKafkaErrorCode::UnknownLeaderEpoch
                | RDKafkaErrorCode::OffsetNotAvailable
                | RDKafkaErrorCode::ReplicaNotAvailable
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::KafkaStorageError
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::RequestTimedOut
        )
    )
}
