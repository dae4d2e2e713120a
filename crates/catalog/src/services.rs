//! The services: their names, ports, and when they run.

use crate::{Installation, PIPELINES, When};

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// The generator.
    Producer,
    /// The aggregator.
    Aggregator,
    /// The detector.
    Detector,
    /// The Elasticsearch sink.
    ElasticSink,
    /// The job that rekeys, where the settings ask for it.
    Rekey,
    /// Ingestion over HTTP.
    Gateway,
    /// Page views and sessions.
    Clickstream,
    /// The lake's sink.
    LakeSink,
    /// Device minutes and alerts.
    Iot,
    /// The sink into Cassandra.
    CassandraSink,
    /// Revenue, sales of products and funnels.
    Commerce,
    /// Incidents of alerts.
    Incidents,
}

/// What is known of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceSpec {
    /// Its command, container, log, Prometheus job, and the name in its metrics.
    pub name: &'static str,
    /// Port of `/metrics` and `/health/*`, by default.
    pub port: u16,
    /// Port that others call it at, by default, beside that of its metrics.
    pub api_port: Option<u16>,
    /// Where it runs.
    pub when: When,
    /// What it does, in a line.
    pub about: &'static str,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 12] = [
        Self::Producer,
        Self::Aggregator,
        Self::Detector,
        Self::ElasticSink,
        Self::Rekey,
        Self::Gateway,
        Self::Clickstream,
        Self::LakeSink,
        Self::Iot,
        Self::CassandraSink,
        Self::Commerce,
        Self::Incidents,
    ];

    /// What is known of it.
    #[allow(clippy::too_many_lines, reason = "a row a service")]
    #[must_use]
    pub const fn spec(self) -> &'static ServiceSpec {
        match self {
            Self::Producer => &ServiceSpec {
                name: "producer",
                port: 9101,
                api_port: None,
                when: When::Always,
                about: "Generates transactions, or replays files of them",
            },
            Self::Aggregator => &ServiceSpec {
                name: "aggregator",
                port: 9102,
                api_port: None,
                when: When::Always,
                about: "Adds transactions up for each merchant, currency and minute, exactly once",
            },
            Self::Detector => &ServiceSpec {
                name: "detector",
                port: 9103,
                api_port: None,
                when: When::Always,
                about: "Raises an alert for each fraud pattern in a user's transactions, exactly once",
            },
            Self::ElasticSink => &ServiceSpec {
                name: "elastic-sink",
                port: 9104,
                api_port: None,
                when: When::Always,
                about: "Writes transactions, aggregates and anomalies to Elasticsearch",
            },
            Self::Rekey => &ServiceSpec {
                name: "rekey",
                port: 9105,
                api_port: None,
                when: When::Rekeyed,
                about: "Writes each transaction in one form into its user's partition, exactly once",
            },
            Self::Gateway => &ServiceSpec {
                name: "gateway",
                port: 9106,
                api_port: Some(8088),
                when: When::Enabled,
                about: "Takes records over HTTP, and answers once the brokers have acknowledged them",
            },
            Self::Clickstream => &ServiceSpec {
                name: "clickstream",
                port: 9107,
                api_port: None,
                when: When::Enabled,
                about: "Counts views and visitors of each page and minute, and makes sessions, exactly once",
            },
            Self::LakeSink => &ServiceSpec {
                name: "lake-sink",
                port: 9108,
                api_port: None,
                when: When::Enabled,
                about: "Writes transactions, aggregates and anomalies to the lake as Parquet, exactly once",
            },
            Self::Iot => &ServiceSpec {
                name: "iot",
                port: 9109,
                api_port: None,
                when: When::Enabled,
                about: "Adds readings up for each device and minute, and raises alerts of devices, exactly once",
            },
            Self::CassandraSink => &ServiceSpec {
                name: "cassandra-sink",
                port: 9110,
                api_port: None,
                when: When::Enabled,
                about: "Writes aggregates, anomalies and page views to Cassandra, by the questions asked of them",
            },
            Self::Commerce => &ServiceSpec {
                name: "commerce",
                port: 9111,
                api_port: None,
                when: When::Enabled,
                about: "Adds a shop's revenue and sales up for each minute, and follows sessions to a purchase, exactly once",
            },
            Self::Incidents => &ServiceSpec {
                name: "incidents",
                port: 9112,
                api_port: None,
                when: When::Enabled,
                about: "Makes one growing incident of a user's alerts of one kind, exactly once",
            },
        }
    }

    /// Those of an installation.
    pub fn of(installation: Installation) -> impl Iterator<Item = Self> {
        let runs = move |service: &Self| match service.spec().when {
            When::Enabled => installation.enables(*service),
            when => when.holds(installation.rekeys()),
        };
        Self::ALL.into_iter().filter(runs)
    }

    /// Whether it brings records in, so that a run without it has nothing new to read.
    #[must_use]
    pub const fn is_source(self) -> bool {
        matches!(self, Self::Producer | Self::Gateway)
    }

    /// The service of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    /// Its command, container, log, Prometheus job, and the name in its metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// Its section of the settings.
    #[must_use]
    pub fn section(self) -> String {
        self.name().replace('-', "_")
    }

    /// The consumer group of a service whose records are no job's, before any prefix.
    #[must_use]
    pub fn group(self) -> String {
        format!("millrace-{}", self.name())
    }

    /// Whether it runs exactly-once jobs.
    #[must_use]
    pub fn has_jobs(self) -> bool {
        let mut jobs = PIPELINES.iter().flat_map(|pipeline| pipeline.jobs);
        jobs.any(|job| job.service == self)
    }
}
