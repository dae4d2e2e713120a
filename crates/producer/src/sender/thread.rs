//! One sending thread: a source, a librdkafka handle of its own, and the delivery reports.
//!
//! The thread polls for its own reports (a `BaseProducer`): with a poller beside it, two threads would take turns on the
//! table of what is in flight for every record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use millrace_domain::FraudLabel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode;
use tracing::warn;

use super::{Deliveries, DeliveryContext};
use crate::source::{Class, Facts, Next, Source};

/// Delivery reports are asked for after so many records.
const POLL_EVERY_RECORDS: u32 = 64;
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
pub struct Stop(AtomicU8);

impl Stop {
    const FINISH: u8 = 1;
    const HURRY: u8 = 2;

    /// No more records; what is in flight has all the time it needs.
    pub fn finish(&self) {
        self.0.fetch_max(Self::FINISH, Ordering::Relaxed);
    }

    /// No more records, and what is in flight has a bounded time.
    pub fn hurry(&self) {
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
pub struct Counters {
    /// Records given to librdkafka on the transactions' topic.
    pub sent: AtomicU64,
    /// Bytes of their keys and values.
    pub bytes: AtomicU64,
    /// How often a full queue was waited for.
    pub queue_full: AtomicU64,
}

/// Full names of the topics.
#[derive(Debug, Clone)]
pub struct Topics {
    /// Where records go.
    pub transactions: String,
    /// Where labels go.
    pub labels: String,
}

/// One sending thread.
pub struct Sender {
    /// The thread's own client.
    pub producer: BaseProducer<DeliveryContext>,
    /// Where records come from.
    pub source: Box<dyn Source>,
    /// Where they go.
    pub topics: Topics,
    /// Their outcomes.
    pub deliveries: Arc<Deliveries>,
    /// For the metrics.
    pub counters: Arc<Counters>,
    /// When to stop.
    pub stop: Arc<Stop>,
}

impl Sender {
    /// Sends until the source ends or the flag is up, and then waits for every outcome.
    ///
    /// # Errors
    /// The source fails, or the client refuses a record for another reason than a full queue. Outcomes are waited for
    /// all the same.
    pub fn run(mut self) -> anyhow::Result<()> {
        let sent = self.send_all();
        self.flush();
        sent
    }

    fn send_all(&mut self) -> anyhow::Result<()> {
        let (mut value, mut label_value) = (Vec::with_capacity(1024), Vec::new());
        let mut until_poll = POLL_EVERY_RECORDS;
        while !self.stop.is_set() {
            match self.source.next(&mut value)? {
                Next::Record(record) => {
                    self.send(Topic::Transactions, record.key.as_bytes(), &value, record.facts)?;
                    while let Some(label) = self.source.next_label(&mut label_value) {
                        let key = label.transaction_id.to_text();
                        self.send(
                            Topic::Labels,
                            &key,
                            &label_value,
                            label_facts(&label, record.facts),
                        )?;
                    }
                    until_poll -= 1;
                    if until_poll > 0 {
                        continue;
                    }
                }
                Next::Wait(wait) => std::thread::sleep(wait.min(MAX_WAIT)),
                Next::End => break,
            }
            until_poll = POLL_EVERY_RECORDS;
            self.collect_reports()?;
        }
        Ok(())
    }

    fn collect_reports(&mut self) -> anyhow::Result<()> {
        self.producer.poll(Duration::ZERO);
        self.source
            .acknowledged_until(self.deliveries.acknowledged_until_ms());
        if self.deliveries.is_failing()
            && let Some((code, reason)) = self.producer.client().fatal_error()
        {
            bail!("the producer cannot go on: {reason} ({code})");
        }
        Ok(())
    }

    /// Hands a record over. A full queue is waited for: it is the back-pressure.
    fn send(&self, topic: Topic, key: &[u8], value: &[u8], facts: Facts) -> anyhow::Result<()> {
        let name = match topic {
            Topic::Transactions => &self.topics.transactions,
            Topic::Labels => &self.topics.labels,
        };
        loop {
            let Some(slot) = self.deliveries.reserve(facts) else {
                if !self.wait_for_room() {
                    return Ok(());
                }
                continue;
            };
            let record = BaseRecord::with_opaque_to(name, slot).key(key).payload(value);
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.deliveries.release(slot);
                    if !self.wait_for_room() {
                        return Ok(());
                    }
                }
                Err((error, _)) => {
                    self.deliveries.release(slot);
                    return Err(error).with_context(|| format!("a record could not be sent to {name}"));
                }
            }
        }
        if matches!(topic, Topic::Transactions) {
            self.counters.sent.fetch_add(1, Ordering::Relaxed);
            let bytes = (key.len() + value.len()) as u64;
            self.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits a moment for reports; false if the run is to stop, and the record at hand is not sent.
    fn wait_for_room(&self) -> bool {
        self.counters.queue_full.fetch_add(1, Ordering::Relaxed);
        self.producer.poll(QUEUE_FULL_WAIT);
        !self.stop.is_set()
    }

    /// Waits until every record is acknowledged or has failed. librdkafka's message timeout bounds it, a signal shortens
    /// it, and what is not known then is counted as failed.
    fn flush(&self) {
        // Lets batches go without waiting for their linger time.
        let _ = self.producer.flush(Duration::ZERO);
        let mut hurried_since = None;
        while self.deliveries.in_flight() > 0 {
            self.producer.poll(MAX_WAIT);
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
        self.producer.purge(PurgeConfig::default().queue().inflight());
        let deadline = Instant::now() + PURGE_WAIT;
        while self.deliveries.in_flight() > 0 && Instant::now() < deadline {
            self.producer.poll(MAX_WAIT);
        }
        self.deliveries.abandon();
    }
}

#[derive(Debug, Clone, Copy)]
enum Topic {
    Transactions,
    Labels,
}

/// A label is counted apart and enters no sum; of the facts only its class matters.
fn label_facts(label: &FraudLabel, of: Facts) -> Facts {
    Facts {
        class: Class::Label,
        event_time_ms: label.event_time_ms,
        ..of
    }
}
