//! The Elasticsearch sink and the snapshots.

use std::collections::BTreeMap;
use std::path::PathBuf;

use millrace_catalog::Service;
use serde::{Deserialize, Serialize};

use crate::redact::redacted_debug;

/// The Elasticsearch sink.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ElasticSink {
    /// Port of `/metrics` and `/health/*`.
    pub metrics_port: u16,
    /// Names the process among all sinks, as [`super::Worker::instance`] does.
    pub instance: Option<String>,
    /// Share of transactions that are indexed, 0 to 1, chosen by the transaction id so that a
    /// replay chooses the same.
    pub transaction_share: f64,
    /// A bulk request is sent when it has this many bytes …
    pub bulk_bytes: usize,
    /// … or this many actions …
    pub bulk_actions: usize,
    /// … or is this old.
    pub bulk_interval_ms: u64,
    /// Bulk requests under way at once.
    pub bulks_in_flight: usize,
    /// First pause before a retry; doubles each time, with jitter.
    pub retry_initial_ms: u64,
    /// Longest pause before a retry. Retries go on until the server takes the items: an outage
    /// holds back the sink alone.
    pub retry_max_ms: u64,
    /// Bytes of records that may wait because the index of their month takes none, while others go
    /// on; at that many nothing more is read.
    pub set_aside_bytes: usize,
    /// So many documents that an index refuses one after the other are believed to be bad; more are
    /// the index's fault, and wait.
    pub refused_in_a_row: usize,
    /// How long a stop waits for what is in flight.
    pub drain_timeout_ms: u64,
    /// Further librdkafka properties of the consumer.
    pub consumer_properties: BTreeMap<String, String>,
}

impl Default for ElasticSink {
    fn default() -> Self {
        Self {
            metrics_port: Service::ElasticSink.spec().port,
            instance: None,
            transaction_share: 0.01,
            bulk_bytes: 5_000_000,
            bulk_actions: 10_000,
            bulk_interval_ms: 500,
            bulks_in_flight: 3,
            retry_initial_ms: 100,
            retry_max_ms: 30_000,
            set_aside_bytes: 50_000_000,
            refused_in_a_row: 20,
            drain_timeout_ms: 20_000,
            consumer_properties: BTreeMap::new(),
        }
    }
}

/// Snapshots of operator state.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Snapshots {
    /// Whether snapshots are taken; without them recovery replays the log.
    pub enabled: bool,
    /// Where they are kept: a directory, or a URL of an object store.
    pub url: PathBuf,
    /// Options of the object store, by the names of the `object_store` crate, as `aws_region`; they
    /// go before the variables of the cloud's own tools, as `AWS_REGION`.
    pub store_options: BTreeMap<String, String>,
    /// Least time between two snapshots of a partition: those of a large state are further apart.
    pub interval_ms: u64,
    /// How many of a partition are kept.
    pub keep: usize,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            enabled: true,
            url: PathBuf::from(".millrace/snapshots"),
            store_options: BTreeMap::new(),
            interval_ms: 5_000,
            keep: 3,
        }
    }
}

redacted_debug!(ElasticSink, Snapshots);
