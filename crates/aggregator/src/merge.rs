//! Stage 2: contributions of every source partition in, one aggregate for each window, merchant and
//! currency out.

use millrace_codec::{PartialReader, aggregate};
use millrace_domain::Partial;
use millrace_engine::windowed::{MergePolicy, Record};
use millrace_engine::{EventTimeBounds, HashSeed, Operator as _};
use millrace_payments::{
    MerchantKey, MerchantResult, MerchantTotals, MergeAggregate, PerMerchant, merchant_aggregate, record_of,
};
use millrace_runtime::processor::{
    Converted, Emitter, JobSpec, LateRecords, Processor, ProcessorTask, Refusal, Refused,
};
use millrace_runtime::{JobMetrics, Outbox};

use crate::metrics::{PartitionMetrics, WindowMetrics};
use crate::settings;

/// The name of stage 2.
pub const NAME: &str = millrace_catalog::payments::AGGREGATE_MERGE.name;

/// Stage 2 over one partition.
pub type MergeTask = ProcessorTask<MergeJob>;

/// The job of stage 2.
#[derive(Debug, Clone)]
pub struct MergeJob {
    spec: JobSpec,
    /// An operator before its first record, to make each partition's of.
    fresh: MergeAggregate,
    seed: HashSeed,
    aggregates_topic: String,
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
    /// Who keeps the records that are left out.
    pub refusal: Refusal,
    /// What is counted of the records.
    pub metrics: JobMetrics,
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

/// A contribution, as the operator takes it.
type Contribution = Record<MerchantKey, MerchantTotals>;

impl MergeJob {
    /// Makes the job.
    #[must_use]
    pub fn new(parts: MergeParts) -> Self {
        Self {
            spec: JobSpec {
                name: NAME,
                input: parts.topics.input,
                control: parts.topics.control,
                layout: settings::LAYOUT,
                // Its watermark comes in its records alone.
                advances_idle: false,
                tells_outputs: true,
                upstream: None,
                source: None,
                refusal: parts.refusal,
                // Every source sends what it adds before the watermark that closes the window:
                // where one comes after it, something is wrong.
                late: LateRecords::Refuse {
                    code: "late_contribution",
                    what: "contribution",
                },
                metrics: parts.metrics,
            },
            fresh: MergeAggregate::new(PerMerchant, parts.policy, parts.seed),
            seed: parts.seed,
            aggregates_topic: parts.topics.aggregates,
            schema_id: parts.schema_id,
            reader: parts.reader,
            windows: parts.windows,
        }
    }
}

impl Processor for MergeJob {
    type Operator = MergeAggregate;
    type Intake = Converted<Partial, Contribution>;
    type Gauges = PartitionMetrics;

    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    fn present_policy(&self) -> MergePolicy {
        *self.fresh.policy()
    }

    fn policy_of_fingerprint(&self, fingerprint: &str) -> Option<MergePolicy> {
        settings::merge_of_fingerprint(fingerprint, self.fresh.policy())
    }

    fn operator(&self) -> MergeAggregate {
        self.fresh.clone()
    }

    fn operator_under(&self, policy: MergePolicy) -> MergeAggregate {
        MergeAggregate::new(PerMerchant, policy, self.seed)
    }

    fn intake(&self) -> Converted<Partial, Contribution> {
        Converted::new(self.reader.clone(), record_of)
    }

    fn gauges(&self, partition: i32) -> PartitionMetrics {
        self.windows.partition(partition)
    }

    #[inline]
    fn check(
        operator: &MergeAggregate,
        contribution: &Contribution,
        _append_time_ms: Option<i64>,
        _bounds: &EventTimeBounds,
    ) -> Result<(), Refused> {
        let source = contribution.source_partition;
        if operator.knows_source(source) {
            return Ok(());
        }
        Err(Refused {
            code: "unknown_source_partition",
            why: format!("the source partition is {source}: no topic has such a one"),
        })
    }

    /// A topic never has fewer partitions than it had: a process that knows of fewer has not heard
    /// yet of those that were added, and must not let windows close without them.
    fn check_change(&self, present: &MergePolicy, wanted: &MergePolicy) -> Result<(), String> {
        let (present, wanted) = (present.source_partitions(), wanted.source_partitions());
        if wanted >= present {
            return Ok(());
        }
        Err(format!(
            "it waits for {present} partitions of the transactions, and this process knows of {wanted}. Where partitions \
             were added a moment ago, it starts anew with them; a topic that was made anew with fewer is another topic, for \
             which the aggregation has to begin anew: set kafka.topic_prefix"
        ))
    }

    fn emit(&self, outputs: &mut Vec<MerchantResult>, windows: &PartitionMetrics, emitter: &mut Emitter<'_>) {
        if !emitter.is_replay() {
            let finals = outputs.iter().filter(|output| output.is_final());
            windows.count_closed(finals.map(|output| output.window_start_ms));
        }
        for output in outputs.drain(..) {
            let output = merchant_aggregate(&output);
            emitter.encode(|value| aggregate::encode_framed(self.schema_id, &output, value));
            let key = output.merchant_id.text();
            emitter.send(&self.aggregates_topic, None, Some(key.as_bytes()));
        }
    }

    #[inline]
    fn show_change(&self, windows: &mut PartitionMetrics, operator: &MergeAggregate, _: &dyn Outbox) {
        windows.show_open(operator.open_windows());
    }

    fn show_restored(&self, windows: &mut PartitionMetrics, operator: &MergeAggregate) {
        windows.show_restored(operator.open_windows());
    }

    /// The watermark: stage 2 sees no events, and its watermark comes in its records alone.
    fn max_event_time_ms(operator: &MergeAggregate) -> Option<i64> {
        operator.watermark_ms()
    }

    fn closed_until_ms(operator: &MergeAggregate) -> Option<i64> {
        operator.closed_until_ms()
    }
}
