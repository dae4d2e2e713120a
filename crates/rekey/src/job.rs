//! The job: transactions of any accepted form in, the same transactions in one form and by their
//! user's key out.

use std::sync::Arc;

use millrace_contract::reader::ReadError;
use millrace_domain::codec::{Ahead, TransactionReader, json, transaction};
use millrace_domain::{EventTimeLimits, Transaction};
use millrace_engine::snapshot::{StateReader, StateWriter};
use millrace_engine::{FrozenState, RestoreError};
use millrace_kafka::copies::header::TRUNCATED_HEADERS;
use millrace_kafka::{Misplaced, RecordHeader, SourcePartitions};
use millrace_runtime::{InputRecord, Job, JobMetrics, Outbox, OutputRecord, Task, TaskError};

use crate::headers;
use crate::metrics::RekeyMetrics;
use crate::policy::RekeyPolicy;

/// The job's name.
pub const NAME: &str = millrace_catalog::payments::REKEY.name;

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Avro in the Confluent framing, with this schema id.
    Avro(u32),
    /// Plain JSON.
    Json,
}

/// What the job is made of.
#[derive(Debug, Clone)]
pub struct RekeyParts {
    /// What is a dead letter.
    pub policy: RekeyPolicy,
    /// How far a partition's watermark stays behind its highest event time. It is shown and decides
    /// nothing.
    pub max_disorder_ms: i64,
    /// How far one partition's event time may be ahead of another's that has more to read, in
    /// milliseconds.
    pub max_skew_ms: i64,
    /// The partitions of the input.
    pub source: Arc<SourcePartitions>,
    /// Full name of the topic that is read.
    pub input: String,
    /// Full name of the topic of changes of policy.
    pub control: String,
    /// Full name of the topic that is written.
    pub output: String,
    /// How values are written.
    pub encoding: Encoding,
    /// Decodes the input.
    pub reader: TransactionReader,
    /// What the worker counts.
    pub job: JobMetrics,
    /// The job's own.
    pub metrics: RekeyMetrics,
}

/// The job. What a record becomes depends on it alone, so that a restart goes on from the committed
/// offset.
///
/// A dead letter of the input is kept here, once: the jobs that read the output never see it.
#[derive(Debug, Clone)]
pub struct RekeyJob(RekeyParts);

impl RekeyJob {
    /// A job of its parts.
    #[must_use]
    pub fn new(parts: RekeyParts) -> Self {
        Self(parts)
    }

    /// The partitions of the input.
    #[must_use]
    pub fn partitions(&self) -> &Arc<SourcePartitions> {
        &self.0.source
    }

    fn task_of(&self, policy: RekeyPolicy) -> RekeyTask {
        RekeyTask {
            policy,
            ahead: Ahead::new(self.0.reader.clone()),
            max_event_time_ms: None,
            value: Vec::new(),
            job: self.clone(),
        }
    }
}

impl Job for RekeyJob {
    type Task = RekeyTask;

    fn name(&self) -> &str {
        NAME
    }

    fn input_topic(&self) -> &str {
        &self.0.input
    }

    fn control_topic(&self) -> Option<&str> {
        Some(&self.0.control)
    }

    /// Nothing waits for its watermark.
    fn advances_idle(&self) -> bool {
        false
    }

    fn has_state(&self) -> bool {
        false
    }

    /// Its partitions are mixed in the output: what one of them is ahead would be disorder there.
    fn max_skew_ms(&self) -> Option<i64> {
        Some(self.0.max_skew_ms)
    }

    fn source(&self) -> Option<&Arc<SourcePartitions>> {
        Some(&self.0.source)
    }

    fn layout(&self) -> String {
        "layout=1".to_owned()
    }

    fn policy(&self) -> String {
        self.0.policy.to_text()
    }

    fn task(&self, _partition: i32) -> RekeyTask {
        self.task_of(self.0.policy)
    }

    fn task_under(&self, _partition: i32, policy: &str) -> Result<RekeyTask, String> {
        RekeyPolicy::of_text(policy).map(|policy| self.task_of(policy))
    }
}

/// The job over one partition.
#[derive(Debug)]
pub struct RekeyTask {
    job: RekeyJob,
    policy: RekeyPolicy,
    ahead: Ahead,
    max_event_time_ms: Option<i64>,
    /// Reused from record to record.
    value: Vec<u8>,
}

impl RekeyTask {
    fn send(&mut self, record: &InputRecord<'_>, transaction: &Transaction, outbox: &mut dyn Outbox) {
        let parts = &self.job.0;
        let user_id = transaction.user_id.text();
        let user_id = user_id.as_bytes();
        let misplaced = Misplaced::of(user_id, record.key, record.partition, parts.source.at_start());
        if let Some(misplaced) = misplaced {
            parts.metrics.moved(misplaced.reason);
        }
        self.value.clear();
        match parts.encoding {
            Encoding::Avro(id) => transaction::encode_framed(id, transaction, &mut self.value),
            Encoding::Json => json::encode(transaction, &mut self.value),
        }
        let mut own = record.headers.iter().peekable();
        let mut send = |headers: &[(&str, &[u8])]| {
            outbox.send(OutputRecord {
                topic: &parts.output,
                partition: None,
                key: Some(user_id),
                payload: &self.value,
                headers,
            });
        };
        if own.peek().is_none() {
            send(&[]);
            return;
        }
        let own: Vec<RecordHeader<'_>> = own.collect();
        if let Some(names) = headers::names_of_large(&own) {
            parts.metrics.headers_left_out();
            send(&[(TRUNCATED_HEADERS, &names)]);
            return;
        }
        let kept: Vec<_> = own
            .iter()
            .map(|(name, value)| (name.as_ref(), value.unwrap_or_default()))
            .collect();
        send(&kept);
    }
}

impl Task for RekeyTask {
    fn prepare(&mut self, records: &[InputRecord<'_>]) {
        let values = records
            .iter()
            .map(|record| (record.offset, record.payload.unwrap_or_default()));
        self.ahead.decode(values);
    }

    fn event_time_ms(&mut self, record: &InputRecord<'_>) -> Option<i64> {
        let value = record.payload.unwrap_or_default();
        let transaction = self.ahead.peek(record.offset, value)?;
        // What will be a dead letter is ahead of nothing.
        is_in_time(self.policy, record, transaction)
            .is_ok()
            .then_some(transaction.transaction_time_ms)
    }

    fn process(&mut self, record: &InputRecord<'_>, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        let value = record.payload.unwrap_or_default();
        let transaction = match self.ahead.read(record.offset, value) {
            Ok(transaction) => *transaction,
            Err(ReadError::Invalid(error)) => {
                let why = error.to_string();
                if error.is_of_registry() {
                    outbox.note_refusal(record, error.code(), &why)?;
                }
                outbox.dead_letter(record, error.code(), &why);
                return Ok(());
            }
            Err(ReadError::Registry(error)) => return Err(TaskError::new(error)),
        };
        if record.append_time_ms().is_none() && !outbox.is_replay() {
            self.job.0.job.create_time(record);
        }
        if let Err(error) = is_in_time(self.policy, record, &transaction) {
            outbox.dead_letter(record, error.code(), &error.to_string());
            return Ok(());
        }
        self.max_event_time_ms = self.max_event_time_ms.max(Some(transaction.transaction_time_ms));
        if !outbox.is_replay() {
            self.send(record, &transaction, outbox);
        }
        Ok(())
    }

    /// Its partitions are not advanced.
    fn advance(&mut self, _watermark_ms: i64, _outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        Ok(())
    }

    fn policy(&self) -> String {
        self.policy.to_text()
    }

    fn configure(&mut self, policy: &str, _outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        self.policy = RekeyPolicy::of_text(policy).map_err(TaskError::new)?;
        Ok(())
    }

    fn watermark_ms(&self) -> Option<i64> {
        let max_disorder_ms = self.job.0.max_disorder_ms;
        self.max_event_time_ms
            .map(|time_ms| time_ms.saturating_sub(max_disorder_ms))
    }

    fn max_event_time_ms(&self) -> Option<i64> {
        self.max_event_time_ms
    }

    fn open_until_ms(&self) -> Option<i64> {
        None
    }

    /// What it has for a state is for people to look at; a snapshot's use is to prove what was
    /// committed.
    fn freeze(&mut self) -> FrozenState {
        let max_event_time_ms = self.max_event_time_ms;
        FrozenState::new(move |writer: &mut StateWriter<'_>| writer.option_i64(max_event_time_ms))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let mut reader = StateReader::new(bytes);
        self.max_event_time_ms = reader.option_i64("event time")?;
        reader.finish()
    }
}

/// As the aggregator decides it of what it reads itself.
fn is_in_time(
    policy: RekeyPolicy,
    record: &InputRecord<'_>,
    transaction: &Transaction,
) -> Result<(), millrace_domain::InvalidValue> {
    let limits = EventTimeLimits {
        earliest_ms: Some(policy.earliest_ms),
        max_future_ms: policy.max_future_ms,
    };
    transaction.check_event_time(record.append_time_ms(), limits)
}
