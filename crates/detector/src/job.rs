//! The job: transactions in, anomalies out.

use std::sync::Arc;

use millrace_codec::reader::ReadError;
use millrace_codec::{Ahead, TransactionReader, anomaly};
use millrace_domain::{Anomaly, EventTimeLimits};
use millrace_engine::{Disposition, EventTimeBounds, FrozenState, HashSeed, Operator as _, RestoreError};
use millrace_fraud::{DetectOperator, DetectPolicy, DetectSettings};
use millrace_kafka::clock::now_ms;
use millrace_kafka::{Misplaced, SourcePartitions};
use millrace_runtime::{
    InputRecord, Job, JobMetrics, OUTGROWN, Outbox, OutputRecord, Placement, Task, TaskError,
};
use millrace_settings::MisplacedRecords;

use crate::metrics::{DetectMetrics, PartitionMetrics};
use crate::policy;

/// The job's name.
pub const NAME: &str = millrace_catalog::payments::DETECT.name;

/// What the job is made of.
#[derive(Debug, Clone)]
pub struct DetectParts {
    /// An operator before its first record, to make each partition's of.
    pub operator: DetectOperator,
    /// Seed of the operators' tables.
    pub seed: HashSeed,
    /// How far an event time may be ahead of the broker's append time.
    pub max_future_ms: i64,
    /// The earliest event time, in milliseconds since 1970.
    pub earliest_ms: i64,
    /// The partitions of the input.
    pub source: Arc<SourcePartitions>,
    /// What becomes of a record that lies elsewhere than those of its user.
    pub misplaced_records: MisplacedRecords,
    /// Full name of the topic of transactions.
    pub input: String,
    /// Full name of the topic of changes of policy.
    pub control: String,
    /// Full name of the topic of anomalies.
    pub anomalies: String,
    /// Id of the schema that anomalies are written with.
    pub schema_id: u32,
    /// Decodes the input.
    pub reader: TransactionReader,
    /// Late and duplicate records.
    pub job: JobMetrics,
    /// The detector's own.
    pub metrics: DetectMetrics,
}

/// The job.
///
/// A bad record is passed over and counted in `millrace_skipped_records_total`, and is not sent to
/// the dead-letter topic: the aggregator reads the same topic by the same rules and keeps it there,
/// once. A late one is counted alone, for the same reason.
#[derive(Debug, Clone)]
pub struct DetectJob(DetectParts);

impl DetectJob {
    /// A job of its parts.
    #[must_use]
    pub fn new(parts: DetectParts) -> Self {
        Self(parts)
    }

    /// The partitions of the input.
    #[must_use]
    pub fn partitions(&self) -> &Arc<SourcePartitions> {
        &self.0.source
    }
}

impl Job for DetectJob {
    type Task = DetectTask;

    fn name(&self) -> &str {
        NAME
    }

    fn input_topic(&self) -> &str {
        &self.0.input
    }

    fn control_topic(&self) -> Option<&str> {
        Some(&self.0.control)
    }

    /// Every rule speaks when a transaction comes, so an idle partition has nothing that an advance
    /// of its watermark could bring out. It keeps its ids and profiles a little longer, no more.
    fn advances_idle(&self) -> bool {
        false
    }

    /// Nearly every commit has anomalies, which would make it dearer; and one that comes again has
    /// the same id.
    fn tells_outputs(&self) -> bool {
        false
    }

    fn layout(&self) -> String {
        "layout=1".to_owned()
    }

    fn policy(&self) -> String {
        policy::to_text(&self.whole_policy())
    }

    fn policy_of_fingerprint(&self, fingerprint: &str) -> Option<String> {
        policy::of_fingerprint(fingerprint).map(|policy| policy::to_text(&policy))
    }

    fn source(&self) -> Option<&Arc<SourcePartitions>> {
        Some(&self.0.source)
    }

    fn task(&self, partition: i32) -> DetectTask {
        let mut operator = self.0.operator.clone();
        operator.configure(&self.whole_policy(), &mut Vec::new());
        self.task_of(partition, operator)
    }

    fn task_under(&self, partition: i32, policy: &str) -> Result<DetectTask, String> {
        let policy: DetectPolicy = policy::of_text(policy)?;
        Ok(self.task_of(partition, DetectOperator::of(policy, self.0.seed)))
    }
}

impl DetectJob {
    /// The policy with the bounds that this job looks at itself.
    fn whole_policy(&self) -> DetectPolicy {
        let mut settings = DetectSettings::from(self.0.operator.policy().clone());
        settings.bounds = EventTimeBounds {
            max_future_ms: self.0.max_future_ms,
            earliest_ms: Some(self.0.earliest_ms),
            refuses_misplaced: self.0.misplaced_records == MisplacedRecords::DeadLetter,
            partitions: Some(self.0.source.at_start()),
        };
        // The bounds are no setting of a range.
        DetectPolicy::new(settings).unwrap_or_else(|_| self.0.operator.policy().clone())
    }

    fn task_of(&self, partition: i32, operator: DetectOperator) -> DetectTask {
        let bounds = operator.policy().bounds;
        DetectTask {
            bounds,
            operator,
            profiles: self.0.metrics.partition(partition),
            placement: Placement::new(&self.0.source, bounds.partitions, self.0.job.clone()),
            ahead: Ahead::new(self.0.reader.clone()),
            job: self.clone(),
            outputs: Vec::new(),
            value: Vec::new(),
        }
    }
}

/// The job over one partition.
#[derive(Debug)]
pub struct DetectTask {
    job: DetectJob,
    operator: DetectOperator,
    /// Of the present policy.
    bounds: EventTimeBounds,
    ahead: Ahead,
    profiles: PartitionMetrics,
    placement: Placement,
    /// Reused from record to record.
    outputs: Vec<Anomaly>,
    value: Vec<u8>,
}

impl DetectTask {
    fn skip(&self, code: &'static str, outbox: &dyn Outbox) {
        if !outbox.is_replay() {
            self.job.0.metrics.skipped(code);
        }
    }

    /// Writes what the operator found, stamped with the clock of this moment: the one thing that
    /// another run of the same input would write otherwise.
    #[cold]
    fn send_outputs(&mut self, outbox: &mut dyn Outbox) {
        if outbox.is_replay() {
            self.outputs.clear();
            return;
        }
        let detection_time_ms = now_ms();
        let parts = &self.job.0;
        for found in self.outputs.drain(..) {
            self.value.clear();
            anomaly::encode_framed(parts.schema_id, &found, detection_time_ms, &mut self.value);
            outbox.send(OutputRecord {
                topic: &parts.anomalies,
                partition: None,
                key: Some(found.entity.text().as_bytes()),
                payload: &self.value,
                headers: &[],
            });
            parts.metrics.anomaly(found.rule, found.severity);
            tracing::debug!(rule = found.rule, id = %found.id, "an anomaly");
        }
    }
}

impl Task for DetectTask {
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
                if error.is_of_registry() {
                    outbox.note_refusal(record, error.code(), &error.to_string())?;
                }
                self.skip(error.code(), outbox);
                return Ok(());
            }
            Err(ReadError::Registry(error)) => return Err(TaskError::new(error)),
        };
        let append_time_ms = record.append_time_ms();
        if append_time_ms.is_none() && !outbox.is_replay() {
            self.job.0.job.create_time(record);
        }
        let limits = EventTimeLimits {
            earliest_ms: self.bounds.earliest_ms,
            max_future_ms: self.bounds.max_future_ms,
        };
        if let Err(error) = transaction.check_event_time(append_time_ms, limits) {
            self.skip(error.code(), outbox);
            return Ok(());
        }
        let user_id = transaction.user_id.text();
        if self.placement.check(record, user_id.as_bytes(), outbox).is_some() && self.bounds.refuses_misplaced
        {
            if self.placement.is_outgrown() {
                return Err(TaskError::new(OUTGROWN.to_owned()));
            }
            self.skip(Misplaced::CODE, outbox);
            return Ok(());
        }
        let unknown_before = self.operator.unknown_locations();
        let disposition = self.operator.process(transaction, &mut self.outputs);
        if !self.outputs.is_empty() {
            self.send_outputs(outbox);
        }
        if outbox.is_replay() {
            return Ok(());
        }
        let parts = &self.job.0;
        match disposition {
            Disposition::Accepted => {}
            Disposition::Duplicate => parts.job.duplicate_records.inc(),
            Disposition::Late { .. } => parts.job.late_records.inc(),
        }
        let unknown = self.operator.unknown_locations() - unknown_before;
        if unknown > 0 {
            parts.metrics.unknown_locations(unknown);
        }
        Ok(())
    }

    fn advance(&mut self, watermark_ms: i64, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        self.operator.advance(watermark_ms, &mut self.outputs);
        self.send_outputs(outbox);
        Ok(())
    }

    fn policy(&self) -> String {
        policy::to_text(self.operator.policy())
    }

    fn configure(&mut self, policy: &str, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        let policy: DetectPolicy = policy::of_text(policy).map_err(TaskError::new)?;
        let refused = self.operator.check_policy(&policy);
        refused.map_err(TaskError::new)?;
        self.operator.configure(&policy, &mut self.outputs);
        self.bounds = self.operator.policy().bounds;
        self.placement.judge_by(self.bounds.partitions);
        self.send_outputs(outbox);
        Ok(())
    }

    fn before_commit(&mut self, _outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        self.profiles.show_profiles(self.operator.profiles());
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
        self.bounds = self.operator.policy().bounds;
        self.placement.judge_by(self.bounds.partitions);
        self.profiles.show_profiles(self.operator.profiles());
        Ok(())
    }
}
