//! Stage 2: contributions of every source partition in, one result for each window and key out.

use millrace_contract::Reader;
use millrace_engine::windowed::{Aggregation, Merge, MergePolicy};
use millrace_engine::{EventTimeBounds, HashSeed, Operator as _};

use super::{PartitionMetrics, RecordOf, ResultOf, TwoStage, WindowMetrics, fingerprint};
use crate::processor::{Converted, Emitter, JobSpec, LateRecords, Processor, Refusal, Refused};
use crate::{JobMetrics, Outbox};

/// The job of stage 2.
#[derive(Debug, Clone)]
pub struct MergeJob<W: TwoStage> {
    spec: JobSpec,
    /// An operator before its first record, to make each partition's of.
    fresh: Merge<W::Aggregation>,
    seed: HashSeed,
    results_topic: String,
    schema_id: u32,
    reader: Reader<W::Partial>,
    windows: WindowMetrics,
}

/// What stage 2 is made of.
#[derive(Debug, Clone)]
pub struct MergeParts<W: TwoStage> {
    /// How many partitions of the events' topic a window waits for, lateness, and when early
    /// results are due. Those are no part of the fingerprint, as no final result depends on them.
    pub policy: MergePolicy,
    /// Seed of the operators' tables.
    pub seed: HashSeed,
    /// Full names of the topics.
    pub topics: MergeTopics,
    /// Id of the schema that results are written with.
    pub schema_id: u32,
    /// Decodes the input.
    pub reader: Reader<W::Partial>,
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
    /// Results.
    pub results: String,
}

impl<W: TwoStage> MergeJob<W> {
    /// Makes the job.
    #[must_use]
    pub fn new(parts: MergeParts<W>) -> Self {
        Self {
            spec: JobSpec {
                name: W::Aggregation::MERGE,
                input: parts.topics.input,
                control: parts.topics.control,
                layout: fingerprint::LAYOUT,
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
            fresh: Merge::new(W::aggregation(), parts.policy, parts.seed),
            seed: parts.seed,
            results_topic: parts.topics.results,
            schema_id: parts.schema_id,
            reader: parts.reader,
            windows: parts.windows,
        }
    }
}

impl<W: TwoStage> Processor for MergeJob<W> {
    type Operator = Merge<W::Aggregation>;
    type Intake = Converted<W::Partial, RecordOf<W>>;
    type Gauges = PartitionMetrics;

    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    fn present_policy(&self) -> MergePolicy {
        *self.fresh.policy()
    }

    fn policy_of_fingerprint(&self, fingerprint: &str) -> Option<MergePolicy> {
        fingerprint::merge_of_fingerprint(fingerprint, self.fresh.policy())
    }

    fn operator(&self) -> Self::Operator {
        self.fresh.clone()
    }

    fn operator_under(&self, policy: MergePolicy) -> Self::Operator {
        Merge::new(W::aggregation(), policy, self.seed)
    }

    fn intake(&self) -> Self::Intake {
        Converted::new(self.reader.clone(), W::record_of)
    }

    fn gauges(&self, partition: i32) -> PartitionMetrics {
        self.windows.partition(partition)
    }

    #[inline]
    fn check(
        operator: &Self::Operator,
        contribution: &RecordOf<W>,
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
            "it waits for {present} partitions of the {}, and this process knows of {wanted}. Where partitions \
             were added a moment ago, it starts anew with them; a topic that was made anew with fewer is another topic, for \
             which the aggregation has to begin anew: set kafka.topic_prefix",
            W::EVENTS
        ))
    }

    fn emit(&self, outputs: &mut Vec<ResultOf<W>>, windows: &PartitionMetrics, emitter: &mut Emitter<'_>) {
        if !emitter.is_replay() {
            let finals = outputs.iter().filter(|output| output.is_final());
            windows.count_closed(finals.map(|output| output.window_start_ms));
        }
        for output in outputs.drain(..) {
            emitter.encode(|value| W::encode_result(self.schema_id, &output, value));
            let key = W::key(&output.key);
            emitter.send(&self.results_topic, None, Some(key.as_ref()));
        }
    }

    #[inline]
    fn show_change(&self, windows: &mut PartitionMetrics, operator: &Self::Operator, _: &dyn Outbox) {
        windows.show_open(operator.open_windows());
    }

    fn show_restored(&self, windows: &mut PartitionMetrics, operator: &Self::Operator) {
        windows.show_restored(operator.open_windows());
    }

    /// The watermark: stage 2 sees no events, and its watermark comes in its records alone.
    fn max_event_time_ms(operator: &Self::Operator) -> Option<i64> {
        operator.watermark_ms()
    }

    fn closed_until_ms(operator: &Self::Operator) -> Option<i64> {
        operator.closed_until_ms()
    }
}
