//! The sink into Cassandra.

use std::collections::BTreeMap;

use millrace_catalog::Service;
use serde::{Deserialize, Serialize};

use crate::redact::redacted_debug;

/// How many replicas must have a write, or be asked by a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// One of the local data centre.
    LocalOne,
    /// Most of the local data centre's.
    LocalQuorum,
    /// Most of each data centre's.
    EachQuorum,
}

/// The sink into Cassandra.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CassandraSink {
    /// Whether `up` starts it with a node of Cassandra, and `status` looks for it.
    pub enabled: bool,
    /// Port of `/metrics` and `/health/*`.
    pub metrics_port: u16,
    /// Names the process among all sinks, as [`super::Worker::instance`] does.
    pub instance: Option<String>,
    /// Some nodes of the cluster, as `host:port,host:port`.
    pub contact_points: String,
    /// The login, where the cluster wants one.
    pub username: Option<String>,
    /// The password to `username`.
    pub password: Option<String>,
    /// The data centre whose nodes are written to; any, where there is but one.
    pub local_datacenter: Option<String>,
    /// The keyspace of the tables; made where it is not there.
    pub keyspace: String,
    /// Replicas of a row in the data centre, of a keyspace that is made.
    pub replication_factor: u32,
    /// How many replicas must have a write.
    pub consistency: Consistency,
    /// Days that a row is kept, from its window or event on; 0 is for ever.
    pub keep_days: u32,
    /// Requests under way at once.
    pub requests_in_flight: usize,
    /// How long one request may take.
    pub request_timeout_ms: u64,
    /// Rows are written when there are this many …
    pub max_rows: usize,
    /// … or this many bytes of them …
    pub max_bytes: usize,
    /// … or the first of them is this old.
    pub max_age_ms: u64,
    /// Bytes of records that may wait because their table takes none, while others go on; at that
    /// many nothing more is read.
    pub set_aside_bytes: usize,
    /// First pause before a retry; doubles each time, with jitter.
    pub retry_initial_ms: u64,
    /// Longest pause before a retry. Retries go on until the cluster takes the rows.
    pub retry_max_ms: u64,
    /// How long a stop waits for what is in flight.
    pub drain_timeout_ms: u64,
    /// Further librdkafka properties of the consumer.
    pub consumer_properties: BTreeMap<String, String>,
}

impl Default for CassandraSink {
    fn default() -> Self {
        Self {
            enabled: false,
            metrics_port: Service::CassandraSink.spec().port,
            instance: None,
            contact_points: "127.0.0.1:9042".to_owned(),
            username: None,
            password: None,
            local_datacenter: None,
            keyspace: "millrace".to_owned(),
            replication_factor: 1,
            consistency: Consistency::LocalQuorum,
            keep_days: 90,
            requests_in_flight: 256,
            request_timeout_ms: 10_000,
            max_rows: 2_000,
            max_bytes: 2_000_000,
            max_age_ms: 200,
            set_aside_bytes: 50_000_000,
            retry_initial_ms: 100,
            retry_max_ms: 30_000,
            drain_timeout_ms: 20_000,
            consumer_properties: BTreeMap::new(),
        }
    }
}

redacted_debug!(CassandraSink);
