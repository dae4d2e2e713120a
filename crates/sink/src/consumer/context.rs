//! What the Kafka client reports while it is polled: rebalances, commits, statistics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_telemetry::{Component, Health};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Partition;
use rdkafka::{ClientContext, Statistics, TopicPartitionList};

use crate::acknowledgement::PartitionKey;
use crate::dead_letter::DeadLetters;
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::sink::Sink;
use crate::spec::{Source, Spec, find, source};

use super::commits;
use super::unreadable::{self, Unreadable};

/// What is between reading and committing, with dead letters that go to Kafka.
pub(super) type Running<S> = Pipeline<S, DeadLetters>;

/// Holds the pipeline, as a rebalance has to drain it. The lock is never held while the consumer is
/// polled.
pub(super) struct SinkContext<S: Sink> {
    pipeline: Mutex<Running<S>>,
    sources: Vec<Source>,
    metrics: Metrics,
    component: Component,
    drain_timeout: Duration,
    is_assigned: AtomicBool,
    has_changed: AtomicBool,
    unreadable: Mutex<Unreadable>,
}

impl<S: Sink> SinkContext<S> {
    pub(super) fn new(pipeline: Running<S>, spec: &Spec, metrics: Metrics, health: &Health) -> Self {
        Self {
            pipeline: Mutex::new(pipeline),
            sources: spec.sources.clone(),
            metrics,
            component: health.component("kafka"),
            drain_timeout: spec.drain_timeout,
            is_assigned: AtomicBool::new(false),
            has_changed: AtomicBool::new(false),
            unreadable: Mutex::default(),
        }
    }

    /// Takes what the client reports in place of a record; whether it needs no line in the log.
    pub(super) fn is_told(&self, error: &KafkaError) -> bool {
        self.unreadable().report(error)
    }

    fn unreadable(&self) -> MutexGuard<'_, Unreadable> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the partitions that cannot be read, and tells of them: the metric, the log, and what
    /// readiness is to say.
    fn look_for_unreadable(&self, statistics: &Statistics) -> Option<String> {
        let (now, section) = (Instant::now(), S::NAMES.section);
        let mut unreadable = self.unreadable();
        let before: Vec<_> = unreadable.found(now).map(|(key, ..)| key).collect();
        let topics = statistics.topics.values();
        let partitions = topics.flat_map(|topic| {
            let partitions = topic.partitions.values();
            partitions.filter_map(|partition| {
                let key = self.key(&topic.topic, partition.partition)?;
                Some((key, standing_at(partition)))
            })
        });
        unreadable.look(partitions, now);
        let found: Vec<_> = unreadable
            .found(now)
            .map(|(key, offset, reason, time)| {
                let topic = self.topic(key);
                self.metrics.set_unreadable(topic, key.partition, time);
                (
                    key,
                    unreadable::what(section, (topic, key.partition), offset, reason),
                )
            })
            .collect();
        let is_found = |key| found.iter().any(|(found, _)| *found == key);
        for key in before.into_iter().filter(|key| !is_found(*key)) {
            self.metrics.forget_unreadable(self.topic(key), key.partition);
        }
        for (key, what) in &found {
            if unreadable.is_to_be_told(*key, now) {
                tracing::error!("{what}");
            }
        }
        found.into_iter().next().map(|(_, what)| what)
    }

    fn topic(&self, partition: PartitionKey) -> &str {
        &source(&self.sources, partition).topic
    }

    pub(super) fn pipeline(&self) -> MutexGuard<'_, Running<S>> {
        // A panic ends the thread that polls, and the process with it.
        self.pipeline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether partitions were assigned since the last call.
    pub(super) fn take_changed(&self) -> bool {
        self.has_changed.swap(false, Ordering::Relaxed)
    }

    fn key(&self, topic: &str, partition: i32) -> Option<PartitionKey> {
        let source = find(&self.sources, topic)?;
        Some(PartitionKey { source, partition })
    }

    /// Writes everything read so far and commits what is done, within the drain's timeout, and says
    /// what will be read again: what was not written in time, or could not be.
    pub(super) fn drain(&self, consumer: &BaseConsumer<Self>, pipeline: &mut Running<S>) {
        pipeline.drain(Instant::now() + self.drain_timeout);
        commits::at_once(consumer, &self.sources, pipeline);
        let records = pipeline.open();
        match pipeline.failure() {
            Some(error) => tracing::error!(
                records,
                error = format!("{error:#}"),
                "a write failed for good: what it had, and what comes after it, is not committed and will be read \
                 again; the sink ends"
            ),
            None if records > 0 => tracing::warn!(records, "not written in time: they will be read again"),
            None => {}
        }
    }

    /// Asks for a commit of what is done, now and again; [`Self::commit_callback`] hears how it
    /// went.
    pub(super) fn commit(&self, consumer: &BaseConsumer<Self>, pipeline: &mut Running<S>) {
        if pipeline.is_commit_due() {
            commits::ask(consumer, &self.sources, pipeline);
        }
    }

    fn revoke(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let mut pipeline = self.pipeline();
        // What fails here, the next step of the thread meets, and ends.
        self.drain(consumer, &mut pipeline);
        for element in partitions.elements() {
            if let Some(key) = self.key(element.topic(), element.partition()) {
                pipeline.forget(key);
                self.metrics.forget_lag(element.topic(), element.partition());
            }
        }
    }

    /// The number of partitions assigned, as seen from within a rebalance.
    fn tell_assignment(&self, consumer: &BaseConsumer<Self>) {
        let count = consumer.assignment().map_or(0, |assignment| assignment.count());
        self.metrics.assigned.set(count as i64);
    }

    fn report_lag(&self, topic: &str, partition: &Partition) {
        let Some(key) = self.key(topic, partition.partition) else {
            return;
        };
        let is_ours = partition.desired && partition.fetch_state == "active" && partition.ls_offset >= 0;
        if !is_ours {
            return;
        }
        let (done, open, held) = {
            let mut pipeline = self.pipeline();
            let tracker = pipeline.tracker();
            (tracker.done(key), tracker.open(key), tracker.held(key))
        };
        self.metrics
            .set_lag(topic, partition.partition, lag(partition, done, open, held));
    }
}

/// The next offset to fetch of a partition that is ours, where there is something to fetch and
/// nothing of it waits to be taken. (A report waits in the queue too, and has no bytes.)
fn standing_at(partition: &Partition) -> Option<i64> {
    let is_ours = partition.desired && partition.fetch_state == "active";
    let is_behind = partition.next_offset >= 0 && partition.next_offset < partition.ls_offset;
    (is_ours && is_behind && partition.fetchq_size == 0).then_some(partition.next_offset)
}

/// Committed records that are not done, about: the end of what is committed less what is done.
/// Markers of transactions take offsets too; where everything was fetched and done, what is left is
/// such markers, and no lag. Of `open`, `held` records are below what is done.
fn lag(partition: &Partition, done: Option<i64>, open: i64, held: i64) -> i64 {
    let is_all_fetched = partition.next_offset >= partition.ls_offset && partition.fetchq_cnt == 0;
    if is_all_fetched && open == held {
        return held;
    }
    let from = done.unwrap_or_else(|| partition.committed_offset.max(partition.lo_offset).max(0));
    (partition.ls_offset - from).max(0) + held
}

impl<S: Sink> ClientContext for SinkContext<S> {
    fn stats(&self, statistics: Statistics) {
        for topic in statistics.topics.values() {
            for partition in topic.partitions.values() {
                self.report_lag(&topic.topic, partition);
            }
        }
        let has_broker = statistics
            .brokers
            .values()
            .any(|broker| broker.nodeid >= 0 && broker.state == "UP");
        let unreadable = self.look_for_unreadable(&statistics);
        if !has_broker {
            self.component.not_ready("no Kafka broker is connected");
        } else if let Some(unreadable) = unreadable {
            self.component.not_ready(unreadable);
        } else if self.is_assigned.load(Ordering::Relaxed) {
            self.component.ready();
        }
    }
}

impl<S: Sink> ConsumerContext for SinkContext<S> {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            tracing::info!(partitions = partitions.count(), "partitions are given up");
            self.revoke(consumer, partitions);
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                tracing::info!(partitions = partitions.count(), "partitions assigned");
                self.is_assigned.store(true, Ordering::Relaxed);
                self.has_changed.store(true, Ordering::Relaxed);
                self.component.ready();
            }
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => {
                self.is_assigned.store(false, Ordering::Relaxed);
                self.component.not_ready(format!("rebalancing failed: {error}"));
            }
        }
        self.tell_assignment(consumer);
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let Err(error) = result else { return };
        tracing::warn!(%error, "a commit failed and will be tried again");
        // A synchronous commit answers to its caller, who holds the lock.
        let Ok(mut pipeline) = self.pipeline.try_lock() else {
            return;
        };
        for element in offsets.elements() {
            if let Some(key) = self.key(element.topic(), element.partition()) {
                pipeline.tracker().not_committed(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(next_offset: i64, ls_offset: i64, committed_offset: i64) -> Partition {
        Partition {
            next_offset,
            ls_offset,
            committed_offset,
            lo_offset: 10,
            ..Partition::default()
        }
    }

    #[test]
    fn a_partition_stands_where_there_is_more_and_nothing_comes() {
        let of = |next_offset, fetchq_size, fetch_state: &str| {
            standing_at(&Partition {
                desired: true,
                fetch_state: fetch_state.to_owned(),
                fetchq_size,
                ..partition(next_offset, 100, 10)
            })
        };
        assert_eq!(of(50, 0, "active"), Some(50));
        assert_eq!(of(100, 0, "active"), None, "at its end");
        assert_eq!(of(50, 300, "active"), None, "it has come");
        assert_eq!(of(50, 0, "offset-query"), None);
        assert_eq!(of(-1001, 0, "active"), None);
    }

    #[test]
    fn trailing_markers_are_no_lag() {
        assert_eq!(lag(&partition(100, 100, 99), Some(99), 0, 0), 0);
        assert_eq!(lag(&partition(100, 100, -1001), None, 0, 0), 0);
    }

    #[test]
    fn what_waits_for_its_index_is_lag_and_what_came_after_it_is_none() {
        assert_eq!(lag(&partition(100, 100, 10), Some(99), 3, 3), 3);
        assert_eq!(lag(&partition(50, 100, 10), Some(50), 3, 3), 53);
    }

    #[test]
    fn what_is_open_or_not_fetched_is_lag() {
        assert_eq!(lag(&partition(100, 100, 60), Some(60), 40, 0), 40);
        assert_eq!(lag(&partition(50, 100, -1001), None, 0, 0), 90);
        assert_eq!(lag(&partition(50, 100, 50), Some(50), 0, 0), 50);
    }
}
