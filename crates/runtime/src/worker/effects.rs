//! What a partition's events do outside of its state.

use std::time::Instant;

use rdkafka::error::KafkaError;

use crate::control::ControlRecord;
use crate::failure::Failure;
use crate::{InputRecord, Outbox};

/// The worker as its partitions see it: its transaction, and who is told of what.
pub(super) trait Effects {
    /// The clock by which control records are paced and silence is told.
    fn now(&self) -> Instant;

    /// Begins a transaction if none is open.
    fn begin(&mut self) -> Result<(), Failure>;

    /// Where the outputs of new events go: into the open transaction.
    fn outbox(&mut self) -> &mut dyn Outbox;

    /// Whether a record may be processed yet, or its partition is to wait for the others.
    fn admits(&self, _record: &InputRecord<'_>, _event_time_ms: Option<i64>, _now: Instant) -> bool {
        true
    }

    /// The first failure of the outbox since the last call.
    fn take_failure(&mut self) -> Option<Failure>;

    /// How many records were given to the outbox, ever.
    fn sent(&self) -> u64;

    /// Takes what was refused of a partition since the last commit by word of somebody outside of
    /// the log, as control records of a commit of `offset`.
    fn take_refusals(&mut self, partition: i32, offset: i64) -> Vec<ControlRecord>;

    /// Takes what the client reports in place of a record; an error where the worker cannot go on.
    fn reported(&mut self, error: &KafkaError) -> Result<(), Failure>;

    /// A replay has ended.
    fn went_live(&mut self, replayed: &Replayed);
}

/// A replay that has ended.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) partition: i32,
    /// The next record's offset.
    pub(super) next: i64,
    /// Records that were replayed.
    pub(super) records: u64,
    /// When the partition was assigned, or had to be restored anew.
    pub(super) since: Instant,
}

/// What the open batch has taken from the log.
#[derive(Debug)]
pub(super) struct Tally {
    /// When its first event was processed; `None` where nothing waits for a commit.
    pub(super) started: Option<Instant>,
    pub(super) records: usize,
    pub(super) bytes: u64,
    /// When the last record was appended to its log, in milliseconds since 1970; below 0 if that is
    /// unknown.
    pub(super) newest_append_ms: i64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            started: None,
            records: 0,
            bytes: 0,
            newest_append_ms: -1,
        }
    }
}

impl Tally {
    pub(super) fn add(&mut self, record: &InputRecord<'_>) {
        let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        self.newest_append_ms = record.timestamp_ms;
        self.records += 1;
        self.bytes += (len(record.payload) + len(record.key)) as u64;
    }

    /// Forgets the batch, as another begins; the time of the last record stays known.
    pub(super) fn clear(&mut self) {
        *self = Self {
            newest_append_ms: self.newest_append_ms,
            ..Self::default()
        };
    }
}
