//! What is counted of alerts.

use millrace_contract::Symbols as _;
use millrace_iot::{AlertKind, AlertStatus, DeviceNotice, Notice};
use millrace_telemetry::metrics::{MetricError, counters};
use prometheus::IntCounter;

/// Alerts by kind and status. What was said before a restart is not counted again.
#[derive(Debug, Clone)]
pub struct AlertMetrics([[IntCounter; 3]; 5]);

impl AlertMetrics {
    /// The metrics of the process.
    ///
    /// # Errors
    /// The name is taken by another metric.
    pub fn register() -> Result<Self, MetricError> {
        let alerts = counters(
            "millrace_device_alerts_total",
            "Starts and ends of devices' alerts.",
            &["kind", "status"],
        )?;
        let of = |kind: &AlertKind, status: &AlertStatus| {
            alerts.with_label_values(&[kind.as_str(), status.as_str()])
        };
        // Each from the start: a rate over what was never there is none.
        Ok(Self(std::array::from_fn(|kind| {
            std::array::from_fn(|status| of(&AlertKind::ALL[kind], &AlertStatus::ALL[status]))
        })))
    }

    /// Counts the alerts among what was said.
    pub(crate) fn count(&self, said: &[DeviceNotice]) {
        for said in said {
            if let Notice::Alert { kind, status, .. } = said.output {
                self.0[kind.index()][status.index()].inc();
            }
        }
    }
}
