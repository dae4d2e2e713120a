//! What becomes of the records of one request.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use millrace_domain::{Amount, Currency, TransactionType};
use millrace_payments::ledger::{WindowLine, WindowTotals};
use millrace_publisher::{Class, Entry};
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Outcome {
    /// Nothing yet.
    Waiting,
    /// Every in-sync replica has it.
    Acknowledged,
    /// The brokers may have it or not.
    Unknown,
    /// It never left.
    NotSent,
}

impl Outcome {
    fn of(value: u8) -> Self {
        [Self::Waiting, Self::Acknowledged, Self::Unknown]
            .into_iter()
            .find(|outcome| *outcome as u8 == value)
            .unwrap_or(Self::NotSent)
    }
}

/// The records of one request, and who waits for them.
#[derive(Debug)]
pub(crate) struct Batch {
    outcomes: Box<[AtomicU8]>,
    left: AtomicUsize,
    done: Notify,
    /// Of the first record whose outcome is unknown, librdkafka's code.
    code: Mutex<Option<String>>,
    /// Given back when nothing of the batch is in flight any more.
    _room: Option<OwnedSemaphorePermit>,
}

impl Batch {
    /// Of `count` records, which is at least one, in the `room` that was taken for them.
    pub(crate) fn new(count: usize, room: Option<OwnedSemaphorePermit>) -> Arc<Self> {
        Arc::new(Self {
            outcomes: (0..count)
                .map(|_| AtomicU8::new(Outcome::Waiting as u8))
                .collect(),
            left: AtomicUsize::new(count),
            done: Notify::new(),
            code: Mutex::new(None),
            _room: room,
        })
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Waits until something has become of all.
    pub(crate) async fn done(&self) {
        // A permit is kept where the last outcome came before the wait.
        while self.left.load(Ordering::Acquire) > 0 {
            self.done.notified().await;
        }
    }

    /// What became of each. Who has not waited finds some `Waiting`.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = Outcome> + '_ {
        let all = self.outcomes.iter();
        all.map(|outcome| Outcome::of(outcome.load(Ordering::Acquire)))
    }

    /// Why the brokers have not acknowledged, by librdkafka's code.
    pub(crate) fn code(&self) -> Option<String> {
        self.code.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn settle(&self, at: usize, outcome: Outcome) {
        if let Some(slot) = self.outcomes.get(at) {
            slot.store(outcome as u8, Ordering::Release);
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }
}

/// One record's place in its batch. Dropped, the record was never sent.
#[derive(Debug)]
pub(crate) struct Ticket {
    batch: Arc<Batch>,
    at: usize,
    is_settled: bool,
}

impl Ticket {
    /// Of the record `at` of the batch; one alone may be made of each.
    pub(crate) fn new(batch: &Arc<Batch>, at: usize) -> Self {
        Self {
            batch: Arc::clone(batch),
            at,
            is_settled: false,
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        if !std::mem::replace(&mut self.is_settled, true) {
            self.batch.settle(self.at, outcome);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.settle(Outcome::NotSent);
    }
}

/// What the ledger adds up of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) transaction_type: TransactionType,
    pub(crate) currency: Currency,
    pub(crate) amount: Amount,
    pub(crate) event_time_ms: i64,
}

/// A transaction in flight.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) facts: Facts,
    pub(crate) ticket: Ticket,
    /// Records in flight.
    pub(crate) in_flight: Arc<AtomicUsize>,
}

impl Drop for Posted {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Entry for Posted {
    type Key = Currency;
    type Sums = WindowTotals;
    type Line = WindowLine;

    /// Whether a client has sent it before is not known here: a verification finds it by the id.
    fn class(&self) -> Class {
        Class::First
    }

    fn event_time_ms(&self) -> i64 {
        self.facts.event_time_ms
    }

    fn key(&self) -> Currency {
        self.facts.currency
    }

    fn add_to(&self, totals: &mut WindowTotals) {
        totals.add(self.facts.transaction_type, self.facts.amount);
    }

    fn merge(totals: &mut WindowTotals, other: &WindowTotals) {
        totals.merge(other);
    }

    fn line(start_ms: i64, currency: Currency, totals: &WindowTotals) -> WindowLine {
        totals.line(start_ms, currency)
    }

    fn settled(mut self, outcome: Result<(), &str>) {
        let outcome = match outcome {
            Ok(()) => Outcome::Acknowledged,
            Err(code) => {
                let mut first = self
                    .ticket
                    .batch
                    .code
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| code.to_owned());
                Outcome::Unknown
            }
        };
        self.ticket.settle(outcome);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_batch_is_done_with_its_last_record_whatever_became_of_it() {
        let batch = Batch::new(3, None);
        let mut tickets: Vec<_> = (0..3).map(|at| Ticket::new(&batch, at)).collect();
        tickets[2].settle(Outcome::Unknown);
        tickets[2].settle(Outcome::Acknowledged);
        tickets[0].settle(Outcome::Acknowledged);
        let wait = tokio::time::timeout(Duration::from_millis(1), batch.done());
        assert!(wait.await.is_err(), "one is left");
        drop(tickets);
        batch.done().await;
        let outcomes: Vec<_> = batch.outcomes().collect();
        assert_eq!(
            outcomes,
            [Outcome::Acknowledged, Outcome::NotSent, Outcome::Unknown]
        );
    }
}
