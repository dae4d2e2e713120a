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
use millrace_domain::texts::InFlight;
use millrace_domain::{FraudLabel, TransactionId};
use millrace_kafka_batch::{BatchProducer, Outcome, TopicIndex};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode;
use tracing::warn;

use super::{Deliveries, DeliveryContext};
use crate::source::{Class, Facts, Next, Source};

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

/// One sending thread.
pub struct Sender {
    /// The thread's own client.
    pub producer: BatchProducer<DeliveryContext>,
    /// The transactions' topic.
    pub transactions: TopicIndex,
    /// Full name of the labels' topic.
    pub labels: String,
    /// Where records come from.
    pub source: Box<dyn Source>,
    /// Their outcomes.
    pub deliveries: Arc<Deliveries>,
    /// For the metrics.
    pub counters: Arc<Counters>,
    /// When to stop.
    pub stop: Arc<Stop>,
}

/// What is gathered before it is handed over, beside the records themselves, which are in the
/// producer's batch.
#[derive(Default)]
struct Gathered {
    records: u64,
    bytes: u64,
    since: Option<Instant>,
    labels: Vec<Label>,
}

/// A label that follows its transaction.
struct Label {
    key: [u8; TransactionId::TEXT_LEN],
    value: Vec<u8>,
    facts: Facts,
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

impl Sender {
    /// Sends until the source ends or the flag is up, and then waits for every outcome.
    ///
    /// # Errors
    /// The source fails, or the client refuses a record for another reason than a full queue.
    /// Outcomes are waited for all the same.
    pub fn run(mut self) -> anyhow::Result<()> {
        let sent = self.send_all();
        // What a stop or a failure left: it was never sent.
        self.producer.clear(|slot| self.deliveries.release(slot));
        self.flush();
        sent
    }

    fn send_all(&mut self) -> anyhow::Result<()> {
        let (mut gathered, mut value) = (Gathered::default(), Vec::with_capacity(1024));
        while !self.stop.is_set() {
            let pause = match self.gather(&mut gathered, &mut value) {
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
                    std::thread::sleep(wait.min(MAX_WAIT));
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
    fn gather(&mut self, gathered: &mut Gathered, value: &mut Vec<u8>) -> anyhow::Result<Pause> {
        // What is gathered is bytes: no id is used after this.
        let _round = InFlight::begin();
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
                let record = match self.source.next(value)? {
                    Next::Record(record) => record,
                    Next::Wait(wait) => return Ok(Pause::Wait(wait)),
                    Next::End => return Ok(Pause::End),
                };
                let Some(slot) = room.take(record.facts) else {
                    break;
                };
                let key = record.key.text();
                let key = key.as_bytes();
                self.producer.push(self.transactions, key, value, slot);
                gathered.records += 1;
                gathered.bytes += (key.len() + value.len()) as u64;
                gathered.take_labels(&mut *self.source, record.facts);
            }
            gathered.since.get_or_insert_with(Instant::now);
        }
        Ok(Pause::Enough)
    }

    /// Hands over what is gathered. A full queue is waited for: it is the back-pressure. A stop
    /// ends the wait, and what is left is not sent.
    fn hand_over(&mut self, gathered: &mut Gathered) -> anyhow::Result<()> {
        let mut refused = None;
        loop {
            let deliveries = &self.deliveries;
            let outcome = self.producer.hand_over(self.transactions, |slot, error| {
                deliveries.release(slot);
                refused.get_or_insert(error);
            });
            if let Some(error) = refused {
                return Err(error).context("a transaction could not be sent");
            }
            if outcome == Outcome::Done {
                break;
            }
            if !self.wait_for_room() {
                return Ok(());
            }
        }
        let Gathered {
            records,
            bytes,
            labels,
            ..
        } = std::mem::take(gathered);
        self.counters.sent.fetch_add(records, Ordering::Relaxed);
        self.counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        labels.iter().try_for_each(|label| self.send_label(label))
    }

    /// Sends a label, alone: there are few.
    fn send_label(&self, label: &Label) -> anyhow::Result<()> {
        loop {
            let slot = self.deliveries.room().take(label.facts);
            if let Some(slot) = slot {
                let record = BaseRecord::with_opaque_to(&self.labels, slot)
                    .key(&label.key)
                    .payload(&label.value);
                match self.producer.producer().send(record) {
                    Ok(()) => return Ok(()),
                    Err((error, _)) => {
                        self.deliveries.release(slot);
                        if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                            return Err(error)
                                .with_context(|| format!("a label could not be sent to {}", self.labels));
                        }
                    }
                }
            }
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

impl Gathered {
    fn take_labels(&mut self, source: &mut dyn Source, of: Facts) {
        let mut value = Vec::new();
        while let Some(label) = source.next_label(&mut value) {
            self.labels.push(Label {
                key: label.transaction_id.to_text(),
                value: std::mem::take(&mut value),
                facts: label_facts(&label, of),
            });
        }
    }
}

/// A label is counted apart and enters no sum; of the facts only its class matters.
fn label_facts(label: &FraudLabel, of: Facts) -> Facts {
    Facts {
        class: Class::Label,
        event_time_ms: label.event_time_ms,
        ..of
    }
}
