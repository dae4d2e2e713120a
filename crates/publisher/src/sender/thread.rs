//! One sending thread: a source, a librdkafka handle of its own, and the delivery reports.
//!
//! Records are gathered from the source, then handed over a partition at a time. At a low rate
//! nothing is gathered for longer than the source has something at once.
//!
//! The thread takes its own reports (a `BaseProducer`): with a poller beside it, two threads would
//! take turns on the table of what is in flight for every record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use millrace_kafka_batch::{BatchProducer, Outcome, TopicIndex};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode;
use tracing::warn;

use super::{Deliveries, DeliveryContext};
use crate::lanes::Topic;
use crate::source::{Next, Partition, Record, Source};

/// Records that are gathered before they are handed over: for five partitions, most of a thousand
/// each.
const GATHERED_RECORDS: u64 = 4_096;
/// Records are not gathered for longer than this while the source has more to come soon.
const GATHER_TIME: Duration = Duration::from_millis(2);
/// A source that has nothing for so long is not waited for with records at hand.
const SHORT_WAIT: Duration = Duration::from_millis(1);
/// Records that are entered in the table of what is in flight under one lock.
const RECORDS_PER_LOCK: usize = 64;
/// Longest time without a look at the stop flag.
const MAX_WAIT: Duration = Duration::from_millis(50);
/// How long a full queue is waited for before another try.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(2);
/// How long a signal leaves for what is in flight.
const FLUSH_AFTER_SIGNAL: Duration = Duration::from_secs(20);
/// How long the reports of purged records are waited for.
const PURGE_WAIT: Duration = Duration::from_secs(2);

/// Tells the threads to stop.
#[derive(Debug, Default)]
pub(crate) struct Stop(AtomicU8);

impl Stop {
    const FINISH: u8 = 1;
    const HURRY: u8 = 2;

    /// No more records; what is in flight has all the time it needs.
    pub(crate) fn finish(&self) {
        self.0.fetch_max(Self::FINISH, Ordering::Relaxed);
    }

    /// No more records, and what is in flight has a bounded time.
    pub(crate) fn hurry(&self) {
        self.0.fetch_max(Self::HURRY, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= Self::FINISH
    }

    fn is_hurried(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= Self::HURRY
    }
}

/// What a thread counts for the metrics while it sends.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counters {
    /// Records given to librdkafka, without asides.
    pub(crate) sent: AtomicU64,
    /// Bytes of their keys and values.
    pub(crate) bytes: AtomicU64,
    /// How often a full queue was waited for.
    pub(crate) queue_full: AtomicU64,
}

/// One sending thread.
pub(crate) struct Sender<S: Source> {
    /// The thread's own client.
    pub(crate) producer: BatchProducer<DeliveryContext<S::Entry>>,
    /// The topics of records.
    pub(crate) topics: Vec<(TopicIndex, Topic)>,
    /// The topic of asides.
    pub(crate) asides: Option<Topic>,
    /// Where records come from.
    pub(crate) source: S,
    /// Their outcomes.
    pub(crate) deliveries: Arc<Deliveries<S::Entry>>,
    /// For the metrics.
    pub(crate) counters: Arc<Counters>,
    /// When to stop.
    pub(crate) stop: Arc<Stop>,
}

/// What is gathered before it is handed over, beside the records themselves, which are in the
/// producer's batch.
struct Gathered<E> {
    records: u64,
    bytes: u64,
    since: Option<Instant>,
    asides: Vec<(Record, E)>,
}

impl<E> Default for Gathered<E> {
    fn default() -> Self {
        Self {
            records: 0,
            bytes: 0,
            since: None,
            asides: Vec::new(),
        }
    }
}

/// Why gathering stopped.
enum Pause {
    /// There is enough to hand over.
    Enough,
    /// There is no room for more in flight.
    Full,
    Wait(Duration),
    End,
}

impl<S: Source> Sender<S> {
    /// Sends until the source ends or the flag is up, and then waits for every outcome.
    ///
    /// # Errors
    /// The source fails, or the client refuses a record for another reason than a full queue.
    /// Outcomes are waited for all the same.
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        let sent = self.send_all();
        // What a stop or a failure left: it was never sent.
        self.producer.clear(|slot| drop(self.deliveries.release(slot)));
        self.flush();
        sent
    }

    fn send_all(&mut self) -> anyhow::Result<()> {
        let (mut gathered, mut record) = (Gathered::default(), Record::new());
        while !self.stop.is_set() {
            let pause = match self.gather(&mut gathered, &mut record) {
                Ok(pause) => pause,
                Err(error) => {
                    // What came before what the source cannot give is good.
                    self.hand_over(&mut gathered)?;
                    return Err(error);
                }
            };
            match pause {
                Pause::Enough => self.hand_over(&mut gathered)?,
                Pause::Full => {
                    self.hand_over(&mut gathered)?;
                    self.wait_for_room();
                }
                Pause::Wait(wait) => {
                    let old = |since: Instant| since.elapsed() >= GATHER_TIME;
                    if wait >= SHORT_WAIT || gathered.since.is_some_and(old) {
                        self.hand_over(&mut gathered)?;
                    }
                    self.source.wait(wait.min(MAX_WAIT));
                }
                Pause::End => {
                    self.hand_over(&mut gathered)?;
                    break;
                }
            }
            self.collect_reports()?;
        }
        Ok(())
    }

    /// Takes records from the source, as long as it has some at once.
    fn gather(&mut self, gathered: &mut Gathered<S::Entry>, record: &mut Record) -> anyhow::Result<Pause> {
        let _round = self.source.round();
        let mut aside = Record::new();
        while gathered.records < GATHERED_RECORDS {
            let mut room = self.deliveries.room();
            if room.is_empty() {
                return Ok(Pause::Full);
            }
            // The lock is held for a few records at a time, as the supervisor wants it too.
            for _ in 0..RECORDS_PER_LOCK {
                if room.is_empty() {
                    break;
                }
                record.clear();
                let entry = match self.source.next(record)? {
                    Next::Record(entry) => entry,
                    Next::Wait(wait) => return Ok(Pause::Wait(wait)),
                    Next::End => return Ok(Pause::End),
                };
                let Some((topic, _)) = self.topics.get(record.topic) else {
                    bail!("a record is for topic {} of {}", record.topic, self.topics.len());
                };
                let Ok(slot) = room.take(entry) else {
                    // There was room, and nobody else takes any.
                    break;
                };
                gathered.records += 1;
                gathered.bytes += (record.key().map_or(0, <[u8]>::len) + record.value.len()) as u64;
                push(&mut self.producer, *topic, record, slot);
                if self.asides.is_some() {
                    gathered.take_asides(&mut self.source, &mut aside);
                }
            }
            gathered.since.get_or_insert_with(Instant::now);
        }
        Ok(Pause::Enough)
    }

    /// Hands over what is gathered. A full queue is waited for: it is the back-pressure. A stop
    /// ends the wait, and what is left is not sent.
    fn hand_over(&mut self, gathered: &mut Gathered<S::Entry>) -> anyhow::Result<()> {
        for at in 0..self.topics.len() {
            if !self.hand_over_topic(at)? {
                return Ok(());
            }
        }
        let Gathered {
            records,
            bytes,
            asides,
            ..
        } = std::mem::take(gathered);
        self.counters.sent.fetch_add(records, Ordering::Relaxed);
        self.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        asides
            .into_iter()
            .try_for_each(|(record, entry)| self.send_aside(record, entry))
    }

    /// Hands over what is gathered of one topic; false if a stop left some of it.
    fn hand_over_topic(&mut self, at: usize) -> anyhow::Result<bool> {
        let index = self.topics[at].0;
        let mut refused = None;
        loop {
            let deliveries = &self.deliveries;
            let outcome = self.producer.hand_over(index, |slot, error| {
                drop(deliveries.release(slot));
                refused.get_or_insert(error);
            });
            if let Some(error) = refused {
                let Topic { name, item } = &self.topics[at].1;
                return Err(error).with_context(|| format!("a {item} could not be sent to {name}"));
            }
            if outcome == Outcome::Done {
                return Ok(true);
            }
            if !self.wait_for_room() {
                return Ok(false);
            }
        }
    }

    /// Sends an aside, alone: there are few.
    fn send_aside(&self, mut record: Record, mut entry: S::Entry) -> anyhow::Result<()> {
        let Some(Topic { name, item }) = &self.asides else {
            return Ok(());
        };
        let mut headers = record.headers.take();
        loop {
            // On a line of its own, so that the table is not locked any more.
            let taken = self.deliveries.room().take(entry);
            entry = match taken {
                Err(entry) => entry,
                Ok(slot) => {
                    let mut sent = BaseRecord::with_opaque_to(name, slot).payload(&record.value);
                    sent.key = record.key();
                    sent.headers = headers;
                    let Err((error, sent)) = self.producer.producer().send(sent) else {
                        return Ok(());
                    };
                    headers = sent.headers;
                    let released = self.deliveries.release(slot);
                    if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                        return Err(error).with_context(|| format!("a {item} could not be sent to {name}"));
                    }
                    let Some(entry) = released else {
                        return Ok(());
                    };
                    entry
                }
            };
            if !self.wait_for_room() {
                return Ok(());
            }
        }
    }

    fn collect_reports(&mut self) -> anyhow::Result<()> {
        self.serve(Duration::ZERO);
        self.source
            .acknowledged_until(self.deliveries.acknowledged_until_ms());
        if self.deliveries.is_failing()
            && let Some((code, reason)) = self.producer.producer().client().fatal_error()
        {
            bail!("the producer cannot go on: {reason} ({code})");
        }
        Ok(())
    }

    /// Counts the outcomes that have come; the first is waited for.
    fn serve(&self, timeout: Duration) {
        self.producer
            .serve(timeout, |reports| self.deliveries.settle(reports));
    }

    /// Waits a moment for reports; false if the run is to stop, and what is at hand is not sent.
    fn wait_for_room(&self) -> bool {
        self.counters.queue_full.fetch_add(1, Ordering::Relaxed);
        self.serve(QUEUE_FULL_WAIT);
        !self.stop.is_set()
    }

    /// Waits until every record is acknowledged or has failed. librdkafka's message timeout bounds
    /// it, a signal shortens it, and what is not known then is counted as failed.
    fn flush(&self) {
        // Lets batches go without waiting for their linger time.
        let _ = self.producer.producer().flush(Duration::ZERO);
        let mut hurried_since = None;
        while self.deliveries.in_flight() > 0 {
            self.serve(MAX_WAIT);
            if !self.stop.is_hurried() {
                continue;
            }
            let since: &Instant = hurried_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= FLUSH_AFTER_SIGNAL {
                break;
            }
        }
        let left = self.deliveries.in_flight();
        if left == 0 {
            return;
        }
        warn!(
            records = left,
            "giving up on records in flight: {} s after the signal their outcome is unknown",
            FLUSH_AFTER_SIGNAL.as_secs()
        );
        self.producer
            .producer()
            .purge(PurgeConfig::default().queue().inflight());
        let deadline = Instant::now() + PURGE_WAIT;
        while self.deliveries.in_flight() > 0 && Instant::now() < deadline {
            self.serve(MAX_WAIT);
        }
        self.deliveries.abandon();
    }
}

impl<E> Gathered<E> {
    #[inline]
    fn take_asides(&mut self, source: &mut impl Source<Entry = E>, record: &mut Record) {
        while let Some(entry) = source.next_aside(record) {
            self.asides.push((std::mem::take(record), entry));
        }
    }
}

/// Adds a record to what is gathered of its topic.
#[inline]
fn push<C: ProducerContext<DeliveryOpaque = usize> + 'static>(
    producer: &mut BatchProducer<C>,
    topic: TopicIndex,
    record: &mut Record,
    slot: usize,
) {
    let headers = record.headers.take();
    let key = record.key();
    let partition = match (record.partition, key) {
        (Partition::OfKey, Some(key)) => Some(producer.partition_of(topic, key)),
        (Partition::Number(partition), _) => Some(partition),
        (Partition::OfKey | Partition::Any, _) => None,
    };
    producer.push_with(topic, partition, key, &record.value, headers, slot);
}

#[cfg(test)]
mod tests;
