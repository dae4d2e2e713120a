//! What the Kafka client reports while it is polled: rebalances, commits, statistics.

use std::collections::{BTreeMap, BTreeSet};
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
use super::unavailable::{self, Unavailable};
use super::unreadable::{self, Stand, Unreadable};

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
    unavailable: Mutex<Unavailable>,
    /// The series of partitions that cannot be read.
    told: Mutex<BTreeSet<Place>>,
}

/// A partition of a topic, by its full name; of none where the sink never had one of it.
type Place = (String, Option<i32>);

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
            unavailable: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// Takes what the client reports in place of a record; whether it needs no line in the log.
    pub(super) fn is_told(&self, error: &KafkaError) -> bool {
        self.unavailable().report(error, Instant::now());
        self.unreadable().report(error)
    }

    /// The topics that cannot be read at all.
    pub(super) fn unavailable(&self) -> MutexGuard<'_, Unavailable> {
        self.unavailable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreadable(&self) -> MutexGuard<'_, Unreadable> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the partitions that cannot be read, and tells of them: the metric, the log, and what
    /// readiness is to say.
    fn look_for_unreadable(&self, statistics: &Statistics) -> Option<String> {
        let now = Instant::now();
        let mut times = BTreeMap::new();
        let of_topics = self.tell_unavailable(&mut times, now);
        let of_partitions = self.tell_unreadable(statistics, &mut times, now);
        for ((topic, partition), time) in &times {
            self.metrics.set_unreadable(topic, *partition, *time);
        }
        let now_told: BTreeSet<Place> = times.into_keys().collect();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for (topic, partition) in told.difference(&now_told) {
            self.metrics.forget_unreadable(topic, *partition);
        }
        *told = now_told;
        of_topics.or(of_partitions)
    }

    fn tell_unavailable(&self, times: &mut BTreeMap<Place, Duration>, now: Instant) -> Option<String> {
        let mut unavailable = self.unavailable();
        let mut found = Vec::new();
        for it in unavailable.found(now) {
            let topic = &self.sources[it.source.0].topic;
            let numbers = it.partitions.iter().copied().map(Some);
            // Its series needs no number to be seen.
            let without_any = it.partitions.is_empty().then_some(None);
            for number in numbers.chain(without_any) {
                times.insert((topic.clone(), number), it.time);
            }
            found.push((it.source, unavailable::what(topic, it.partitions, it.reason)));
        }
        for (source, what) in &found {
            if unavailable.is_to_be_told(*source, now) {
                tracing::error!("{what}");
            }
        }
        found.into_iter().next().map(|(_, what)| what)
    }

    fn tell_unreadable(
        &self,
        statistics: &Statistics,
        times: &mut BTreeMap<Place, Duration>,
        now: Instant,
    ) -> Option<String> {
        let mut unreadable = self.unreadable();
        let topics = statistics.topics.values();
        let partitions = topics.flat_map(|topic| {
            let partitions = topic.partitions.values();
            partitions.filter_map(|partition| {
                let key = self.key(&topic.topic, partition.partition)?;
                Some((key, standing_at(partition)))
            })
        });
        unreadable.look(partitions, now);
        let mut found = Vec::new();
        for (key, offset, reason, time) in unreadable.found(now) {
            let place = (self.topic(key), key.partition);
            times.insert((place.0.to_owned(), Some(place.1)), time);
            found.push((key, unreadable::what(S::NAMES.section, place, offset, reason)));
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

/// Where a partition that is ours stands: there is something to fetch and nothing of it waits to be
/// taken (a report waits in the queue too, and has no bytes), or its last fetch was answered with
/// an error. An answer of that kind has no offsets of the log, which the client then shows as -1.
fn standing_at(partition: &Partition) -> Option<Stand> {
    let is_ours = partition.desired && partition.fetch_state == "active";
    if !is_ours || partition.next_offset < 0 {
        return None;
    }
    if partition.ls_offset == NO_OFFSET {
        return Some(Stand::Refused(partition.next_offset));
    }
    let is_behind = partition.next_offset < partition.ls_offset;
    (is_behind && partition.fetchq_size == 0).then_some(Stand::Still(partition.next_offset))
}

/// The end of the log in an answer that is an error. Before the first answer it is another number.
const NO_OFFSET: i64 = -1;

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
                // The group goes on without a topic that is not there; the next report tells of it.
                if self.unavailable().found(Instant::now()).next().is_none() {
                    self.component.ready();
                }
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
        assert_eq!(of(50, 0, "active"), Some(Stand::Still(50)));
        assert_eq!(of(100, 0, "active"), None, "at its end");
        assert_eq!(of(50, 300, "active"), None, "it has come");
        assert_eq!(of(50, 0, "offset-query"), None);
        assert_eq!(of(-1001, 0, "active"), None);
    }

    #[test]
    fn a_partition_is_refused_where_its_last_fetch_was_an_error() {
        let of = |next_offset, ls_offset, fetch_state: &str| {
            standing_at(&Partition {
                desired: true,
                fetch_state: fetch_state.to_owned(),
                ..partition(next_offset, ls_offset, 10)
            })
        };
        assert_eq!(of(50, -1, "active"), Some(Stand::Refused(50)));
        assert_eq!(of(50, -1001, "active"), None, "nothing was fetched yet");
        assert_eq!(of(50, -1, "none"), None, "it is given up");
        assert_eq!(of(-1001, -1, "active"), None);
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
