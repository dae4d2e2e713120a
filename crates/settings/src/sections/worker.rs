//! The aggregator, the detector, the job that rekeys, and the worker loop and event time they
//! share.

use std::collections::BTreeMap;

use millrace_catalog::Service;
use millrace_contract::EventTimeLimits;
use serde::{Deserialize, Serialize};

use super::earliest::EarliestTime;
use super::emit::Emit;
use super::producer::Format;
use super::rules::{RuleBudget, Rules};
use crate::redact::redacted_debug;

/// What to do with a partition of which the log no longer has what a recovery needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostPosition {
    /// Stop with an error: a person decides.
    #[default]
    Stop,
    /// Go on from what is left, with what state can be had.
    Continue,
}

/// What becomes of a record that lies in another partition than murmur2 of its `userId` puts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MisplacedRecords {
    /// It is counted, warned of, and processed.
    #[default]
    Count,
    /// It goes to the dead-letter topic.
    DeadLetter,
    /// The job that rekeys writes it to `financial_transactions.keyed`, where it lies right, as it
    /// does with every other one; that topic is read.
    Rekey,
}

/// What the worker loops of aggregator and detector share.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// Names the process among all of its service, and has to stay the same over its restarts;
    /// `None` is host name and port of the metrics.
    pub instance: Option<String>,
    /// Worker threads, each a consumer of the group; 0 is one for each core.
    pub threads: usize,
    /// Time from a batch's first record to its commit, where somebody waits for what is in it. It
    /// is longer where the last commit took more than half of it, and a second where nobody waits:
    /// no outputs, or a backlog.
    pub commit_interval_ms: u64,
    /// Most input records in one transaction.
    pub max_batch_records: usize,
    /// Kafka's `transaction.timeout.ms`.
    pub transaction_timeout_ms: u64,
    /// Kafka's `session.timeout.ms`.
    pub session_timeout_ms: u64,
    /// How long the last commit and snapshots may take at a stop or rebalance; below
    /// `session_timeout_ms`.
    pub drain_timeout_ms: u64,
    /// How long a partition must have been at its end, by word of its leader, before its watermark
    /// advances without records.
    pub idle_timeout_ms: u64,
    /// What to do with a partition whose position was lost to retention.
    pub lost_position: LostPosition,
    /// Further librdkafka properties of the consumers.
    pub consumer_properties: BTreeMap<String, String>,
    /// Further librdkafka properties of the producers.
    pub producer_properties: BTreeMap<String, String>,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            instance: None,
            threads: 0,
            commit_interval_ms: 100,
            max_batch_records: 1_000_000,
            transaction_timeout_ms: 30_000,
            session_timeout_ms: 45_000,
            drain_timeout_ms: 20_000,
            idle_timeout_ms: 15_000,
            lost_position: LostPosition::Stop,
            consumer_properties: BTreeMap::new(),
            producer_properties: BTreeMap::new(),
        }
    }
}

/// Event time, for every operator on transactions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventTime {
    /// How far a partition's watermark stays behind its highest event time.
    pub max_disorder_ms: i64,
    /// How far an event time may be ahead of the broker's append time before the record goes to the
    /// DLQ.
    pub max_future_ms: i64,
    /// The earliest event time; a record from before goes to the DLQ.
    pub earliest_time: EarliestTime,
}

impl EventTime {
    /// The bounds on the event times of a stream.
    #[must_use]
    pub fn limits(&self) -> EventTimeLimits {
        EventTimeLimits {
            earliest_ms: Some(self.earliest_time.ms()),
            max_future_ms: self.max_future_ms,
        }
    }
}

impl Default for EventTime {
    fn default() -> Self {
        Self {
            max_disorder_ms: 5_000,
            max_future_ms: 60_000,
            earliest_time: EarliestTime::default(),
        }
    }
}

/// The aggregator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Aggregator {
    /// Port of `/metrics` and `/health/*`.
    pub metrics_port: u16,
    /// Size of the tumbling window.
    pub window_ms: i64,
    /// How long after the watermark has passed its end a window still takes records.
    pub allowed_lateness_ms: i64,
    /// When results come out.
    pub emit: Emit,
    /// Records that lie elsewhere than those of their user.
    pub misplaced_records: MisplacedRecords,
    /// Event time.
    pub event_time: EventTime,
    /// The worker loops.
    pub worker: Worker,
}

impl Default for Aggregator {
    fn default() -> Self {
        Self {
            metrics_port: Service::Aggregator.spec().port,
            window_ms: 60_000,
            allowed_lateness_ms: 0,
            emit: Emit::OnClose,
            misplaced_records: MisplacedRecords::Count,
            event_time: EventTime::default(),
            worker: Worker::default(),
        }
    }
}

/// The detector. Rules have their own section each, with the rule's standard name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detector {
    /// Port of `/metrics` and `/health/*`.
    pub metrics_port: u16,
    /// How long a transaction id is remembered, in event time.
    pub dedup_horizon_ms: i64,
    /// Records that lie elsewhere than those of their user.
    pub misplaced_records: MisplacedRecords,
    /// Event time.
    pub event_time: EventTime,
    /// The worker loops.
    pub worker: Worker,
    /// The rules.
    pub rules: Rules,
    /// What the rules of files may cost.
    pub budget: RuleBudget,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            metrics_port: Service::Detector.spec().port,
            dedup_horizon_ms: 120_000,
            misplaced_records: MisplacedRecords::Count,
            event_time: EventTime::default(),
            worker: Worker::default(),
            rules: Rules::default(),
            budget: RuleBudget::default(),
        }
    }
}

/// The job that rekeys. It runs where `misplaced_records` of the aggregator and the detector is
/// `rekey`, and goes by the aggregator's event time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rekey {
    /// Port of `/metrics` and `/health/*`.
    pub metrics_port: u16,
    /// How values are written.
    pub format: Format,
    /// How far one partition's event time may be ahead of another's that has more to read.
    pub max_skew_ms: i64,
    /// The worker loops. More than one thread keeps the skew only as long as nothing is killed:
    /// each commits by itself, and what one had read comes again behind what another has committed.
    pub worker: Worker,
}

impl Default for Rekey {
    fn default() -> Self {
        Self {
            metrics_port: Service::Rekey.spec().port,
            format: Format::Avro,
            max_skew_ms: 1_000,
            worker: Worker {
                threads: 1,
                ..Worker::default()
            },
        }
    }
}

redacted_debug!(Worker);
