//! Stage 1: events in, one record for each window and keys that go together out.

use std::sync::Arc;

use millrace_contract::{Event as _, ReadAhead, Reader};
use millrace_engine::windowed::{Aggregation, Partial, PartialOutput, PartialPolicy, records};
use millrace_engine::{EventTimeBounds, HashSeed};
use millrace_kafka::{InputRecord, Misplaced, SourcePartitions, partition_for};
use millrace_settings::MisplacedRecords;

use super::{EventOf, KeyOf, PartitionMetrics, TotalsOf, TwoStage, WindowMetrics, beginning, fingerprint};
use crate::processor::{Emitter, JobSpec, LateRecords, Processor, Refusal, Refused};
use crate::{Beginning, Controls, JobMetrics, Outbox, Placement, Upstream};

/// The job of stage 1.
#[derive(Debug, Clone)]
pub struct PartialJob<W: TwoStage> {
    spec: JobSpec,
    parts: PartialParts<W>,
}

/// What the job of stage 1 is made of.
#[derive(Debug, Clone)]
pub struct PartialParts<W: TwoStage> {
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
    /// What becomes of a record that lies elsewhere than those of its key.
    pub misplaced_records: MisplacedRecords,
    /// Partitions of the partials topic: each gets every watermark.
    pub partials_partitions: i32,
    /// Id of the schema that partials are written with.
    pub schema_id: u32,
    /// Decodes the input.
    pub reader: Reader<EventOf<W>>,
    /// Late and duplicate records.
    pub metrics: JobMetrics,
    /// Windows.
    pub windows: WindowMetrics,
}

/// The topics of stage 1, with their prefix.
#[derive(Debug, Clone)]
pub struct PartialTopics {
    /// Events.
    pub input: String,
    /// Advances of idle partitions, and changes of policy.
    pub control: String,
    /// Contributions and watermarks.
    pub partials: String,
    /// The second stage's policies.
    pub partials_control: String,
    /// Copies of records that came after their window had closed; `None` where they are counted
    /// alone.
    pub late: Option<String>,
}

impl<W: TwoStage> PartialJob<W> {
    /// A job of its parts.
    #[must_use]
    pub fn new(parts: PartialParts<W>) -> Self {
        Self {
            spec: JobSpec {
                name: W::Aggregation::PARTIAL,
                input: parts.topics.input.clone(),
                control: parts.topics.control.clone(),
                layout: fingerprint::LAYOUT,
                advances_idle: true,
                tells_outputs: true,
                upstream: parts.upstream.clone(),
                source: Some(Arc::clone(&parts.source)),
                refusal: parts.refusal.clone(),
                late: parts
                    .topics
                    .late
                    .clone()
                    .map_or(LateRecords::Count, LateRecords::Copy),
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

impl<W: TwoStage> Processor for PartialJob<W> {
    type Operator = Partial<W::Aggregation>;
    type Intake = ReadAhead<EventOf<W>>;
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
        fingerprint::partial_of_fingerprint(fingerprint, &self.parts.policy)
    }

    fn beginning(&self, partition: i32, controls: &mut Controls<'_>) -> Result<Beginning, String> {
        let parts = &self.parts;
        let merge = (parts.topics.partials_control.as_str(), parts.partials_partitions);
        beginning::of((partition, W::EVENTS), &parts.policy, merge, controls)
    }

    fn operator(&self) -> Self::Operator {
        self.operator_under(self.present_policy())
    }

    fn operator_under(&self, policy: PartialPolicy) -> Self::Operator {
        Partial::new(W::aggregation(), policy, self.parts.seed)
    }

    fn intake(&self) -> Self::Intake {
        ReadAhead::new(self.parts.reader.clone())
    }

    fn gauges(&self, partition: i32) -> PartitionMetrics {
        self.parts.windows.partition(partition)
    }

    fn bounds(policy: &PartialPolicy) -> EventTimeBounds {
        policy.bounds()
    }

    #[inline]
    fn check(
        _operator: &Self::Operator,
        event: &EventOf<W>,
        append_time_ms: Option<i64>,
        bounds: &EventTimeBounds,
    ) -> Result<(), Refused> {
        W::check(event, append_time_ms, bounds)
    }

    #[inline]
    fn place(
        placement: &mut Placement,
        input: &InputRecord<'_>,
        event: &EventOf<W>,
        outbox: &dyn Outbox,
    ) -> Option<Misplaced> {
        placement.check(input, event.key().as_ref(), outbox)
    }

    fn emit(
        &self,
        outputs: &mut Vec<PartialOutput<KeyOf<W>, TotalsOf<W>>>,
        windows: &PartitionMetrics,
        emitter: &mut Emitter<'_>,
    ) {
        if !emitter.is_replay() {
            let starts_ms = outputs.iter().filter_map(|output| match output {
                PartialOutput::Contribution { contribution, .. } => Some(contribution.window_start_ms),
                PartialOutput::Early { .. } | PartialOutput::Watermark { .. } => None,
            });
            windows.count_closed(starts_ms);
        }
        let (topic, partitions) = (&self.parts.topics.partials, self.parts.partials_partitions);
        for record in records(emitter.partition(), outputs) {
            let key = record.key().copied();
            emitter.encode(|value| W::encode_partial(self.parts.schema_id, record, value));
            match &key {
                // Named here, not left to the producer, so that a watermark can never overtake a
                // contribution.
                Some(key) => {
                    let key = W::key(key);
                    let partition = partition_for(key.as_ref(), partitions);
                    emitter.send(topic, Some(partition), Some(key.as_ref()));
                }
                None => (0..partitions).for_each(|partition| emitter.send(topic, Some(partition), None)),
            }
        }
        outputs.clear();
    }

    #[inline]
    fn show_change(&self, windows: &mut PartitionMetrics, operator: &Self::Operator, _: &dyn Outbox) {
        windows.show_open(operator.open_windows());
    }

    fn show_restored(&self, windows: &mut PartitionMetrics, operator: &Self::Operator) {
        windows.show_restored(operator.open_windows());
    }

    fn max_event_time_ms(operator: &Self::Operator) -> Option<i64> {
        operator.max_event_time_ms()
    }
}
