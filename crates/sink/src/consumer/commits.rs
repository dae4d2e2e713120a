//! Commits of what is done.

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use crate::pipeline::Commit;
use crate::sink::Sink;
use crate::spec::{Source, source};

use super::context::{Running, SinkContext};

/// Commits all that is done, and waits for it. What fails is warned of: the records will be read
/// again.
pub(super) fn at_once<S: Sink>(
    consumer: &BaseConsumer<SinkContext<S>>,
    sources: &[Source],
    pipeline: &mut Running<S>,
) {
    let commits = pipeline.committable();
    if commits.is_empty() {
        return;
    }
    let done = list(sources, &commits).and_then(|offsets| consumer.commit(&offsets, CommitMode::Sync));
    match done {
        Ok(()) => pipeline.committed(&commits),
        Err(error) => tracing::warn!(%error, "the last commit failed: records will be read again"),
    }
}

/// Asks for a commit of all that is done.
pub(super) fn ask<S: Sink>(
    consumer: &BaseConsumer<SinkContext<S>>,
    sources: &[Source],
    pipeline: &mut Running<S>,
) {
    let commits = pipeline.committable();
    if commits.is_empty() {
        return;
    }
    let asked = list(sources, &commits).and_then(|offsets| consumer.commit(&offsets, CommitMode::Async));
    match asked {
        Ok(()) => pipeline.committed(&commits),
        Err(error) => tracing::warn!(%error, "committing will be tried again"),
    }
}

fn list(sources: &[Source], commits: &[Commit]) -> KafkaResult<TopicPartitionList> {
    let mut offsets = TopicPartitionList::new();
    for &(partition, offset) in commits {
        let topic = &source(sources, partition).topic;
        offsets.add_partition_offset(topic, partition.partition, Offset::Offset(offset))?;
    }
    Ok(offsets)
}
