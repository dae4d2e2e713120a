//! A transaction without Kafka, and what fails in it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rdkafka::error::KafkaError;

use super::clock::Clock;
use super::cluster::Output;
use super::numbered::Speaker;
use crate::alignment::Alignment;
use crate::control::ControlRecord;
use crate::failure::Failure;
use crate::refusals::NewRefusals;
use crate::worker::effects::{Effects, Replayed};
use crate::{InputRecord, Outbox, OutputRecord, TaskError, WorkerError};

/// The topic that dead letters are sent to.
pub const DEAD_LETTERS: &str = "dead letters";
/// The header of a dead letter that names its error.
pub const CODE: &str = "error.code";

/// What fails next.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Faults {
    pub(super) begin: bool,
    /// The send with this number.
    pub(super) send: Option<usize>,
    /// Errors come in the place of records.
    pub(super) cuts: bool,
    /// What is reported ends the worker.
    pub(super) report: bool,
    /// A failure that no roll-back mends.
    pub(super) is_fatal: bool,
}

/// A transaction, open or not.
#[derive(Default)]
pub(in crate::worker) struct Transaction {
    is_open: bool,
    pub(super) sent: Vec<Output>,
    failure: Option<Failure>,
    refusals: NewRefusals,
    /// Records that were sent, in transactions that were thrown away too.
    total: u64,
    pub(super) faults: Faults,
    pub(super) replayed: u64,
    speaker: Speaker,
    clock: Clock,
    /// Of a job whose partitions wait for each other.
    pub(super) alignment: Option<Alignment>,
}

fn failure(is_fatal: bool, what: &str) -> Failure {
    if is_fatal {
        Failure::Stop(WorkerError::Reconnect(what.to_owned()))
    } else {
        Failure::Abort(what.to_owned())
    }
}

impl Transaction {
    pub(super) fn of(speaker: &Speaker, clock: &Clock, alignment: Option<Alignment>) -> Self {
        Self {
            speaker: Arc::clone(speaker),
            clock: clock.clone(),
            alignment,
            ..Self::default()
        }
    }

    /// What is sent from now on is this partition's.
    pub(super) fn speak_for(&mut self, partition: i32) {
        self.speaker.store(partition, Ordering::Relaxed);
    }

    /// Throws away what is not committed.
    pub(super) fn abort(&mut self) {
        *self = Self {
            replayed: self.replayed,
            total: self.total,
            alignment: self.alignment.take(),
            ..Self::of(&self.speaker, &self.clock, None)
        };
    }

    /// Ends it; what it has sent.
    pub(super) fn take_sent(&mut self) -> Vec<Output> {
        self.is_open = false;
        std::mem::take(&mut self.sent)
    }
}

impl Effects for Transaction {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn begin(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.faults.begin) {
            return Err(failure(self.faults.is_fatal, "begin"));
        }
        self.is_open = true;
        Ok(())
    }

    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }

    fn admits(&self, record: &InputRecord<'_>, event_time_ms: Option<i64>, now: Instant) -> bool {
        let alignment = self.alignment.as_ref();
        alignment.is_none_or(|it| it.admits(record.partition, record.offset, event_time_ms, now))
    }

    fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn sent(&self) -> u64 {
        self.total
    }

    fn take_refusals(&mut self, partition: i32, offset: i64) -> Vec<ControlRecord> {
        self.refusals.take(partition, offset)
    }

    fn reported(&mut self, _: &KafkaError) -> Result<(), Failure> {
        if std::mem::take(&mut self.faults.report) {
            return Err(failure(true, "report"));
        }
        Ok(())
    }

    fn went_live(&mut self, replayed: &Replayed) {
        self.replayed += replayed.records;
    }
}

impl Outbox for Transaction {
    fn send(&mut self, record: OutputRecord<'_>) {
        assert!(self.is_open, "an output outside of a transaction");
        if self.failure.is_some() {
            return;
        }
        match &mut self.faults.send {
            Some(0) => {
                self.faults.send = None;
                self.failure = Some(failure(self.faults.is_fatal, "send"));
                return;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        self.total += 1;
        let source = self.speaker.load(Ordering::Relaxed);
        self.sent.push(Output::new(source, &record));
    }

    fn copy(&mut self, record: &InputRecord<'_>, topic: &str, headers: &[(&str, &[u8])]) {
        self.send(copy_of(record, topic, headers));
    }

    fn dead_letter(&mut self, record: &InputRecord<'_>, code: &'static str, error: &str) {
        let headers: &[(&str, &[u8])] = &[("error", error.as_bytes()), (CODE, code.as_bytes())];
        self.send(copy_of(record, DEAD_LETTERS, headers));
    }

    fn note_refusal(
        &mut self,
        record: &InputRecord<'_>,
        code: &'static str,
        _why: &str,
    ) -> Result<(), TaskError> {
        self.refusals.add(record.partition, record.offset, code);
        Ok(())
    }

    fn is_replay(&self) -> bool {
        false
    }
}

/// A copy of an input record.
fn copy_of<'a>(record: &InputRecord<'a>, topic: &'a str, headers: &'a [(&str, &[u8])]) -> OutputRecord<'a> {
    OutputRecord {
        topic,
        partition: None,
        key: record.key,
        payload: record.payload.unwrap_or_default(),
        headers,
    }
}
