//! The job: anomalies in, incidents out.

use std::sync::Arc;

use millrace_domain::codec::{AnomalyReader, DecodedAnomaly, incident};
use millrace_domain::{Transaction, TransactionId};
use millrace_engine::EventTimeBounds;
use millrace_incidents::{IncidentOperator, IncidentPolicy, Told};
use millrace_runtime::processor::{Converted, Emitter, JobSpec, LateRecords, Processor, Refusal, Refused};
use millrace_runtime::{JobMetrics, Outbox};

use super::live::LivePolicy;
use super::metrics::{IncidentMetrics, PartitionMetrics};
use super::record::record;

/// What the job is made of.
#[derive(Debug, Clone)]
pub struct IncidentParts {
    /// Typologies, disorder, and verdicts, which come while the job runs.
    pub policy: Arc<LivePolicy>,
    /// Full name of the topic of anomalies.
    pub input: String,
    /// Full name of the topic of advances and changes of policy.
    pub control: String,
    /// Full name of the topic of incidents.
    pub incidents: String,
    /// Id of the schema that incidents are written with.
    pub schema_id: u32,
    /// Decodes the input.
    pub reader: AnomalyReader,
    /// Who keeps the records that are left out.
    pub refusal: Refusal,
    /// What is counted of the records.
    pub job: JobMetrics,
    /// The job's own.
    pub metrics: IncidentMetrics,
}

/// The job.
///
/// The sink reads its input too, and owns the dead letters: a bad record is passed over here and
/// counted in `millrace_skipped_records_total`.
#[derive(Debug, Clone)]
pub struct IncidentJob {
    spec: JobSpec,
    parts: IncidentParts,
}

impl IncidentJob {
    /// A job of its parts.
    #[must_use]
    pub fn new(parts: IncidentParts) -> Self {
        Self {
            spec: JobSpec {
                name: millrace_catalog::incidents::INCIDENTS.name,
                input: parts.input.clone(),
                control: parts.control.clone(),
                layout: "layout=1",
                // What is quiet is closed though nothing comes after it.
                advances_idle: true,
                tells_outputs: true,
                upstream: None,
                // The detector has judged times and places.
                source: None,
                refusal: parts.refusal.clone(),
                late: LateRecords::Count,
                metrics: parts.job.clone(),
            },
            parts,
        }
    }

    /// The policy, whose verdicts come while the job runs.
    #[must_use]
    pub fn live(&self) -> &Arc<LivePolicy> {
        &self.parts.policy
    }

    /// What the job counts of its own.
    pub(super) fn metrics(&self) -> &IncidentMetrics {
        &self.parts.metrics
    }
}

impl Processor for IncidentJob {
    type Operator = IncidentOperator;
    type Intake = Converted<DecodedAnomaly, DecodedAnomaly>;
    type Gauges = PartitionMetrics;

    fn spec(&self) -> &JobSpec {
        &self.spec
    }

    fn present_policy(&self) -> IncidentPolicy {
        self.parts.policy.policy()
    }

    fn policy_changes(&self) -> u64 {
        self.parts.policy.changes()
    }

    fn operator(&self) -> IncidentOperator {
        self.operator_under(self.present_policy())
    }

    fn operator_under(&self, policy: IncidentPolicy) -> IncidentOperator {
        IncidentOperator::new(policy)
    }

    fn intake(&self) -> Self::Intake {
        Converted::new(self.parts.reader.clone(), |anomaly| anomaly)
    }

    fn gauges(&self, partition: i32) -> PartitionMetrics {
        self.parts.metrics.partition(partition)
    }

    /// No detector writes what is refused here; but a time beyond all others would close every
    /// incident, and an alert of no transaction is none.
    fn check(
        _operator: &IncidentOperator,
        anomaly: &DecodedAnomaly,
        _append_time_ms: Option<i64>,
        _bounds: &EventTimeBounds,
    ) -> Result<(), Refused> {
        if anomaly.transaction_ids.is_empty() {
            return Err(Refused {
                code: "no_transaction",
                why: "the evidence names no transaction".to_owned(),
            });
        }
        let checked = Transaction::check_time(anomaly.event_time_ms);
        checked.map(drop).map_err(|error| Refused {
            code: error.code(),
            why: error.to_string(),
        })
    }

    fn emit(&self, outputs: &mut Vec<Told>, _: &PartitionMetrics, emitter: &mut Emitter<'_>) {
        let parts = &self.parts;
        let is_replay = emitter.is_replay();
        for told in outputs.drain(..) {
            if !is_replay {
                parts.metrics.count(&told);
            }
            let key = TransactionId::from_bytes(*told.incident.id.as_bytes()).to_text();
            emitter.encode(|value| incident::encode_framed(parts.schema_id, &record(&told), value));
            emitter.send(&parts.incidents, None, Some(&key));
        }
    }

    fn show_change(&self, gauges: &mut PartitionMetrics, operator: &IncidentOperator, _: &dyn Outbox) {
        gauges.show_open(operator.open());
    }

    fn show_restored(&self, gauges: &mut PartitionMetrics, operator: &IncidentOperator) {
        gauges.show_open(operator.open());
    }

    fn max_event_time_ms(operator: &IncidentOperator) -> Option<i64> {
        operator.max_event_time_ms()
    }
}
