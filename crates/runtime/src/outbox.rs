//! Where a task's outputs go: the open transaction, or nowhere in a replay.

use millrace_kafka::copies::{SourceRecord, header};
use millrace_kafka::transaction::{self, TransactionMetrics, TransactionalProducer};

use crate::failure::Failure;
use crate::metrics::JobMetrics;
use crate::refusals::{NewRefusals, check_replayed};
use crate::{InputRecord, Outbox, OutputRecord, TaskError};

/// What outlives a single call of a task: names, counts, and the first failure.
pub(crate) struct OutboxState {
    service: String,
    dead_letter_topic: String,
    /// Records sent since the last commit, by topic.
    produced: Vec<(String, u64)>,
    /// Records that were sent, committed or not.
    pub(crate) sent: u64,
    /// What was refused since the last commit by word of somebody outside of the log.
    pub(crate) refusals: NewRefusals,
    failure: Option<Failure>,
}

impl OutboxState {
    pub(crate) fn new(job: &str, input_topic: &str) -> Self {
        Self {
            service: job.to_owned(),
            dead_letter_topic: millrace_contract::topic::dead_letter(input_topic),
            produced: Vec::new(),
            sent: 0,
            refusals: NewRefusals::default(),
            failure: None,
        }
    }

    /// The first failure since the last call.
    pub(crate) fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// Whether something was sent since the last commit.
    pub(crate) fn has_sent(&self) -> bool {
        self.produced.iter().any(|(_, count)| *count > 0)
    }

    /// Counts what was sent.
    pub(crate) fn flush_counts(&mut self, metrics: &JobMetrics) {
        for (topic, count) in &mut self.produced {
            if *count > 0 {
                metrics.produced(topic, std::mem::take(count));
            }
        }
    }

    /// Forgets what was sent in an aborted transaction.
    pub(crate) fn forget_counts(&mut self) {
        self.produced.iter_mut().for_each(|(_, count)| *count = 0);
    }

    fn count(&mut self, topic: &str) {
        self.sent += 1;
        match self.produced.iter_mut().find(|(name, _)| name == topic) {
            Some((_, count)) => *count += 1,
            None => self.produced.push((topic.to_owned(), 1)),
        }
    }
}

/// An outbox into the open transaction.
pub(crate) struct LiveOutbox<'a> {
    pub(crate) producer: &'a mut TransactionalProducer,
    pub(crate) state: &'a mut OutboxState,
    pub(crate) metrics: &'a JobMetrics,
}

impl LiveOutbox<'_> {
    /// Sends, unless something has failed already.
    fn try_send(
        &mut self,
        topic: &str,
        send: impl FnOnce(&mut TransactionalProducer, &TransactionMetrics) -> Result<(), transaction::Failure>,
    ) {
        if self.state.failure.is_some() {
            return;
        }
        match send(self.producer, &self.metrics.transaction) {
            Ok(()) => self.state.count(topic),
            Err(failure) => self.state.failure = Some(failure.into()),
        }
    }
}

impl Outbox for LiveOutbox<'_> {
    fn send(&mut self, record: OutputRecord<'_>) {
        self.try_send(record.topic, |producer, metrics| producer.send(&record, metrics));
    }

    fn copy(&mut self, record: &InputRecord<'_>, topic: &str, headers: &[(&str, &[u8])]) {
        let own: Vec<_> = record.headers.iter().collect();
        let source = SourceRecord::of(record, &own);
        self.try_send(topic, |producer, metrics| {
            producer.send_copy(topic, &source, headers, metrics)
        });
    }

    fn dead_letter(&mut self, record: &InputRecord<'_>, code: &'static str, error: &str) {
        self.metrics.dead_letter(code);
        let (topic, service) = (self.state.dead_letter_topic.clone(), self.state.service.clone());
        let headers: [(&str, &[u8]); 3] = [
            (header::ERROR, error.as_bytes()),
            (header::ERROR_CODE, code.as_bytes()),
            (header::SERVICE, service.as_bytes()),
        ];
        self.copy(record, &topic, &headers);
    }

    fn note_refusal(
        &mut self,
        record: &InputRecord<'_>,
        code: &'static str,
        _why: &str,
    ) -> Result<(), TaskError> {
        self.state.refusals.add(record.partition, record.offset, code);
        Ok(())
    }

    fn is_replay(&self) -> bool {
        false
    }
}

/// An outbox for what was committed before: everything is in the log already.
#[derive(Default)]
pub(crate) struct ReplayOutbox {
    /// From here on it is known which records were refused.
    pub(crate) refusals_from: Option<i64>,
}

impl Outbox for ReplayOutbox {
    fn send(&mut self, _record: OutputRecord<'_>) {}

    fn copy(&mut self, _record: &InputRecord<'_>, _topic: &str, _headers: &[(&str, &[u8])]) {}

    fn dead_letter(&mut self, _record: &InputRecord<'_>, _code: &'static str, _error: &str) {}

    fn note_refusal(
        &mut self,
        record: &InputRecord<'_>,
        _code: &'static str,
        why: &str,
    ) -> Result<(), TaskError> {
        check_replayed(record, self.refusals_from, why)
    }

    fn is_replay(&self) -> bool {
        true
    }
}
