//! Stage 1: transactions in, one record for each window and merchant out, with a contribution for
//! each currency.

use std::sync::Arc;

use millrace_codec::{Ahead, TransactionReader, partial};
use millrace_domain::{ShortId, Transaction};
use millrace_engine::windowed::{PartialOutput, PartialPolicy, records};
use millrace_engine::{EventTimeBounds, HashSeed};
use millrace_kafka::{InputRecord, Misplaced, SourcePartitions, partition_for};
use millrace_payments::{MerchantOutput, PartialAggregate, PerMerchant, check_event_time, partial_of};
use millrace_runtime::processor::{
    Emitter, JobSpec, LateRecords, Processor, ProcessorTask, Refusal, Refused,
};
use millrace_runtime::{Beginning, Controls, JobMetrics, Outbox, Placement, Upstream};
use millrace_settings::MisplacedRecords;

use crate::metrics::{PartitionMetrics, WindowMetrics};
use crate::{beginning, settings};

/// The name of stage 1.
pub const NAME: &str = millrace_catalog::payments::AGGREGATE_PARTIAL.name;

/// Stage 1 over one partition.
pub type PartialTask = ProcessorTask<PartialJob>;

/// The job of stage 1.
#[derive(Debug, Clone)]
pub struct PartialJob {
    spec: JobSpec,
    parts: PartialParts,
}

/// What the job of stage 1 is made of.
#[derive(Debug, Clone)]
pub struct PartialParts {
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
    /// Who keeps the records that are left out.
    pub refusal: Refusal,
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

impl PartialJob {
    /// A job of its parts.
    #[must_use]
    pub fn new(parts: PartialParts) -> Self {
        Self {
            spec: JobSpec {
                name: NAME,
                input: parts.topics.input.clone(),
                control: parts.topics.control.clone(),
                layout: settings::LAYOUT,
                advances_idle: true,
                tells_outputs: true,
                upstream: parts.upstream.clone(),
                source: Some(Arc::clone(&parts.source)),
                refusal: parts.refusal.clone(),
                late: LateRecords::Copy(parts.topics.late.clone()),
                metrics: parts.metrics.clone(),
            },
            parts,
        }
    }

    /// The partitions of the input.
    #[must_use]
    pub fn partitions(&self) -> &Arc<SourcePartitions> {
        &self.parts.source
    }
}

impl Processor for PartialJob {
    type Operator = PartialAggregate;
    type Intake = Ahead;
    type Gauges = PartitionMetrics;

    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    /// With the bounds that an operator does not look at itself.
    fn present_policy(&self) -> PartialPolicy {
        self.parts.policy.with_bounds(EventTimeBounds {
            max_future_ms: self.parts.max_future_ms,
            earliest_ms: Some(self.parts.earliest_ms),
            refuses_misplaced: self.parts.misplaced_records == MisplacedRecords::DeadLetter,
            partitions: Some(self.parts.source.at_start()),
        })
    }

    fn policy_of_fingerprint(&self, fingerprint: &str) -> Option<PartialPolicy> {
        settings::partial_of_fingerprint(fingerprint, &self.parts.policy)
    }

    fn beginning(&self, partition: i32, controls: &mut Controls<'_>) -> Result<Beginning, String> {
        let parts = &self.parts;
        let merge = (parts.topics.partials_control.as_str(), parts.partials_partitions);
        beginning::of(partition, &parts.policy, merge, controls)
    }

    fn operator(&self) -> PartialAggregate {
        self.operator_under(self.present_policy())
    }

    fn operator_under(&self, policy: PartialPolicy) -> PartialAggregate {
        PartialAggregate::new(PerMerchant, policy, self.parts.seed)
    }

    fn intake(&self) -> Ahead {
        Ahead::new(self.parts.reader.clone())
    }

    fn gauges(&self, partition: i32) -> PartitionMetrics {
        self.parts.windows.partition(partition)
    }

    fn bounds(policy: &PartialPolicy) -> EventTimeBounds {
        policy.bounds()
    }

    #[inline]
    fn check(
        _operator: &PartialAggregate,
        transaction: &Transaction,
        append_time_ms: Option<i64>,
        bounds: &EventTimeBounds,
    ) -> Result<(), Refused> {
        check_event_time(transaction, append_time_ms, bounds).map_err(|error| Refused {
            code: error.code(),
            why: error.to_string(),
        })
    }

    #[inline]
    fn place(
        placement: &mut Placement,
        input: &InputRecord<'_>,
        transaction: &Transaction,
        outbox: &dyn Outbox,
    ) -> Option<Misplaced> {
        placement.check(input, transaction.user_id.text().as_bytes(), outbox)
    }

    fn emit(&self, outputs: &mut Vec<MerchantOutput>, windows: &PartitionMetrics, emitter: &mut Emitter<'_>) {
        if !emitter.is_replay() {
            let starts_ms = outputs.iter().filter_map(|output| match output {
                PartialOutput::Contribution { contribution, .. } => Some(contribution.window_start_ms),
                PartialOutput::Early { .. } | PartialOutput::Watermark { .. } => None,
            });
            windows.count_closed(starts_ms);
        }
        let (topic, partitions) = (&self.parts.topics.partials, self.parts.partials_partitions);
        for record in records(emitter.partition(), outputs).map(partial_of) {
            emitter.encode(|value| partial::encode_framed(self.parts.schema_id, &record, value));
            match record.merchant_id().map(ShortId::text) {
                // Named here, not left to the producer, so that a watermark can never overtake a
                // contribution.
                Some(key) => {
                    let partition = partition_for(key.as_bytes(), partitions);
                    emitter.send(topic, Some(partition), Some(key.as_bytes()));
                }
                None => (0..partitions).for_each(|partition| emitter.send(topic, Some(partition), None)),
            }
        }
        outputs.clear();
    }

    #[inline]
    fn show_change(&self, windows: &mut PartitionMetrics, operator: &PartialAggregate, _: &dyn Outbox) {
        windows.show_open(operator.open_windows());
    }

    fn show_restored(&self, windows: &mut PartitionMetrics, operator: &PartialAggregate) {
        windows.show_restored(operator.open_windows());
    }

    fn max_event_time_ms(operator: &PartialAggregate) -> Option<i64> {
        operator.max_event_time_ms()
    }
}
