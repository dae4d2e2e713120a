//! The job: transactions in, anomalies out.

use std::sync::Arc;

use millrace_domain::codec::{Ahead, TransactionReader, anomaly};
use millrace_domain::{Anomaly, Transaction};
use millrace_engine::{EventTimeBounds, HashSeed, Operator as _};
use millrace_fraud::{DetectOperator, DetectPolicy};
use millrace_kafka::clock::now_ms;
use millrace_kafka::{InputRecord, Misplaced, SourcePartitions};
use millrace_runtime::processor::{
    Emitter, JobSpec, LateRecords, Processor, ProcessorTask, Refusal, Refused,
};
use millrace_runtime::{JobMetrics, Outbox, Placement};
use millrace_settings::MisplacedRecords;

use crate::live_rules::LiveRules;
use crate::metrics::{DetectMetrics, PartitionMetrics};
use crate::policy;

/// The job's name.
pub const NAME: &str = millrace_catalog::payments::DETECT.name;

/// The job over one partition.
pub type DetectTask = ProcessorTask<DetectJob>;

/// What the job is made of.
#[derive(Debug, Clone)]
pub struct DetectParts {
    /// An operator before its first record, to make each partition's of.
    pub operator: DetectOperator,
    /// The policy, whose rule set may change while the job runs.
    pub rules: Arc<LiveRules>,
    /// Seed of the operators' tables.
    pub seed: HashSeed,
    /// How far an event time may be ahead of the broker's append time.
    pub max_future_ms: i64,
    /// The earliest event time, in milliseconds since 1970.
    pub earliest_ms: i64,
    /// The partitions of the input.
    pub source: Arc<SourcePartitions>,
    /// Who keeps the records that are left out.
    pub refusal: Refusal,
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
/// Its input is the aggregator's too, which owns the dead letters: a bad record is passed over here
/// and counted in `millrace_skipped_records_total`, and a late one is counted alone.
#[derive(Debug, Clone)]
pub struct DetectJob {
    spec: JobSpec,
    parts: DetectParts,
}

impl DetectJob {
    /// A job of its parts.
    #[must_use]
    pub fn new(parts: DetectParts) -> Self {
        Self {
            spec: JobSpec {
                name: NAME,
                input: parts.input.clone(),
                control: parts.control.clone(),
                layout: "layout=1",
                // Every rule speaks when a transaction comes, so an idle partition has nothing that
                // an advance of its watermark could bring out. It keeps its ids and profiles a
                // little longer, no more.
                advances_idle: false,
                // Nearly every commit has anomalies, which would make it dearer; and one that comes
                // again has the same id.
                tells_outputs: false,
                upstream: None,
                source: Some(Arc::clone(&parts.source)),
                refusal: parts.refusal.clone(),
                late: LateRecords::Count,
                metrics: parts.job.clone(),
            },
            parts,
        }
    }

    /// The policy, whose rule set may change while the job runs.
    #[must_use]
    pub fn rules(&self) -> &Arc<LiveRules> {
        &self.parts.rules
    }

    /// What the job counts of its own.
    pub(crate) fn metrics(&self) -> &DetectMetrics {
        &self.parts.metrics
    }

    /// The partitions of the input.
    #[must_use]
    pub fn partitions(&self) -> &Arc<SourcePartitions> {
        &self.parts.source
    }
}

impl Processor for DetectJob {
    type Operator = DetectOperator;
    type Intake = Ahead;
    type Gauges = PartitionMetrics;

    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    /// With the bounds that an operator does not look at itself.
    fn present_policy(&self) -> DetectPolicy {
        let parts = &self.parts;
        parts.rules.policy().with_bounds(EventTimeBounds {
            max_future_ms: parts.max_future_ms,
            earliest_ms: Some(parts.earliest_ms),
            refuses_misplaced: parts.misplaced_records == MisplacedRecords::DeadLetter,
            partitions: Some(parts.source.at_start()),
        })
    }

    fn keeps_past(&self) -> bool {
        true
    }

    fn policy_changes(&self) -> u64 {
        self.parts.rules.changes()
    }

    fn policy_of_fingerprint(&self, fingerprint: &str) -> Option<DetectPolicy> {
        policy::of_fingerprint(fingerprint)
    }

    fn operator(&self) -> DetectOperator {
        let mut operator = self.parts.operator.clone();
        operator.configure(&self.present_policy(), &mut Vec::new());
        operator
    }

    fn operator_under(&self, policy: DetectPolicy) -> DetectOperator {
        DetectOperator::of(policy, self.parts.seed)
    }

    fn intake(&self) -> Ahead {
        Ahead::new(self.parts.reader.clone())
    }

    fn gauges(&self, partition: i32) -> PartitionMetrics {
        self.parts.metrics.partition(partition)
    }

    fn bounds(policy: &DetectPolicy) -> EventTimeBounds {
        policy.bounds
    }

    #[inline]
    fn check(
        _operator: &DetectOperator,
        transaction: &Transaction,
        append_time_ms: Option<i64>,
        bounds: &EventTimeBounds,
    ) -> Result<(), Refused> {
        let checked = transaction.check_event_time(append_time_ms, bounds.limits());
        checked.map_err(|error| Refused {
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

    /// Writes what the operator found, stamped with the clock of this moment: the one thing that
    /// another run of the same input would write otherwise.
    #[cold]
    fn emit(&self, outputs: &mut Vec<Anomaly>, _: &PartitionMetrics, emitter: &mut Emitter<'_>) {
        if emitter.is_replay() {
            outputs.clear();
            return;
        }
        let detection_time_ms = now_ms();
        let parts = &self.parts;
        for found in outputs.drain(..) {
            emitter.encode(|value| anomaly::encode_framed(parts.schema_id, &found, detection_time_ms, value));
            emitter.send(&parts.anomalies, None, Some(found.entity.text().as_bytes()));
            parts.metrics.anomaly(&found.rule, found.severity);
            tracing::debug!(rule = &*found.rule, id = %found.id, "an anomaly");
        }
    }

    #[inline]
    fn show_change(&self, gauges: &mut PartitionMetrics, operator: &DetectOperator, outbox: &dyn Outbox) {
        let unknown = operator.unknown_locations();
        let before = std::mem::replace(&mut gauges.unknown_locations, unknown);
        if unknown > before && !outbox.is_replay() {
            self.parts.metrics.unknown_locations(unknown - before);
        }
        // What is judged again was counted by whoever judged it first.
        if outbox.is_replay() {
            gauges.judgements.pass(operator.evaluator());
            gauges.snoozed.pass(operator.snoozed());
        }
    }

    fn show_restored(&self, gauges: &mut PartitionMetrics, operator: &DetectOperator) {
        gauges.unknown_locations = operator.unknown_locations();
        gauges.judgements.pass(operator.evaluator());
        gauges.snoozed.pass(operator.snoozed());
        gauges.show_profiles(operator.profiles());
    }

    fn show_at_commit(&self, gauges: &mut PartitionMetrics, operator: &DetectOperator) {
        gauges.judgements.count(operator.evaluator());
        gauges.snoozed.count(operator.snoozed());
        gauges.show_profiles(operator.profiles());
    }

    fn max_event_time_ms(operator: &DetectOperator) -> Option<i64> {
        operator.max_event_time_ms()
    }
}
