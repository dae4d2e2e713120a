//! What is counted of incidents.

use millrace_domain::{IncidentStatus, Verdict};
use millrace_incidents::Told;
use millrace_telemetry::metrics::{MetricError, counters, int_gauges};
use prometheus::core::{AtomicI64, GenericGaugeVec};
use prometheus::{IntCounterVec, IntGauge};

use super::record;

/// What the job counts.
#[derive(Debug, Clone)]
pub struct IncidentMetrics {
    revisions: IntCounterVec,
    verdicts: IntCounterVec,
    open: GenericGaugeVec<AtomicI64>,
}

impl IncidentMetrics {
    /// The metrics of the process.
    ///
    /// # Errors
    /// A name is taken by another metric.
    pub fn new() -> Result<Self, MetricError> {
        let revisions = counters(
            "millrace_incident_revisions_total",
            "Revisions of incidents, by what the incident is by them.",
            &["status"],
        )?;
        // Each from the start: a rate over what was never there is none.
        for status in IncidentStatus::ALL {
            revisions.with_label_values(&[status.as_str()]);
        }
        let open = int_gauges(
            "millrace_open_incidents",
            "Incidents that are not over, those below their threshold too.",
            &["partition"],
        )?;
        let verdicts = counters(
            "millrace_verdicts_total",
            "Verdicts of alert_feedback that came while the service ran.",
            &["verdict"],
        )?;
        Ok(Self {
            revisions,
            verdicts,
            open,
        })
    }

    /// Counts what is told for the first time.
    pub(super) fn count(&self, told: &Told) {
        let status = record::status(&told.incident).as_str();
        self.revisions.with_label_values(&[status]).inc();
    }

    /// Counts a verdict.
    pub(super) fn verdict(&self, verdict: Verdict) {
        self.verdicts.with_label_values(&[verdict.as_str()]).inc();
    }

    /// The metrics of one partition.
    pub(super) fn partition(&self, partition: i32) -> PartitionMetrics {
        let label = partition.to_string();
        PartitionMetrics {
            incidents: 0,
            shown: self.open.with_label_values(&[&label]),
            open: self.open.clone(),
            label,
        }
    }
}

/// One partition's metrics; they go when its task does.
#[derive(Debug)]
pub struct PartitionMetrics {
    incidents: usize,
    shown: IntGauge,
    open: GenericGaugeVec<AtomicI64>,
    label: String,
}

impl PartitionMetrics {
    /// Shows how many incidents are not over, where that has changed.
    pub(super) fn show_open(&mut self, incidents: usize) {
        if self.incidents != incidents {
            self.incidents = incidents;
            self.shown.set(incidents as i64);
        }
    }
}

impl Drop for PartitionMetrics {
    fn drop(&mut self) {
        // Gone already where a new task of the same partition was dropped before: no error.
        let _ = self.open.remove_label_values(&[&self.label]);
    }
}
