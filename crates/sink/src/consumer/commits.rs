//! Commits of what is done.

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use crate::pipeline::Commit;
use crate::sink::Sink;
use crate::spec::{Source, source};

use super::context::{Running, SinkContext};

/// Commits all that is done, and waits for it. What fails is warned of: the records will be read
/// again. So they will where the assignment is lost (see [`is_lost`]).
pub(super) fn at_once<S: Sink>(
    consumer: &BaseConsumer<SinkContext<S>>,
    sources: &[Source],
    pipeline: &mut Running<S>,
) {
    let commits = pipeline.committable();
    if commits.is_empty() {
        return;
    }
    if is_lost(consumer) {
        tracing::warn!("the partitions were lost to the group: their records will be read again");
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
    if commits.is_empty() || is_lost(consumer) {
        return;
    }
    let asked = list(sources, &commits).and_then(|offsets| consumer.commit(&offsets, CommitMode::Async));
    match asked {
        Ok(()) => pipeline.committed(&commits),
        Err(error) => tracing::warn!(%error, "committing will be tried again"),
    }
}

/// Whether the group has gone on without this member, for all that its client knows: it heard from
/// no coordinator for a session, and has given its member id up. A coordinator that has just taken
/// over may still hold the member, with a session begun anew, and would take a commit without that
/// id for one of another process of the same name: fatal for the client.
fn is_lost<S: Sink>(consumer: &BaseConsumer<SinkContext<S>>) -> bool {
    consumer.assignment_lost()
}

fn list(sources: &[Source], commits: &[Commit]) -> KafkaResult<TopicPartitionList> {
    let mut offsets = TopicPartitionList::new();
    for &(partition, offset) in commits {
        let topic = &source(sources, partition).topic;
        offsets.add_partition_offset(topic, partition.partition, Offset::Offset(offset))?;
    }
    Ok(offsets)
}
