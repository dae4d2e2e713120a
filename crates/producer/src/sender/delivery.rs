//! Delivery reports: a bounded table of what is in flight, whose index goes through librdkafka with
//! each record.
//!
//! A record's report finds its facts by the index, so that neither sending nor counting allocates.
//! The sending thread itself takes the reports, an array at a time, so the lock is all but never
//! contended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use millrace_kafka::client::LogBridge;
use prometheus::Histogram;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

use crate::ledger::Tally;
use crate::source::{Class, Facts};

/// Of so many records, one's way to the acknowledgement is timed.
const TIMED_ONE_IN: usize = 64;

#[derive(Debug, Clone, Copy)]
struct InFlight {
    facts: Facts,
    sent_at: Option<Instant>,
}

#[derive(Debug)]
struct Table {
    slots: Vec<Option<InFlight>>,
    free: Vec<usize>,
    tally: Tally,
    acknowledged_until_ms: i64,
    failing: bool,
}

impl Table {
    #[inline]
    fn settle(&mut self, slot: usize, error: Option<&KafkaError>, of: &Deliveries) {
        let Some(record) = self.slots.get_mut(slot).and_then(Option::take) else {
            return;
        };
        self.free.push(slot);
        match error {
            None => {
                self.tally.acknowledge(&record.facts, of.window_ms);
                if record.facts.class == Class::First {
                    self.acknowledged_until_ms = self.acknowledged_until_ms.max(record.facts.event_time_ms);
                }
                if let Some(sent_at) = record.sent_at {
                    of.durations.observe(sent_at.elapsed().as_secs_f64());
                }
            }
            Some(error) => {
                self.failing = true;
                let code = error
                    .rdkafka_error_code()
                    .map_or_else(|| "Unknown".to_owned(), |code| format!("{code:?}"));
                self.tally.fail(&record.facts, of.window_ms, &code);
            }
        }
    }
}

/// What one thread has in flight, and what became of the rest.
#[derive(Debug)]
pub struct Deliveries {
    table: Mutex<Table>,
    window_ms: i64,
    durations: Histogram,
}

impl Deliveries {
    /// Room for `capacity` records in flight. Sums go into windows of `window_ms`; `durations`
    /// takes a sample of the times between sending and acknowledgement in seconds.
    #[must_use]
    pub fn new(capacity: usize, window_ms: i64, durations: Histogram) -> Self {
        Self {
            table: Mutex::new(Table {
                slots: vec![None; capacity],
                free: (0..capacity).rev().collect(),
                tally: Tally::default(),
                acknowledged_until_ms: i64::MIN,
                failing: false,
            }),
            window_ms,
            durations,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Counting cannot panic half way.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for records about to be sent. It holds the lock: not for long, and not while polling
    /// for reports.
    pub(super) fn room(&self) -> Room<'_> {
        Room(self.table())
    }

    /// Gives back the slot of a record that was not sent.
    pub(super) fn release(&self, slot: usize) {
        let mut table = self.table();
        table.slots[slot] = None;
        table.free.push(slot);
    }

    /// Counts what became of records, by the slots they were sent with.
    pub(super) fn settle(&self, reports: impl Iterator<Item = (usize, Option<KafkaError>)>) {
        let mut table = self.table();
        for (slot, error) in reports {
            table.settle(slot, error.as_ref(), self);
        }
    }

    /// Counts everything in flight as of unknown outcome.
    pub(super) fn abandon(&self) {
        let mut table = self.table();
        let Table {
            slots, free, tally, ..
        } = &mut *table;
        for (slot, record) in slots.iter_mut().enumerate() {
            if let Some(record) = record.take() {
                tally.fail(&record.facts, self.window_ms, "Abandoned");
                free.push(slot);
            }
        }
    }

    /// Takes out what was counted since the last call.
    pub fn take_tally(&self) -> Tally {
        std::mem::take(&mut self.table().tally)
    }

    /// Records in flight.
    pub fn in_flight(&self) -> usize {
        let table = self.table();
        table.slots.len() - table.free.len()
    }

    /// The highest event time acknowledged; the least number before the first.
    pub(super) fn acknowledged_until_ms(&self) -> i64 {
        self.table().acknowledged_until_ms
    }

    /// Whether any record has failed so far.
    pub(super) fn is_failing(&self) -> bool {
        self.table().failing
    }
}

/// Slots for records about to be sent.
pub(super) struct Room<'a>(MutexGuard<'a, Table>);

impl Room<'_> {
    /// Whether all slots are in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.0.free.is_empty()
    }

    /// Takes a slot for a record; `None` while all are in flight.
    #[inline]
    pub(super) fn take(&mut self, facts: Facts) -> Option<usize> {
        let slot = self.0.free.pop()?;
        self.0.slots[slot] = Some(InFlight {
            facts,
            sent_at: slot.is_multiple_of(TIMED_ONE_IN).then(Instant::now),
        });
        Some(slot)
    }
}

/// What librdkafka calls back.
#[derive(Debug, Clone)]
pub struct DeliveryContext(pub Arc<Deliveries>);

impl ClientContext for DeliveryContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        LogBridge.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        LogBridge.error(error, reason);
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: usize) {
        let error = result.as_ref().err().map(|(error, _)| error.clone());
        self.0.settle(std::iter::once((slot, error)));
    }
}

#[cfg(test)]
mod tests {
    use millrace_domain::{Amount, Currency, TransactionType};
    use prometheus::HistogramOpts;
    use rdkafka::types::RDKafkaErrorCode;

    use super::*;

    fn facts(event_time_ms: i64) -> Facts {
        Facts {
            class: Class::First,
            transaction_type: TransactionType::Purchase,
            currency: Currency::parse(b"EUR").unwrap(),
            amount: Amount::from_units(100).unwrap(),
            event_time_ms,
        }
    }

    #[test]
    fn every_record_is_counted_once_whatever_becomes_of_it() {
        let histogram = Histogram::with_opts(HistogramOpts::new("x", "x")).unwrap();
        let deliveries = Deliveries::new(4, 60_000, histogram);
        let slots: Vec<usize> = (0..4)
            .map(|at| deliveries.room().take(facts(at * 60_000)).unwrap())
            .collect();
        assert!(deliveries.room().take(facts(0)).is_none(), "the table is bounded");
        deliveries.release(slots[3]);
        deliveries.settle([(slots[0], None), (slots[0], None)].into_iter());
        let timeout = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
        deliveries.settle(std::iter::once((slots[1], Some(timeout))));
        assert_eq!(deliveries.in_flight(), 1);
        deliveries.abandon();
        assert_eq!(deliveries.in_flight(), 0);
        let tally = deliveries.take_tally();
        assert_eq!((tally.acknowledged, tally.failed), (1, 2));
        assert_eq!((tally.windows.len(), tally.failed_windows.len()), (1, 2));
        assert_eq!(tally.failures["MessageTimedOut"], 1);
        assert_eq!(tally.failures["Abandoned"], 1);
        assert_eq!(deliveries.take_tally().acknowledged, 0);
        assert!((0..4).all(|_| deliveries.room().take(facts(0)).is_some()));
    }
}
