//! Where records come from: the generator or a file.

use std::time::Duration;

use millrace_domain::{Amount, Currency, FraudLabel, ShortId, Transaction, TransactionType};

use crate::stream::{Item, Kind};

/// What the ledger counts a record as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The first record of its transaction id: the one that aggregates count.
    First,
    /// A known transaction id again, with the same payload or another.
    Repeat,
    /// What no consumer can take.
    Malformed,
    /// Ground truth, on a topic of its own.
    Label,
}

/// What the ledger has to know of a record when it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What it counts as.
    pub class: Class,
    /// Purchase or refund.
    pub transaction_type: TransactionType,
    /// The currency of `amount`.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// Event time in milliseconds since 1970.
    pub event_time_ms: i64,
}

impl Facts {
    /// The facts of a transaction.
    #[inline]
    #[must_use]
    pub fn of(transaction: &Transaction, class: Class) -> Self {
        Self {
            class,
            transaction_type: transaction.transaction_type,
            currency: transaction.currency,
            amount: transaction.amount,
            event_time_ms: transaction.transaction_time_ms,
        }
    }
}

impl From<Kind> for Class {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::First => Self::First,
            Kind::Duplicate | Kind::Changed => Self::Repeat,
            Kind::Malformed(_) => Self::Malformed,
        }
    }
}

/// A record to be sent; its value is in the caller's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing {
    /// The record's key: the user.
    pub key: ShortId,
    /// For the ledger.
    pub facts: Facts,
}

impl Outgoing {
    /// The record of an item.
    #[inline]
    #[must_use]
    pub fn of(item: &Item) -> Self {
        Self {
            key: item.transaction.user_id,
            facts: Facts::of(&item.transaction, item.kind.into()),
        }
    }
}

/// What a source has next.
#[derive(Debug)]
pub enum Next {
    /// A record, its value in the buffer.
    Record(Outgoing),
    /// Nothing before this time has passed.
    Wait(Duration),
    /// Nothing any more.
    End,
}

/// Where one sending thread takes its records from.
pub trait Source: Send {
    /// The next record; its value replaces what is in `value`.
    ///
    /// # Errors
    /// Only what ends the run: a file that cannot be read on, a reject file that cannot be written.
    fn next(&mut self, value: &mut Vec<u8>) -> anyhow::Result<Next>;

    /// A label that belongs to the records so far, its value in `value`.
    fn next_label(&mut self, _value: &mut Vec<u8>) -> Option<FraudLabel> {
        None
    }

    /// Tells up to which event time this thread's records have been acknowledged.
    fn acknowledged_until(&mut self, _event_time_ms: i64) {}
}
