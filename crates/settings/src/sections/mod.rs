//! The sections of the configuration, with their defaults. Units are last in a name.

mod cassandra_sink;
mod clickstream;
mod commerce;
mod connections;
mod earliest;
mod elastic_sink;
mod emit;
mod gateway;
mod incidents;
mod iot;
mod lake_sink;
mod producer;
mod rules;
mod services;
mod sink;
mod snapshots;
mod stream;
mod telemetry;
mod worker;

use serde::{Deserialize, Serialize};

pub use cassandra_sink::{CassandraSink, Consistency};
pub use clickstream::Clickstream;
pub use commerce::Commerce;
pub use connections::{Elasticsearch, Kafka, Kibana, SchemaRegistry, Tls};
pub use earliest::EarliestTime;
pub use elastic_sink::ElasticSink;
pub use emit::Emit;
pub use gateway::{Gateway, KeyHash, KeyHashError};
pub use incidents::Incidents;
pub use iot::{Alerts, Iot};
pub use lake_sink::LakeSink;
pub use producer::{Format, Producer};
pub use rules::{RuleBudget, Rules};
pub use sink::SinkLoop;
pub use snapshots::Snapshots;
pub use stream::StreamJobs;
pub use telemetry::{LogFormat, Telemetry};
pub use worker::{Aggregator, Detector, EventTime, LostPosition, MisplacedRecords, Rekey, Worker};

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
    /// The job that rekeys.
    pub rekey: Rekey,
    /// Ingestion over HTTP.
    pub gateway: Gateway,
    /// Page views and sessions.
    pub clickstream: Clickstream,
    /// Device minutes and alerts.
    pub iot: Iot,
    /// Revenue, sales of products, and how far sessions came.
    pub commerce: Commerce,
    /// Incidents of alerts.
    pub incidents: Incidents,
    /// The Elasticsearch sink.
    pub elastic_sink: ElasticSink,
    /// The lake's sink.
    pub lake_sink: LakeSink,
    /// The sink into Cassandra.
    pub cassandra_sink: CassandraSink,
    /// Snapshots of operator state.
    pub snapshots: Snapshots,
}

impl Settings {
    /// Whether transactions are rekeyed before the other jobs read them.
    #[must_use]
    pub fn rekeys(&self) -> bool {
        self.aggregator.misplaced_records == MisplacedRecords::Rekey
    }
}
