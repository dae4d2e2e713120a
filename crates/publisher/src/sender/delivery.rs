//! Delivery reports: a bounded table of what is in flight, whose index goes through librdkafka with
//! each record.
//!
//! A record's report finds its entry by the index, so that neither sending nor counting allocates.
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
use crate::{Class, Entry};

/// Of so many records, one's way to the acknowledgement is timed.
const TIMED_ONE_IN: usize = 64;

/// The code of records whose outcome was not waited for.
const ABANDONED: &str = "Abandoned";

struct InFlight<E> {
    entry: E,
    sent_at: Option<Instant>,
}

struct Table<E: Entry> {
    slots: Vec<Option<InFlight<E>>>,
    free: Vec<usize>,
    tally: Tally<E>,
    acknowledged_until_ms: i64,
    failing: bool,
}

impl<E: Entry> Table<E> {
    #[inline]
    fn settle(&mut self, slot: usize, error: Option<&KafkaError>, of: &Deliveries<E>) {
        let Some(record) = self.slots.get_mut(slot).and_then(Option::take) else {
            return;
        };
        self.free.push(slot);
        let entry = record.entry;
        match error {
            None => {
                self.tally.acknowledge(&entry, of.window_ms);
                if entry.class() == Class::First {
                    self.acknowledged_until_ms = self.acknowledged_until_ms.max(entry.event_time_ms());
                }
                if let Some(sent_at) = record.sent_at {
                    of.durations.observe(sent_at.elapsed().as_secs_f64());
                }
                entry.settled(Ok(()));
            }
            Some(error) => {
                self.failing = true;
                let code = error
                    .rdkafka_error_code()
                    .map_or_else(|| "Unknown".to_owned(), |code| format!("{code:?}"));
                self.tally.fail(&entry, of.window_ms, &code);
                entry.settled(Err(&code));
            }
        }
    }
}

/// What one thread has in flight, and what became of the rest.
pub(crate) struct Deliveries<E: Entry> {
    table: Mutex<Table<E>>,
    window_ms: i64,
    durations: Histogram,
}

impl<E: Entry> Deliveries<E> {
    /// Room for `capacity` records in flight. Sums go into windows of `window_ms`; `durations`
    /// takes a sample of the times between sending and acknowledgement in seconds.
    pub(crate) fn new(capacity: usize, window_ms: i64, durations: Histogram) -> Self {
        Self {
            table: Mutex::new(Table {
                slots: (0..capacity).map(|_| None).collect(),
                free: (0..capacity).rev().collect(),
                tally: Tally::default(),
                acknowledged_until_ms: i64::MIN,
                failing: false,
            }),
            window_ms,
            durations,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table<E>> {
        // Counting cannot panic half way.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for records about to be sent. It holds the lock: not for long, and not while polling
    /// for reports.
    pub(super) fn room(&self) -> Room<'_, E> {
        Room(self.table())
    }

    /// Gives back the slot of a record that was not sent, and the record's entry.
    pub(super) fn release(&self, slot: usize) -> Option<E> {
        let mut table = self.table();
        let record = table.slots.get_mut(slot).and_then(Option::take)?;
        table.free.push(slot);
        Some(record.entry)
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
                tally.fail(&record.entry, self.window_ms, ABANDONED);
                free.push(slot);
                record.entry.settled(Err(ABANDONED));
            }
        }
    }

    /// Takes out what was counted since the last call.
    pub(crate) fn take_tally(&self) -> Tally<E> {
        std::mem::take(&mut self.table().tally)
    }

    /// Records in flight.
    pub(crate) fn in_flight(&self) -> usize {
        let table = self.table();
        table.slots.len() - table.free.len()
    }

    /// The highest event time of a first record acknowledged; the least number before the first.
    pub(super) fn acknowledged_until_ms(&self) -> i64 {
        self.table().acknowledged_until_ms
    }

    /// Whether any record has failed so far.
    pub(super) fn is_failing(&self) -> bool {
        self.table().failing
    }
}

/// Slots for records about to be sent.
pub(super) struct Room<'a, E: Entry>(MutexGuard<'a, Table<E>>);

impl<E: Entry> Room<'_, E> {
    /// Whether all slots are in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.0.free.is_empty()
    }

    /// Takes a slot for a record, which the entry is of.
    ///
    /// # Errors
    /// All slots are in flight: the entry.
    #[inline]
    pub(super) fn take(&mut self, entry: E) -> Result<usize, E> {
        let Some(slot) = self.0.free.pop() else {
            return Err(entry);
        };
        self.0.slots[slot] = Some(InFlight {
            entry,
            sent_at: slot.is_multiple_of(TIMED_ONE_IN).then(Instant::now),
        });
        Ok(slot)
    }
}

/// What librdkafka calls back.
pub(crate) struct DeliveryContext<E: Entry>(pub(crate) Arc<Deliveries<E>>);

impl<E: Entry> ClientContext for DeliveryContext<E> {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        LogBridge.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        LogBridge.error(error, reason);
    }
}

impl<E: Entry> ProducerContext for DeliveryContext<E> {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: usize) {
        let error = result.as_ref().err().map(|(error, _)| error.clone());
        self.0.settle(std::iter::once((slot, error)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use prometheus::HistogramOpts;
    use rdkafka::types::RDKafkaErrorCode;

    use super::*;
    use crate::ledger::testing::Reading;

    fn deliveries<E: Entry>(capacity: usize) -> Deliveries<E> {
        let histogram = Histogram::with_opts(HistogramOpts::new("x", "x")).unwrap();
        Deliveries::new(capacity, 60_000, histogram)
    }

    #[test]
    fn every_record_is_counted_once_whatever_becomes_of_it() {
        let deliveries = deliveries(4);
        let reading = |event_time_ms| Reading::first("thermometer", event_time_ms, 1);
        let slots: Vec<usize> = (0..4)
            .map(|at| deliveries.room().take(reading(at * 60_000)).unwrap())
            .collect();
        assert!(
            deliveries.room().take(reading(0)).is_err(),
            "the table is bounded"
        );
        assert_eq!(deliveries.release(slots[3]), Some(reading(180_000)));
        assert_eq!(
            deliveries.release(slots[3]),
            None,
            "and no slot is given back twice"
        );
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
        assert!((0..4).all(|_| deliveries.room().take(reading(0)).is_ok()));
    }

    #[test]
    fn first_records_alone_say_how_far_event_time_is_acknowledged() {
        let deliveries = deliveries(4);
        assert_eq!(deliveries.acknowledged_until_ms(), i64::MIN);
        for (class, event_time_ms) in [
            (Class::First, 5),
            (Class::Repeat, 7),
            (Class::Aside, 8),
            (Class::First, 3),
        ] {
            let slot = deliveries.room().take(Reading {
                class,
                ..Reading::first("thermometer", event_time_ms, 1)
            });
            deliveries.settle(std::iter::once((slot.unwrap(), None)));
        }
        assert_eq!(deliveries.acknowledged_until_ms(), 5);
    }

    /// Who waits for its own record.
    struct Waiting(mpsc::Sender<(u8, Result<(), String>)>, u8);

    impl Entry for Waiting {
        type Key = ();
        type Sums = u64;
        type Line = (i64, u64);

        fn class(&self) -> Class {
            Class::First
        }

        fn event_time_ms(&self) -> i64 {
            0
        }

        fn key(&self) {}

        fn add_to(&self, sums: &mut u64) {
            *sums += 1;
        }

        fn merge(sums: &mut u64, other: &u64) {
            *sums += other;
        }

        fn line(start_ms: i64, (): (), sums: &u64) -> (i64, u64) {
            (start_ms, *sums)
        }

        fn settled(self, outcome: Result<(), &str>) {
            self.0.send((self.1, outcome.map_err(str::to_owned))).unwrap();
        }
    }

    #[test]
    fn who_waits_for_a_record_is_told_once_and_never_of_one_that_was_not_sent() {
        let deliveries = deliveries(4);
        let (answer, answers) = mpsc::channel();
        let slots: Vec<usize> = (0..4)
            .map(|number| {
                let taken = deliveries.room().take(Waiting(answer.clone(), number));
                taken.unwrap_or_else(|_| panic!("there is room"))
            })
            .collect();
        drop(answer);
        let timeout = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
        deliveries.settle([(slots[1], None), (slots[2], Some(timeout))].into_iter());
        drop(deliveries.release(slots[3]));
        deliveries.abandon();
        let unknown = |code: &str| -> Result<(), String> { Err(code.to_owned()) };
        assert!(answers.into_iter().eq([
            (1, Ok(())),
            (2, unknown("MessageTimedOut")),
            (0, unknown("Abandoned"))
        ]));
    }
}
