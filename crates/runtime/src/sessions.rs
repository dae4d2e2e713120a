//! Sessions as a job: whoever says what is made of a session's events, and how it is written, has
//! the job. The operator is [`millrace_engine::keyed::Sessions`].

use std::fmt::Debug;
use std::sync::Arc;

use millrace_contract::{Contract, ReadAhead, Reader};
use millrace_engine::keyed::sessions::Closed;
use millrace_engine::keyed::{Fold, SessionPolicy, Sessions};
use millrace_engine::{EventTimeBounds, HashSeed};
use millrace_kafka::{InputRecord, Misplaced, SourcePartitions};
use millrace_settings::MisplacedRecords;

use crate::processor::{Emitter, JobSpec, LateRecords, Processor, Refusal, Refused};
use crate::windowed::{PartitionMetrics, WindowMetrics};
use crate::{JobMetrics, Outbox, Placement};

/// What sessions are of: what is made of their events, and how the records are read and written.
/// The name of the job is the fold's.
pub trait OfSessions: Clone + Debug + Send + Sync + 'static {
    /// What is made of a session's events.
    type Fold: Fold<Event: Debug + Contract<Kept: Send>>;

    /// What is made of them.
    fn fold() -> Self::Fold;

    /// Whether an event is one that its stream may have, beside that it could be read.
    /// `append_time_ms` is when the broker appended it, where that is known.
    ///
    /// # Errors
    /// Why it is left out.
    fn check(
        event: &EventOf<Self>,
        append_time_ms: Option<i64>,
        bounds: &EventTimeBounds,
    ) -> Result<(), Refused>;

    /// What the records of events are keyed by: the sessions' key, or a part of it.
    fn source_key(event: &EventOf<Self>) -> impl AsRef<[u8]>;

    /// Appends the value of a session that is over, in its framing, and gives the record's key.
    fn encode<'a>(schema_id: u32, closed: &'a ClosedOf<Self>, value: &mut Vec<u8>) -> &'a [u8];
}

/// A record of the input.
pub type EventOf<S> = <<S as OfSessions>::Fold as Fold>::Event;
/// A session that is over.
pub type ClosedOf<S> =
    Closed<<<S as OfSessions>::Fold as Fold>::Key, <<S as OfSessions>::Fold as Fold>::Totals>;

/// The job.
#[derive(Debug, Clone)]
pub struct SessionJob<S: OfSessions> {
    spec: JobSpec,
    parts: SessionParts<S>,
}

/// What the job is made of.
#[derive(Debug, Clone)]
pub struct SessionParts<S: OfSessions> {
    /// Gap, lateness and disorder.
    pub policy: SessionPolicy,
    /// How far an event time may be ahead of the broker's append time.
    pub max_future_ms: i64,
    /// The earliest event time, in milliseconds since 1970.
    pub earliest_ms: i64,
    /// Seed of the operators' tables.
    pub seed: HashSeed,
    /// Full names of the topics.
    pub topics: SessionTopics,
    /// The partitions of the input.
    pub source: Arc<SourcePartitions>,
    /// Who keeps the records that are left out.
    pub refusal: Refusal,
    /// What becomes of a record that lies elsewhere than those of its key.
    pub misplaced_records: MisplacedRecords,
    /// Id of the schema that sessions are written with.
    pub schema_id: u32,
    /// Decodes the input.
    pub reader: Reader<EventOf<S>>,
    /// Late and duplicate records.
    pub metrics: JobMetrics,
    /// Sessions that are over, and keys that have an open one.
    pub windows: WindowMetrics,
}

/// The topics of the job, with their prefix.
#[derive(Debug, Clone)]
pub struct SessionTopics {
    /// Events.
    pub input: String,
    /// Advances of idle partitions, and changes of policy.
    pub control: String,
    /// Sessions that are over.
    pub sessions: String,
}

impl<S: OfSessions> SessionJob<S> {
    /// A job of its parts.
    #[must_use]
    pub fn new(parts: SessionParts<S>) -> Self {
        Self {
            spec: JobSpec {
                name: S::Fold::NAME,
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

impl<S: OfSessions> Processor for SessionJob<S> {
    type Operator = Sessions<S::Fold>;
    type Intake = ReadAhead<EventOf<S>>;
    type Gauges = PartitionMetrics;

    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    fn present_policy(&self) -> SessionPolicy {
        self.parts.policy.with_bounds(EventTimeBounds {
            max_future_ms: self.parts.max_future_ms,
            earliest_ms: Some(self.parts.earliest_ms),
            refuses_misplaced: self.parts.misplaced_records == MisplacedRecords::DeadLetter,
            partitions: Some(self.parts.source.at_start()),
        })
    }

    fn operator(&self) -> Self::Operator {
        self.operator_under(self.present_policy())
    }

    fn operator_under(&self, policy: SessionPolicy) -> Self::Operator {
        Sessions::new(S::fold(), policy, self.parts.seed)
    }

    fn intake(&self) -> Self::Intake {
        ReadAhead::new(self.parts.reader.clone())
    }

    fn gauges(&self, partition: i32) -> PartitionMetrics {
        self.parts.windows.partition(partition)
    }

    fn bounds(policy: &SessionPolicy) -> EventTimeBounds {
        policy.bounds()
    }

    #[inline]
    fn check(
        _operator: &Self::Operator,
        event: &EventOf<S>,
        append_time_ms: Option<i64>,
        bounds: &EventTimeBounds,
    ) -> Result<(), Refused> {
        S::check(event, append_time_ms, bounds)
    }

    #[inline]
    fn place(
        placement: &mut Placement,
        input: &InputRecord<'_>,
        event: &EventOf<S>,
        outbox: &dyn Outbox,
    ) -> Option<Misplaced> {
        placement.check(input, S::source_key(event).as_ref(), outbox)
    }

    fn emit(&self, outputs: &mut Vec<ClosedOf<S>>, windows: &PartitionMetrics, emitter: &mut Emitter<'_>) {
        if !emitter.is_replay() {
            windows.count_closed_each(outputs.len());
        }
        for closed in outputs.drain(..) {
            let mut key = &[][..];
            emitter.encode(|value| key = S::encode(self.parts.schema_id, &closed, value));
            emitter.send(&self.parts.topics.sessions, None, Some(key));
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
