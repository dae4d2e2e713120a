//! Committing a batch, and the snapshots that a commit makes valid.

use std::time::{Duration, Instant};

use millrace_engine::snapshot::{Header, SnapshotWriter as Container};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::context::WorkerContext;
use super::core::Core;
use super::partition::Active;
use super::partitions::Partition;
use crate::failure::Failure;
use crate::metrics::JobMetrics;
use crate::snapshot_writer::{QUEUE, Taken};
use crate::{Job, Task};

/// A worker's snapshots are written in one of so many parts of the time.
const SNAPSHOT_SHARE: u32 = 20;
/// However long they take, they are no further apart than this, or than is configured.
const MAX_SNAPSHOT_INTERVAL: Duration = Duration::from_secs(60);

impl<J: Job> Core<J> {
    /// Commits everything processed so far, with what the tasks have to say at a commit. Without
    /// anything processed it does nothing.
    pub(super) fn commit(
        &mut self,
        consumer: &BaseConsumer<WorkerContext>,
        limit_ms: u64,
    ) -> Result<(), Failure> {
        if !self.partitions.active().any(Active::is_dirty) {
            return Ok(());
        }
        let started = Instant::now();
        self.producer.begin()?;
        let offsets = self.close_batch()?;
        // Read anew each time: the generation changes with every rebalance. A lost assignment is
        // known by now if the metadata is of after the loss, as both come from the same thread of
        // librdkafka, and in that order.
        let group = consumer.group_metadata();
        if consumer.assignment_lost() {
            return Err(Failure::Abort("the assignment was lost".to_owned()));
        }
        let Some(group) = group else {
            return Err(Failure::Abort("the consumer is in no group".to_owned()));
        };
        let limit = Duration::from_millis(limit_ms);
        self.producer
            .commit(&offsets, &group, limit, &self.metrics.transaction)?;
        self.partitions.commit();
        self.metrics.committed.inc();
        self.commit_took = started.elapsed();
        self.metrics
            .commit_duration
            .observe(self.commit_took.as_secs_f64());
        self.end_batch(true);
        Ok(())
    }

    /// The tasks' and the worker's last records of the batch; returns the offsets to commit.
    fn close_batch(&mut self) -> Result<TopicPartitionList, Failure> {
        let (partitions, mut effects) = self.effects();
        let closed = partitions.close(&mut effects)?;
        let mut offsets = TopicPartitionList::new();
        for (number, offset) in closed {
            offsets
                .add_partition_offset(self.job.input_topic(), number, Offset::Offset(offset))
                .map_err(|reason| {
                    Failure::Stop(crate::WorkerError::Kafka {
                        action: "listing the offsets to commit".to_owned(),
                        reason,
                    })
                })?;
        }
        Ok(offsets)
    }

    /// Time between two snapshots of a partition: as configured, but so long that the writing
    /// thread is not busy for more than its share. Those of a large state would else cost as much
    /// as the work on it.
    fn snapshot_interval(&self) -> Duration {
        let all: Duration = self.partitions.active().map(|it| it.snapshots.cost()).sum();
        let affordable = (all * SNAPSHOT_SHARE).min(MAX_SNAPSHOT_INTERVAL);
        Duration::from_millis(self.config.snapshots.interval_ms).max(affordable)
    }

    /// Takes the snapshot of one partition that is due: one at a time, so that no commit waits for
    /// all of them.
    pub(super) fn take_due_snapshot(&mut self) {
        let interval = self.snapshot_interval();
        let Some(writer) = self.snapshots.as_ref().filter(|writer| writer.has_room()) else {
            return;
        };
        let now = Instant::now();
        let due = |partition: &&mut Partition<J::Task>| {
            let active = partition.active();
            active.is_some_and(|active| active.wants_snapshot(interval, now))
        };
        let Some(partition) = self.partitions.iter_mut().find(due) else {
            return;
        };
        let number = partition.number();
        if let Some(active) = partition.active_mut() {
            let taken = take(self.job.name(), &self.fingerprint, number, active, &self.metrics);
            active.snapshots.took(writer.store(taken), now);
        }
    }

    /// Stores the last snapshots of these partitions, until `deadline`. One that is not stored
    /// costs the next owner time, and nothing else.
    pub(super) fn store_some(&mut self, numbers: &[i32], deadline: Instant) {
        let Some(writer) = &self.snapshots else { return };
        for partition in self
            .partitions
            .iter_mut()
            .filter(|partition| numbers.contains(&partition.number()))
        {
            let number = partition.number();
            let Some(active) = partition
                .active_mut()
                .filter(|active| active.wants_snapshot(Duration::ZERO, Instant::now()))
            else {
                continue;
            };
            // Only then: a state that is frozen while an earlier one waits would be copied to no
            // use.
            let has_room = writer.wait(
                |waiting| waiting.len() < QUEUE && !waiting.contains(&number),
                deadline,
            );
            if has_room
                && writer.store(take(
                    self.job.name(),
                    &self.fingerprint,
                    number,
                    active,
                    &self.metrics,
                ))
            {
                active.snapshots.took(true, Instant::now());
            } else {
                self.metrics.snapshot_failed("drain_timeout");
                tracing::warn!(partition = number, "the last snapshot was not stored in time");
            }
        }
        if !writer.wait(<[i32]>::is_empty, deadline) {
            self.metrics.snapshot_failed("drain_timeout");
            tracing::warn!("the last snapshots were not stored in time");
        }
    }

    /// Stores the last snapshots of every partition.
    pub(super) fn store_all(&mut self, deadline: Instant) {
        let numbers: Vec<i32> = self.partitions.iter().map(Partition::number).collect();
        self.store_some(&numbers, deadline);
    }
}

/// Freezes a state: all that the worker's thread does for a snapshot.
fn take(
    job: &str,
    fingerprint: &str,
    partition: i32,
    active: &mut Active<impl Task>,
    metrics: &JobMetrics,
) -> Taken {
    let started = Instant::now();
    let mut container = Container::new(&Header {
        job,
        partition,
        offset: active.next(),
        watermark_ms: active.watermark_ms(),
        fingerprint,
    });
    let taken = Taken {
        partition,
        offset: active.next(),
        state: active.freeze(container.state()),
        container,
    };
    metrics.snapshot_pause.observe(started.elapsed().as_secs_f64());
    taken
}
