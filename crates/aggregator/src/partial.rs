//! Stage 1: transactions in, one record for each window and merchant out, with a contribution for
//! each currency.

use std::sync::Arc;

use millrace_codec::reader::ReadError;
use millrace_codec::{Ahead, TransactionReader, partial};
use millrace_domain::{EventTimeLimits, ShortId};
use millrace_engine::windowed::{PartialOutput, PartialPolicy, records};
use millrace_engine::{Disposition, EventTimeBounds, FrozenState, HashSeed, Operator as _, RestoreError};
use millrace_kafka::{Misplaced, SourcePartitions, partition_for};
use millrace_payments::{MerchantOutput, PartialAggregate, PerMerchant, partial_of};
use millrace_runtime::{
    Beginning, Controls, InputRecord, Job, JobMetrics, OUTGROWN, Outbox, OutputRecord, Placement, Task,
    TaskError, Upstream,
};
use millrace_settings::MisplacedRecords;

use crate::metrics::{PartitionMetrics, WindowMetrics};
use crate::{beginning, settings};

/// The name of stage 1.
pub const NAME: &str = millrace_catalog::payments::AGGREGATE_PARTIAL.name;

/// What the job of stage 1 is made of.
#[derive(Debug, Clone)]
pub struct PartialJob {
    /// Window, lateness and disorder.
    pub policy: PartialPolicy,
    /// How far an event time may be ahead of the broker's append time.
    pub max_future_ms: i64,
    /// The earliest event time, in milliseconds since 1970.
    pub earliest_ms: i64,
    /// Seed of the operators' tables.
    pub seed: HashSeed,
    /// Full names of the topics.
    pub topics: PartialTopics,
    /// The partitions of the input.
    pub source: Arc<SourcePartitions>,
    /// The job that writes the input, where it is rekeyed.
    pub upstream: Option<Upstream>,
    /// What becomes of a record that lies elsewhere than those of its user.
    pub misplaced_records: MisplacedRecords,
    /// Partitions of the partials topic: each gets every watermark.
    pub partials_partitions: i32,
    /// Id of the schema that partials are written with.
    pub schema_id: u32,
    /// Decodes the input.
    pub reader: TransactionReader,
    /// Late and duplicate records.
    pub metrics: JobMetrics,
    /// Windows.
    pub windows: WindowMetrics,
}

/// The topics of stage 1, with their prefix.
#[derive(Debug, Clone)]
pub struct PartialTopics {
    /// Transactions.
    pub input: String,
    /// Advances of idle partitions, and changes of policy.
    pub control: String,
    /// Contributions and watermarks.
    pub partials: String,
    /// The second stage's policies.
    pub partials_control: String,
    /// Records that came after their window had closed.
    pub late: String,
}

impl Job for PartialJob {
    type Task = PartialTask;

    fn name(&self) -> &str {
        NAME
    }

    fn input_topic(&self) -> &str {
        &self.topics.input
    }

    fn control_topic(&self) -> Option<&str> {
        Some(&self.topics.control)
    }

    fn upstream(&self) -> Option<Upstream> {
        self.upstream.clone()
    }

    fn layout(&self) -> String {
        settings::LAYOUT.to_owned()
    }

    fn policy(&self) -> String {
        settings::to_text(&self.whole_policy())
    }

    fn policy_of_fingerprint(&self, fingerprint: &str) -> Option<String> {
        settings::partial_of_fingerprint(fingerprint, &self.policy).map(|policy| settings::to_text(&policy))
    }

    fn beginning(&self, partition: i32, controls: &mut Controls<'_>) -> Result<Beginning, String> {
        let merge = (self.topics.partials_control.as_str(), self.partials_partitions);
        beginning::of(partition, &self.policy, merge, controls)
    }

    fn source(&self) -> Option<&Arc<SourcePartitions>> {
        Some(&self.source)
    }

    fn task(&self, partition: i32) -> PartialTask {
        self.task_of(partition, self.whole_policy())
    }

    fn task_under(&self, partition: i32, policy: &str) -> Result<PartialTask, String> {
        Ok(self.task_of(partition, settings::of_text(policy)?))
    }
}

impl PartialJob {
    /// The policy with the bounds that this stage looks at itself.
    fn whole_policy(&self) -> PartialPolicy {
        self.policy.with_bounds(EventTimeBounds {
            max_future_ms: self.max_future_ms,
            earliest_ms: Some(self.earliest_ms),
            refuses_misplaced: self.misplaced_records == MisplacedRecords::DeadLetter,
            partitions: Some(self.source.at_start()),
        })
    }

    fn task_of(&self, partition: i32, policy: PartialPolicy) -> PartialTask {
        PartialTask {
            partition,
            operator: PartialAggregate::new(PerMerchant, policy, self.seed),
            bounds: policy.bounds(),
            ahead: Ahead::new(self.reader.clone()),
            windows: self.windows.partition(partition),
            placement: Placement::new(&self.source, policy.bounds().partitions, self.metrics.clone()),
            job: self.clone(),
            outputs: Vec::new(),
            value: Vec::new(),
            open_windows: 0,
        }
    }
}

/// Stage 1 over one partition.
#[derive(Debug)]
pub struct PartialTask {
    partition: i32,
    job: PartialJob,
    operator: PartialAggregate,
    /// Of the present policy.
    bounds: EventTimeBounds,
    ahead: Ahead,
    windows: PartitionMetrics,
    placement: Placement,
    open_windows: usize,
    /// Reused from record to record.
    outputs: Vec<MerchantOutput>,
    value: Vec<u8>,
}

impl PartialTask {
    fn send_outputs(&mut self, outbox: &mut dyn Outbox) {
        if self.open_windows != self.operator.open_windows() {
            self.open_windows = self.operator.open_windows();
            self.windows.show_open(self.open_windows);
        }
        if self.outputs.is_empty() {
            return;
        }
        if !outbox.is_replay() {
            let starts_ms = self.outputs.iter().filter_map(|output| match output {
                PartialOutput::Contribution { contribution, .. } => Some(contribution.window_start_ms),
                PartialOutput::Early { .. } | PartialOutput::Watermark { .. } => None,
            });
            self.windows.count_closed(starts_ms);
        }
        let partitions = self.job.partials_partitions;
        for record in records(self.partition, &self.outputs).map(partial_of) {
            self.value.clear();
            partial::encode_framed(self.job.schema_id, &record, &mut self.value);
            let mut send = |partition, key| {
                outbox.send(OutputRecord {
                    topic: &self.job.topics.partials,
                    partition: Some(partition),
                    key,
                    payload: &self.value,
                    headers: &[],
                });
            };
            match record.merchant_id().map(ShortId::text) {
                // Named here, not left to the producer, so that a watermark can never overtake a
                // contribution.
                Some(key) => send(partition_for(key.as_bytes(), partitions), Some(key.as_bytes())),
                None => (0..partitions).for_each(|partition| send(partition, None)),
            }
        }
        self.outputs.clear();
    }

    fn send_late(&self, record: &InputRecord<'_>, late_by_ms: i64, outbox: &mut dyn Outbox) {
        let late_by_ms = late_by_ms.to_string();
        outbox.copy(
            record,
            &self.job.topics.late,
            &[("late.by_ms", late_by_ms.as_bytes())],
        );
    }
}

impl Task for PartialTask {
    fn prepare(&mut self, records: &[InputRecord<'_>]) {
        let values = records
            .iter()
            .map(|record| (record.offset, record.payload.unwrap_or_default()));
        self.operator.prepare(self.ahead.decode(values));
    }

    fn process(&mut self, record: &InputRecord<'_>, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        let value = record.payload.unwrap_or_default();
        let transaction = match self.ahead.read(record.offset, value) {
            Ok(transaction) => transaction,
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
        let append_time_ms = record.append_time_ms();
        if append_time_ms.is_none() && !outbox.is_replay() {
            self.job.metrics.create_time(record);
        }
        let limits = EventTimeLimits {
            earliest_ms: self.bounds.earliest_ms,
            max_future_ms: self.bounds.max_future_ms,
        };
        if let Err(error) = transaction.check_event_time(append_time_ms, limits) {
            outbox.dead_letter(record, error.code(), &error.to_string());
            return Ok(());
        }
        let user_id = transaction.user_id.text();
        if let Some(misplaced) = self.placement.check(record, user_id.as_bytes(), outbox)
            && self.bounds.refuses_misplaced
        {
            if self.placement.is_outgrown() {
                return Err(TaskError::new(OUTGROWN.to_owned()));
            }
            outbox.dead_letter(record, Misplaced::CODE, &misplaced.to_string());
            return Ok(());
        }
        match self.operator.process(transaction, &mut self.outputs) {
            Disposition::Accepted => self.send_outputs(outbox),
            Disposition::Duplicate if outbox.is_replay() => {}
            Disposition::Duplicate => self.job.metrics.duplicate_records.inc(),
            Disposition::Late { late_by_ms } => {
                self.send_late(record, late_by_ms, outbox);
                if !outbox.is_replay() {
                    self.job.metrics.late_records.inc();
                }
            }
        }
        Ok(())
    }

    fn advance(&mut self, watermark_ms: i64, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        self.operator.advance(watermark_ms, &mut self.outputs);
        self.send_outputs(outbox);
        Ok(())
    }

    fn policy(&self) -> String {
        settings::to_text(self.operator.policy())
    }

    fn configure(&mut self, policy: &str, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        settings::configure(&mut self.operator, policy, &mut self.outputs)?;
        self.bounds = self.operator.policy().bounds();
        self.placement.judge_by(self.bounds.partitions);
        self.send_outputs(outbox);
        Ok(())
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.operator.watermark_ms()
    }

    fn max_event_time_ms(&self) -> Option<i64> {
        self.operator.max_event_time_ms()
    }

    fn open_until_ms(&self) -> Option<i64> {
        self.operator.open_until_ms()
    }

    fn freeze(&mut self) -> FrozenState {
        self.operator.freeze()
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.operator.restore(bytes)?;
        self.bounds = self.operator.policy().bounds();
        self.placement.judge_by(self.bounds.partitions);
        self.open_windows = self.operator.open_windows();
        self.windows.show_open(self.open_windows);
        Ok(())
    }
}
