//! The lake's sink.

use std::collections::BTreeMap;
use std::path::PathBuf;

use millrace_catalog::Service;
use serde::{Deserialize, Serialize};

use crate::redact::redacted_debug;

/// The lake's sink.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LakeSink {
    /// Whether `up` starts it, and `status` looks for it.
    pub enabled: bool,
    /// Port of `/metrics` and `/health/*`.
    pub metrics_port: u16,
    /// Names the process among all sinks, as [`super::Worker::instance`] does.
    pub instance: Option<String>,
    /// Where the files are kept: a directory, or a URL of an object store.
    pub url: PathBuf,
    /// Options of the object store, as [`super::Snapshots::store_options`].
    pub store_options: BTreeMap<String, String>,
    /// Files are written when rows of all partitions are this many …
    pub max_rows: usize,
    /// … or this many bytes …
    pub max_bytes: usize,
    /// … or the first of them is this old.
    pub max_age_ms: u64,
    /// First pause before a retry; doubles each time, with jitter.
    pub retry_initial_ms: u64,
    /// Longest pause before a retry. Retries go on until the store takes the files.
    pub retry_max_ms: u64,
    /// How long a stop waits for what is in flight.
    pub drain_timeout_ms: u64,
    /// Further librdkafka properties of the consumer.
    pub consumer_properties: BTreeMap<String, String>,
}

impl Default for LakeSink {
    fn default() -> Self {
        Self {
            enabled: false,
            metrics_port: Service::LakeSink.spec().port,
            instance: None,
            url: PathBuf::from(".millrace/lake"),
            store_options: BTreeMap::new(),
            max_rows: 250_000,
            max_bytes: 100_000_000,
            max_age_ms: 30_000,
            retry_initial_ms: 100,
            retry_max_ms: 30_000,
            drain_timeout_ms: 20_000,
            consumer_properties: BTreeMap::new(),
        }
    }
}

redacted_debug!(LakeSink);
