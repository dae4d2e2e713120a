//! Stage 2: contributions of every source partition in, one aggregate for each window, merchant and
//! currency out.

use millrace_codec::reader::ReadError;
use millrace_codec::{PartialReader, aggregate};
use millrace_engine::windowed::MergePolicy;
use millrace_engine::{Disposition, FrozenState, HashSeed, Operator as _, RestoreError};
use millrace_payments::{MerchantResult, MergeAggregate, PerMerchant, merchant_aggregate, record_of};
use millrace_runtime::{InputRecord, Job, Outbox, OutputRecord, Task, TaskError};

use crate::metrics::{PartitionMetrics, WindowMetrics};
use crate::settings;

/// The name of stage 2.
pub const NAME: &str = millrace_catalog::payments::AGGREGATE_MERGE.name;

/// The job of stage 2.
#[derive(Debug, Clone)]
pub struct MergeJob {
    /// An operator before its first record, to make each partition's of.
    fresh: MergeAggregate,
    seed: HashSeed,
    topics: MergeTopics,
    schema_id: u32,
    reader: PartialReader,
    windows: WindowMetrics,
}

/// What stage 2 is made of.
#[derive(Debug, Clone)]
pub struct MergeParts {
    /// How many partitions of the transactions' topic a window waits for, lateness, and when early
    /// results are due. Those are no part of the fingerprint, as no final result depends on them.
    pub policy: MergePolicy,
    /// Seed of the operators' tables.
    pub seed: HashSeed,
    /// Full names of the topics.
    pub topics: MergeTopics,
    /// Id of the schema that aggregates are written with.
    pub schema_id: u32,
    /// Decodes the input.
    pub reader: PartialReader,
    /// Windows.
    pub windows: WindowMetrics,
}

/// The topics of stage 2, with their prefix.
#[derive(Debug, Clone)]
pub struct MergeTopics {
    /// Contributions and watermarks.
    pub input: String,
    /// Changes of policy.
    pub control: String,
    /// Aggregates.
    pub aggregates: String,
}

impl MergeJob {
    /// Makes the job.
    #[must_use]
    pub fn new(parts: MergeParts) -> Self {
        Self {
            fresh: MergeAggregate::new(PerMerchant, parts.policy, parts.seed),
            seed: parts.seed,
            topics: parts.topics,
            schema_id: parts.schema_id,
            reader: parts.reader,
            windows: parts.windows,
        }
    }
}

impl Job for MergeJob {
    type Task = MergeTask;

    fn name(&self) -> &str {
        NAME
    }

    fn input_topic(&self) -> &str {
        &self.topics.input
    }

    fn control_topic(&self) -> Option<&str> {
        Some(&self.topics.control)
    }

    /// Its watermark comes in its records alone.
    fn advances_idle(&self) -> bool {
        false
    }

    fn layout(&self) -> String {
        settings::LAYOUT.to_owned()
    }

    fn policy(&self) -> String {
        settings::to_text(self.fresh.policy())
    }

    fn policy_of_fingerprint(&self, fingerprint: &str) -> Option<String> {
        settings::merge_of_fingerprint(fingerprint, self.fresh.policy())
            .map(|policy| settings::to_text(&policy))
    }

    fn task(&self, partition: i32) -> MergeTask {
        self.task_of(partition, self.fresh.clone())
    }

    fn task_under(&self, partition: i32, policy: &str) -> Result<MergeTask, String> {
        let operator = MergeAggregate::new(PerMerchant, settings::of_text(policy)?, self.seed);
        Ok(self.task_of(partition, operator))
    }
}

impl MergeJob {
    fn task_of(&self, partition: i32, operator: MergeAggregate) -> MergeTask {
        MergeTask {
            operator,
            windows: self.windows.partition(partition),
            job: self.clone(),
            outputs: Vec::new(),
            value: Vec::new(),
            told_of_late: false,
        }
    }
}

/// Stage 2 over one partition.
#[derive(Debug)]
pub struct MergeTask {
    job: MergeJob,
    operator: MergeAggregate,
    windows: PartitionMetrics,
    /// Reused from record to record.
    outputs: Vec<MerchantResult>,
    value: Vec<u8>,
    /// The log has said once that contributions come too late: each one is in the dead letters.
    told_of_late: bool,
}

impl MergeTask {
    /// A topic never has fewer partitions than it had: a process that knows of fewer has not heard
    /// yet of those that were added, and must not let windows close without them.
    fn check_sources(&self, policy: &str) -> Result<(), TaskError> {
        let wanted: MergePolicy = settings::of_text(policy).map_err(TaskError::new)?;
        let (present, wanted) = (
            self.operator.policy().source_partitions(),
            wanted.source_partitions(),
        );
        if wanted >= present {
            return Ok(());
        }
        Err(TaskError::new(format!(
            "it waits for {present} partitions of the transactions, and this process knows of {wanted}. Where partitions \
             were added a moment ago, it starts anew with them; a topic that was made anew with fewer is another topic, for \
             which the aggregation has to begin anew: set kafka.topic_prefix"
        )))
    }

    fn send_outputs(&mut self, outbox: &mut dyn Outbox) {
        self.windows.show_open(self.operator.open_windows());
        if !outbox.is_replay() {
            let finals = self.outputs.iter().filter(|output| output.is_final());
            self.windows
                .count_closed(finals.map(|output| output.window_start_ms));
        }
        for output in self.outputs.drain(..) {
            let output = merchant_aggregate(&output);
            let key = output.merchant_id.text();
            self.value.clear();
            aggregate::encode_framed(self.job.schema_id, &output, &mut self.value);
            outbox.send(OutputRecord {
                topic: &self.job.topics.aggregates,
                partition: None,
                key: Some(key.as_bytes()),
                payload: &self.value,
                headers: &[],
            });
        }
    }
}

impl Task for MergeTask {
    fn process(&mut self, record: &InputRecord<'_>, outbox: &mut dyn Outbox) -> Result<(), TaskError> {
        let partial = match self.job.reader.read(record.payload.unwrap_or_default()) {
            Ok(partial) => partial,
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
        if !self.operator.knows_source(partial.source_partition) {
            let error = format!(
                "the source partition is {}: no topic has such a one",
                partial.source_partition
            );
            outbox.dead_letter(record, "unknown_source_partition", &error);
            return Ok(());
        }
        match self.operator.process(&record_of(partial), &mut self.outputs) {
            Disposition::Accepted | Disposition::Duplicate => self.send_outputs(outbox),
            Disposition::Late { late_by_ms } => {
                // Every source sends what it adds before the watermark that closes the window:
                // something is wrong.
                let error = format!("a contribution came {late_by_ms} ms after its window had closed");
                if !std::mem::replace(&mut self.told_of_late, true) {
                    tracing::error!(
                        offset = record.offset,
                        partition = record.partition,
                        "{error}: such contributions go to the dead letters; more of this partition are not logged"
                    );
                }
                outbox.dead_letter(record, "late_contribution", &error);
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
        if !outbox.is_replay() {
            self.check_sources(policy)?;
        }
        settings::configure(&mut self.operator, policy, &mut self.outputs)?;
        self.send_outputs(outbox);
        Ok(())
    }

    fn watermark_ms(&self) -> Option<i64> {
        self.operator.watermark_ms()
    }

    /// The watermark: stage 2 sees no events, and its watermark comes in its records alone.
    fn max_event_time_ms(&self) -> Option<i64> {
        self.operator.watermark_ms()
    }

    fn open_until_ms(&self) -> Option<i64> {
        self.operator.open_until_ms()
    }

    fn closed_until_ms(&self) -> Option<i64> {
        self.operator.closed_until_ms()
    }

    fn freeze(&mut self) -> FrozenState {
        self.operator.freeze()
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        self.operator.restore(bytes)?;
        self.windows.show_open(self.operator.open_windows());
        Ok(())
    }
}
