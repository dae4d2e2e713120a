//! State by key as a job: whoever says what is kept of a key, and how what comes of it is written,
//! has the job. The operator is a [`KeyedOperator`] of the engine, as
//! [`Sessions`](millrace_engine::keyed::Sessions) and
//! [`Ordered`](millrace_engine::keyed::Ordered).

use std::fmt::Debug;
use std::sync::Arc;

use millrace_contract::{Contract, Event as _, ReadAhead, Reader};
use millrace_engine::keyed::KeyedOperator;
use millrace_engine::{EventTimeBounds, HashSeed, Operator};
use millrace_kafka::{InputRecord, Misplaced, SourcePartitions};
use millrace_settings::MisplacedRecords;

use crate::processor::{Emitter, JobSpec, LateRecords, Processor, Refusal, Refused, check_event};
use crate::windowed::{PartitionMetrics, WindowMetrics};
use crate::{JobMetrics, Outbox, Placement};

/// What is kept by key: by which operator, and how the records are read and written. The name of
/// the job is the operator's.
pub trait Keyed: Clone + Send + Sync + 'static {
    /// What is kept of a key.
    type Operator: KeyedOperator<Record: Debug + Contract<Kept: Send>, Output: Send, Policy: Copy + Debug + Send + Sync>
        + Send;

    /// An operator before its first record.
    fn operator(policy: PolicyOf<Self>, seed: HashSeed) -> Self::Operator;

    /// Appends the value of an output, in its framing, and gives the record's key. Which of the
    /// job's topics it goes to, [`Keyed::topic`] says: `schema_id` is that one's.
    fn encode<'a>(schema_id: u32, output: &'a OutputOf<Self>, value: &mut Vec<u8>) -> &'a [u8];

    /// The place of an output's topic among those that the job writes.
    fn topic(_output: &OutputOf<Self>) -> usize {
        0
    }

    /// Counts what comes out for the first time, beside its number.
    fn count(&self, _outputs: &[OutputOf<Self>]) {}
}

/// A record of the input.
pub type EventOf<K> = <<K as Keyed>::Operator as Operator>::Record;
/// What comes out.
pub type OutputOf<K> = <<K as Keyed>::Operator as Operator>::Output;
/// What may be set.
pub type PolicyOf<K> = <<K as Keyed>::Operator as Operator>::Policy;

/// The job.
#[derive(Clone)]
pub struct KeyedJob<K: Keyed> {
    spec: JobSpec,
    parts: KeyedParts<K>,
}

/// What the job is made of.
#[derive(Clone)]
pub struct KeyedParts<K: Keyed> {
    /// What is kept by key.
    pub of: K,
    /// Lateness, disorder, and what else is set of the operator.
    pub policy: PolicyOf<K>,
    /// How far an event time may be ahead of the broker's append time.
    pub max_future_ms: i64,
    /// The earliest event time, in milliseconds since 1970.
    pub earliest_ms: i64,
    /// Seed of the operators' tables.
    pub seed: HashSeed,
    /// Full names of the topics.
    pub topics: KeyedTopics,
    /// The partitions of the input.
    pub source: Arc<SourcePartitions>,
    /// Who keeps the records that are left out.
    pub refusal: Refusal,
    /// What becomes of a record that lies elsewhere than those of its key.
    pub misplaced_records: MisplacedRecords,
    /// Decodes the input.
    pub reader: Reader<EventOf<K>>,
    /// Late and duplicate records.
    pub metrics: JobMetrics,
    /// What comes out, and keys of which something is kept.
    pub windows: WindowMetrics,
}

/// The topics of the job, with their prefix.
#[derive(Debug, Clone)]
pub struct KeyedTopics {
    /// Events.
    pub input: String,
    /// Advances of idle partitions, and changes of policy.
    pub control: String,
    /// What comes out, each with the id of the schema that it is written with.
    pub outputs: Vec<(String, u32)>,
}

impl<K: Keyed> KeyedJob<K> {
    /// A job of its parts.
    #[must_use]
    pub fn new(parts: KeyedParts<K>) -> Self {
        Self {
            spec: JobSpec {
                name: K::Operator::NAME,
                input: parts.topics.input.clone(),
                control: parts.topics.control.clone(),
                layout: "layout=1",
                advances_idle: true,
                tells_outputs: true,
                upstream: None,
                source: Some(Arc::clone(&parts.source)),
                refusal: parts.refusal.clone(),
                late: LateRecords::Count,
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

impl<K: Keyed> Processor for KeyedJob<K> {
    type Operator = K::Operator;
    type Intake = ReadAhead<EventOf<K>>;
    type Gauges = PartitionMetrics;

    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    fn present_policy(&self) -> PolicyOf<K> {
        let bounds = EventTimeBounds {
            max_future_ms: self.parts.max_future_ms,
            earliest_ms: Some(self.parts.earliest_ms),
            refuses_misplaced: self.parts.misplaced_records == MisplacedRecords::DeadLetter,
            partitions: Some(self.parts.source.at_start()),
        };
        K::Operator::within(self.parts.policy, bounds)
    }

    fn operator(&self) -> Self::Operator {
        self.operator_under(self.present_policy())
    }

    fn operator_under(&self, policy: PolicyOf<K>) -> Self::Operator {
        K::operator(policy, self.parts.seed)
    }

    fn intake(&self) -> Self::Intake {
        ReadAhead::new(self.parts.reader.clone())
    }

    fn gauges(&self, partition: i32) -> PartitionMetrics {
        self.parts.windows.partition(partition)
    }

    fn bounds(policy: &PolicyOf<K>) -> EventTimeBounds {
        K::Operator::bounds(policy)
    }

    #[inline]
    fn check(
        _operator: &Self::Operator,
        event: &EventOf<K>,
        append_time_ms: Option<i64>,
        bounds: &EventTimeBounds,
    ) -> Result<(), Refused> {
        check_event(event, append_time_ms, bounds)
    }

    #[inline]
    fn place(
        placement: &mut Placement,
        input: &InputRecord<'_>,
        event: &EventOf<K>,
        outbox: &dyn Outbox,
    ) -> Option<Misplaced> {
        placement.check(input, event.key().as_ref(), outbox)
    }

    fn emit(&self, outputs: &mut Vec<OutputOf<K>>, windows: &PartitionMetrics, emitter: &mut Emitter<'_>) {
        if !emitter.is_replay() {
            windows.count_closed_each(outputs.len());
            self.parts.of.count(outputs);
        }
        for output in outputs.drain(..) {
            // A job writes to the topics that it was made with alone.
            let Some((topic, schema_id)) = self.parts.topics.outputs.get(K::topic(&output)) else {
                continue;
            };
            let mut key = &[][..];
            emitter.encode(|value| key = K::encode(*schema_id, &output, value));
            emitter.send(topic, None, Some(key));
        }
    }

    #[inline]
    fn show_change(&self, windows: &mut PartitionMetrics, operator: &Self::Operator, _: &dyn Outbox) {
        windows.show_open(operator.open_keys());
    }

    fn show_restored(&self, windows: &mut PartitionMetrics, operator: &Self::Operator) {
        windows.show_restored(operator.open_keys());
    }

    fn max_event_time_ms(operator: &Self::Operator) -> Option<i64> {
        operator.max_event_time_ms()
    }
}
