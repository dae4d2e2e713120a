//! The sections of the configuration, with their defaults. Units are last in a name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The Kafka cluster.
    pub kafka: Kafka,
    /// The schema registry.
    pub schema_registry: SchemaRegistry,
    /// Elasticsearch.
    pub elasticsearch: Elasticsearch,
    /// Kibana.
    pub kibana: Kibana,
    /// Logs and the metrics endpoint.
    pub telemetry: Telemetry,
    /// The generator.
    pub producer: Producer,
    /// The aggregator.
    pub aggregator: Aggregator,
    /// The detector.
    pub detector: Detector,
    /// The Elasticsearch sink.
    pub elastic_sink: ElasticSink,
    /// Snapshots of operator state.
    pub snapshots: Snapshots,
}

/// The Kafka cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    /// Brokers, as `host:port,host:port`.
    pub bootstrap_servers: String,
    /// Put before every topic and group name and transactional id; empty in production, unique for each test.
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

/// The schema registry (the Confluent API).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}

impl Default for SchemaRegistry {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8081/apis/ccompat/v7".to_owned(),
            username: None,
            password: None,
            timeout_ms: 10_000,
        }
    }
}

/// Elasticsearch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
        }
    }
}

/// Kibana.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kibana {
    /// Address of its HTTP API.
    pub url: String,
}

impl Default for Kibana {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:5601".to_owned(),
        }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person at a terminal.
    Text,
}

/// Logs and the metrics endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Filter directives, as `info,millrace_kafka=debug`.
    pub log_level: String,
    /// JSON or text.
    pub log_format: LogFormat,
    /// Address that `/metrics` and `/health/*` bind; each service has its own port.
    pub bind_host: String,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            log_level: "info".to_owned(),
            log_format: LogFormat::Json,
            bind_host: "127.0.0.1".to_owned(),
        }
    }
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Avro in the Confluent framing.
    Avro,
    /// Plain JSON.
    Json,
}

/// The generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Producer {
    /// Port of `/metrics` and `/health/*`.
    pub metrics_port: u16,
    /// Transactions a second over all threads; 0 is as fast as it goes.
    pub rate_per_s: u64,
    /// Threads; 0 is one for each core.
    pub threads: usize,
    /// Avro or JSON.
    pub format: Format,
    /// Seed of the world and the stream: the same seed and thread count give the same stream.
    pub seed: u64,
    /// Number of users.
    pub users: u32,
    /// Number of merchants, drawn by Zipf's law.
    pub merchants: u32,
    /// Exponent of Zipf's law.
    pub zipf_exponent: f64,
    /// Share of transactions that refund an earlier purchase, 0 to 1.
    pub refund_share: f64,
    /// Share of transactions with an event time before that of the transactions sent before, 0 to 1.
    pub disorder_share: f64,
    /// How far back a disordered event time may be.
    pub max_disorder_ms: i64,
    /// Share of transactions sent twice, 0 to 1.
    pub duplicate_share: f64,
    /// Share of records that no consumer can decode, 0 to 1.
    pub malformed_share: f64,
    /// Share of transactions that belong to an injected fraud pattern, 0 to 1.
    pub fraud_share: f64,
    /// Folder of the ledger: what was acknowledged, for `millrace verify`.
    pub ledger_dir: PathBuf,
    /// librdkafka's `linger.ms`.
    pub linger_ms: u64,
    /// Further librdkafka properties of the producer.
    pub properties: BTreeMap<String, String>,
}

impl Default for Producer {
    fn default() -> Self {
        Self {
            metrics_port: 9101,
            rate_per_s: 1_000,
            threads: 0,
            format: Format::Avro,
            seed: 42,
            users: 100_000,
            merchants: 5_000,
            zipf_exponent: 1.0,
            refund_share: 0.03,
            disorder_share: 0.02,
            max_disorder_ms: 3_000,
            duplicate_share: 0.001,
            malformed_share: 0.0,
            fraud_share: 0.0005,
            ledger_dir: PathBuf::from(".millrace/ledger"),
            linger_ms: 20,
            properties: BTreeMap::new(),
        }
    }
}

/// What the worker loops of aggregator and detector share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// Worker threads, each a consumer of the group; 0 is one for each core.
    pub threads: usize,
    /// Longest time between two commits.
    pub commit_interval_ms: u64,
    /// Most input records in one transaction.
    pub max_batch_records: usize,
    /// Kafka's `transaction.timeout.ms`.
    pub transaction_timeout_ms: u64,
    /// Kafka's `session.timeout.ms`.
    pub session_timeout_ms: u64,
    /// How long the last commit and snapshots may take at a stop or rebalance; below `session_timeout_ms`.
    pub drain_timeout_ms: u64,
    /// How long a partition must have been at its end, by word of its leader, before its watermark advances without
    /// records.
    pub idle_timeout_ms: u64,
    /// Further librdkafka properties of the consumers.
    pub consumer_properties: BTreeMap<String, String>,
    /// Further librdkafka properties of the producers.
    pub producer_properties: BTreeMap<String, String>,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            threads: 0,
            commit_interval_ms: 100,
            max_batch_records: 100_000,
            transaction_timeout_ms: 30_000,
            session_timeout_ms: 45_000,
            drain_timeout_ms: 20_000,
            idle_timeout_ms: 15_000,
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
    /// How far an event time may be ahead of the broker's append time before the record goes to the DLQ.
    pub max_future_ms: i64,
}

impl Default for EventTime {
    fn default() -> Self {
        Self {
            max_disorder_ms: 5_000,
            max_future_ms: 60_000,
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
    /// Event time.
    pub event_time: EventTime,
    /// The worker loops.
    pub worker: Worker,
}

impl Default for Aggregator {
    fn default() -> Self {
        Self {
            metrics_port: 9102,
            window_ms: 60_000,
            allowed_lateness_ms: 0,
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
    /// Event time.
    pub event_time: EventTime,
    /// The worker loops.
    pub worker: Worker,
    /// The rules.
    pub rules: Rules,
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            metrics_port: 9103,
            dedup_horizon_ms: 120_000,
            event_time: EventTime::default(),
            worker: Worker::default(),
            rules: Rules::default(),
        }
    }
}

/// The fraud rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Too many or too much in a short time.
    pub velocity: VelocityRule,
    /// An amount far from the user's habit.
    pub amount_outlier: AmountOutlierRule,
    /// Two places too far apart for the time between.
    pub impossible_travel: ImpossibleTravelRule,
    /// The same transaction id with another payload.
    pub replay: ReplayRule,
}

/// Velocity: count and sum per user over a sliding span of event time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VelocityRule {
    /// Whether the rule runs.
    pub enabled: bool,
    /// The sliding span.
    pub span_ms: i64,
    /// More transactions than this in the span fire.
    pub max_count: u32,
    /// More than this multiple of the user's usual amount, summed over the span, fires.
    pub max_sum_ratio: f64,
}

impl Default for VelocityRule {
    fn default() -> Self {
        Self {
            enabled: true,
            span_ms: 60_000,
            max_count: 10,
            max_sum_ratio: 30.0,
        }
    }
}

/// Amount outlier: the logarithm of the amount against the user's exponentially weighted mean and variance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AmountOutlierRule {
    /// Whether the rule runs.
    pub enabled: bool,
    /// Weight of the newest amount, 0 to 1.
    pub smoothing: f64,
    /// Transactions of a user before the rule judges.
    pub min_transactions: u32,
    /// Standard deviations above the mean that fire.
    pub max_z_score: f64,
    /// The least standard deviation of a log-amount that is assumed, so that a regular user's small change does not fire.
    pub min_deviation: f64,
}

impl Default for AmountOutlierRule {
    fn default() -> Self {
        Self {
            enabled: true,
            smoothing: 0.1,
            min_transactions: 10,
            max_z_score: 4.5,
            min_deviation: 0.3,
        }
    }
}

/// Impossible travel: the great-circle speed between two card-present places.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImpossibleTravelRule {
    /// Whether the rule runs.
    pub enabled: bool,
    /// A higher speed fires; 1,000 km/h is faster than an airliner.
    pub max_speed_km_per_h: f64,
    /// Distances below this never fire.
    pub min_distance_km: f64,
}

impl Default for ImpossibleTravelRule {
    fn default() -> Self {
        Self {
            enabled: true,
            max_speed_km_per_h: 1_000.0,
            min_distance_km: 300.0,
        }
    }
}

/// Replay: a known transaction id with a changed payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayRule {
    /// Whether the rule runs.
    pub enabled: bool,
}

impl Default for ReplayRule {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// The Elasticsearch sink.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ElasticSink {
    /// Port of `/metrics` and `/health/*`.
    pub metrics_port: u16,
    /// Share of transactions that are indexed, 0 to 1, chosen by the transaction id so that a replay chooses the same.
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
    /// Longest pause before a retry. Retries go on until the server takes the items: an outage holds back the sink alone.
    pub retry_max_ms: u64,
    /// How long a stop waits for what is in flight.
    pub drain_timeout_ms: u64,
    /// Further librdkafka properties of the consumer.
    pub consumer_properties: BTreeMap<String, String>,
}

impl Default for ElasticSink {
    fn default() -> Self {
        Self {
            metrics_port: 9104,
            transaction_share: 0.01,
            bulk_bytes: 5_000_000,
            bulk_actions: 10_000,
            bulk_interval_ms: 500,
            bulks_in_flight: 3,
            retry_initial_ms: 100,
            retry_max_ms: 30_000,
            drain_timeout_ms: 20_000,
            consumer_properties: BTreeMap::new(),
        }
    }
}

/// Snapshots of operator state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Snapshots {
    /// Whether snapshots are taken; without them recovery replays the log.
    pub enabled: bool,
    /// Where they are kept: a directory, or a URL of an object store.
    pub url: PathBuf,
    /// Time between two snapshots of a partition.
    pub interval_ms: u64,
    /// How many of a partition are kept.
    pub keep: usize,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            enabled: true,
            url: PathBuf::from(".millrace/snapshots"),
            interval_ms: 5_000,
            keep: 3,
        }
    }
}
