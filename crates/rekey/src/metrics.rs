//! The job's own metrics.

use millrace_kafka::placement::Reason;
use millrace_telemetry::metrics::{MetricError, counters};
use prometheus::IntCounter;

/// What the job counts.
#[derive(Debug, Clone)]
pub struct RekeyMetrics {
    moved: [IntCounter; Reason::ALL.len()],
    left_out: IntCounter,
}

impl RekeyMetrics {
    /// The metrics of the job.
    ///
    /// # Errors
    /// A name is taken by another metric.
    pub fn new(job: &'static str) -> Result<Self, MetricError> {
        let moved = counters(
            "millrace_rekeyed_records_total",
            "Records that lay in another partition than that of their user and were put there, by what their key told.",
            &["operator", "reason"],
        )?;
        let left_out = counters(
            "millrace_headers_left_out_total",
            "Records whose headers were too large to be kept; their names are in the header truncated.headers.",
            &["operator"],
        )?;
        Ok(Self {
            moved: Reason::ALL.map(|reason| moved.with_label_values(&[job, reason.as_str()])),
            left_out: left_out.with_label_values(&[job]),
        })
    }

    pub(crate) fn moved(&self, reason: Reason) {
        self.moved[reason as usize].inc();
    }

    pub(crate) fn headers_left_out(&self) {
        self.left_out.inc();
    }
}
