//! Finds what retention deleted before the sink had read it.

use std::time::Duration;

use millrace_kafka_batch::fetched_log_start;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::sink::Sink;

use super::context::SinkContext;

/// How long the group's coordinator may take to answer.
const CALL: Duration = Duration::from_secs(5);

/// The offsets from `expected`, where a partition was to go on, to `next`, that of its next record,
/// of which the log no longer has anything; `None` without any. Other gaps are markers of
/// transactions and what was aborted.
pub(super) fn deleted<S: Sink>(
    consumer: &BaseConsumer<SinkContext<S>>,
    (topic, partition): (&str, i32),
    expected: Option<i64>,
    next: i64,
) -> Option<(i64, i64)> {
    if expected == Some(next) {
        return None;
    }
    let log_start = fetched_log_start(consumer, topic, partition)?;
    if log_start == 0 {
        return None;
    }
    // The first record since the assignment: the group went on from its commit. A group without one
    // is new.
    let expected = expected.or_else(|| committed(consumer, topic, partition))?;
    gap(expected, next, log_start)
}

fn gap(expected: i64, next: i64, log_start: i64) -> Option<(i64, i64)> {
    let end = log_start.min(next);
    (expected < end).then_some((expected, end))
}

fn committed<S: Sink>(consumer: &BaseConsumer<SinkContext<S>>, topic: &str, partition: i32) -> Option<i64> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    let answer = consumer.committed_offsets(list, CALL);
    let found = answer.and_then(|list| {
        let element = list.find_partition(topic, partition);
        element.map_or(Ok(Offset::Invalid), |element| {
            element.error().map(|()| element.offset())
        })
    });
    match found {
        Ok(Offset::Offset(offset)) => Some(offset),
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(topic, partition, %error, "whether retention has overtaken the sink is not known");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_the_logs_start_was_deleted() {
        assert_eq!(gap(10, 12, 4), None, "markers of transactions");
        assert_eq!(gap(10, 40, 40), Some((10, 40)));
        assert_eq!(gap(10, 43, 40), Some((10, 40)), "and markers after them");
        assert_eq!(gap(40, 43, 40), None);
        assert_eq!(gap(10, 43, 90), Some((10, 43)), "which goes on meanwhile");
    }
}
