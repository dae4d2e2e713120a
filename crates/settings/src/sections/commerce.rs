//! A shop.

use millrace_catalog::Service;
use serde::{Deserialize, Serialize};

use super::worker::{EventTime, MisplacedRecords, Worker};

/// Revenue, sales of products, and how far sessions came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Commerce {
    /// Whether it is there: its topics, its jobs, its documents.
    pub enabled: bool,
    /// Port of `/metrics` and `/health/*`.
    pub metrics_port: u16,
    /// Size of the tumbling window of revenue and sales.
    pub window_ms: i64,
    /// Without an event for so long, a session is over.
    pub session_gap_ms: i64,
    /// How long after the watermark has passed its end a window still takes records, and how long
    /// sessions wait for them.
    pub allowed_lateness_ms: i64,
    /// Records that lie elsewhere than those of their user; not `rekey`.
    pub misplaced_records: MisplacedRecords,
    /// Event time.
    pub event_time: EventTime,
    /// The worker loops.
    pub worker: Worker,
}

impl Default for Commerce {
    fn default() -> Self {
        Self {
            enabled: false,
            metrics_port: Service::Commerce.spec().port,
            window_ms: 60_000,
            session_gap_ms: 1_800_000,
            allowed_lateness_ms: 0,
            misplaced_records: MisplacedRecords::Count,
            event_time: EventTime::default(),
            worker: Worker::default(),
        }
    }
}
