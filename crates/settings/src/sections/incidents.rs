//! Incidents of alerts.

use millrace_catalog::Service;
use serde::{Deserialize, Serialize};

use super::worker::Worker;

/// Incidents of alerts. Event time is the detector's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Incidents {
    /// Whether they are there: their topic, their job, their documents.
    pub enabled: bool,
    /// Port of `/metrics` and `/health/*`.
    pub metrics_port: u16,
    /// The file of typologies; the shipped ones where there is none.
    pub typologies: Option<String>,
    /// The worker loops.
    pub worker: Worker,
}

impl Default for Incidents {
    fn default() -> Self {
        Self {
            enabled: false,
            metrics_port: Service::Incidents.spec().port,
            typologies: None,
            worker: Worker::default(),
        }
    }
}
