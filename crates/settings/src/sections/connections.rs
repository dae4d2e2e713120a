//! What the services connect to: Kafka, the schema registry, Elasticsearch and Kibana.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::redact::redacted_debug;

/// The Kafka cluster.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    /// Brokers, as `host:port,host:port`.
    pub bootstrap_servers: String,
    /// Put before every topic and group name and transactional id; empty in production, unique for
    /// each test.
    pub topic_prefix: String,
    /// Replication factor of the topics that `init` creates.
    pub replication_factor: i32,
    /// `min.insync.replicas` of those topics.
    pub min_insync_replicas: i32,
    /// Retention of topics that are not compacted.
    pub retention_ms: i64,
    /// Further librdkafka properties for every client, as `security.protocol: SASL_SSL`.
    pub properties: BTreeMap<String, String>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            bootstrap_servers: "127.0.0.1:19092,127.0.0.1:29092,127.0.0.1:39092".to_owned(),
            topic_prefix: String::new(),
            replication_factor: 3,
            min_insync_replicas: 2,
            retention_ms: 7 * 24 * 3_600_000,
            properties: BTreeMap::new(),
        }
    }
}

/// How a connection over `https` trusts, and what it shows of itself. The system's trust store
/// holds in any case.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// A PEM file with authorities to trust beside the system's.
    pub ca_file: Option<String>,
    /// A PEM file with the client's own certificate; with `key_file`.
    pub certificate_file: Option<String>,
    /// A PEM file with that certificate's private key.
    pub key_file: Option<String>,
}

/// The schema registry (the Confluent API).
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SchemaRegistry {
    /// Base address of the Confluent-compatible API.
    pub url: String,
    /// Basic authentication, where the registry wants it.
    pub username: Option<String>,
    /// The password to `username`.
    pub password: Option<String>,
    /// How long one call may take.
    pub timeout_ms: u64,
    /// For an address with `https`.
    pub tls: Tls,
}

impl Default for SchemaRegistry {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8081/apis/ccompat/v7".to_owned(),
            username: None,
            password: None,
            timeout_ms: 10_000,
            tls: Tls::default(),
        }
    }
}

/// Elasticsearch.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Elasticsearch {
    /// Address of the HTTP API.
    pub url: String,
    /// Basic authentication, where the server wants it.
    pub username: Option<String>,
    /// The password to `username`.
    pub password: Option<String>,
    /// An API key in place of a user.
    pub api_key: Option<String>,
    /// Put before every index and template name; empty in production, unique for each test.
    pub index_prefix: String,
    /// Primary shards of each index.
    pub shards: u32,
    /// Replicas of each index; 0 on one node.
    pub replicas: u32,
    /// Days after which lifecycle management deletes an index, where the server has it.
    pub retention_days: u32,
    /// How long one call may take.
    pub timeout_ms: u64,
    /// For an address with `https`.
    pub tls: Tls,
}

impl Default for Elasticsearch {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:9200".to_owned(),
            username: None,
            password: None,
            api_key: None,
            index_prefix: String::new(),
            shards: 1,
            replicas: 0,
            retention_days: 90,
            timeout_ms: 30_000,
            tls: Tls::default(),
        }
    }
}

/// Kibana.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kibana {
    /// Address of its HTTP API.
    pub url: String,
    /// Basic authentication, where Kibana wants it.
    pub username: Option<String>,
    /// The password to `username`.
    pub password: Option<String>,
    /// For an address with `https`.
    pub tls: Tls,
}

impl Default for Kibana {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:5601".to_owned(),
            username: None,
            password: None,
            tls: Tls::default(),
        }
    }
}

redacted_debug!(Kafka, SchemaRegistry, Elasticsearch, Kibana);
