//! The generator.

use std::collections::BTreeMap;
use std::path::PathBuf;

use millrace_catalog::Service;
use serde::{Deserialize, Serialize};

use crate::redact::redacted_debug;

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
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Producer {
    /// Port of `/metrics` and `/health/*`.
    pub metrics_port: u16,
    /// Transactions a second over all threads; 0 is as fast as it goes.
    pub rate_per_s: u64,
    /// Clicks a second, where the clickstream is enabled; 0 is none.
    pub clicks_per_s: u64,
    /// Readings of devices a second, where they are enabled; 0 is none.
    pub iot_per_s: u64,
    /// Events of a shop a second, where it is enabled; 0 is none.
    pub commerce_per_s: u64,
    /// Devices that give readings, in turn.
    pub devices: u32,
    /// Threads; 0 is one for each 400,000 transactions a second and no more than cores, and one
    /// alone in simulated time.
    pub threads: usize,
    /// Avro or JSON.
    pub format: Format,
    /// Seed of the world and the stream: the same seed and thread count give the same stream, but
    /// for its ids.
    pub seed: u64,
    /// Whether the ids are the same too. Else each run's are its own, and begin with the end of its
    /// name.
    pub repeatable: bool,
    /// Number of users.
    pub users: u32,
    /// Number of merchants, drawn by Zipf's law.
    pub merchants: u32,
    /// Exponent of Zipf's law.
    pub zipf_exponent: f64,
    /// Share of transactions that refund an earlier purchase, 0 to 1.
    pub refund_share: f64,
    /// Share of transactions with an event time before that of the transactions sent before, 0
    /// to 1.
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
    /// librdkafka's `linger.ms`; at high rates the generator's is longer.
    pub linger_ms: u64,
    /// Further librdkafka properties of the producer.
    pub properties: BTreeMap<String, String>,
}

impl Producer {
    /// The folder of the ledgers of clicks, below that of the transactions'.
    #[must_use]
    pub fn clicks_ledger_dir(&self) -> PathBuf {
        self.ledger_dir.join("clickstream")
    }

    /// The folder of the ledgers of readings, below that of the transactions'.
    #[must_use]
    pub fn iot_ledger_dir(&self) -> PathBuf {
        self.ledger_dir.join("iot")
    }

    /// The folder of the ledgers of a shop's events, below that of the transactions'.
    #[must_use]
    pub fn commerce_ledger_dir(&self) -> PathBuf {
        self.ledger_dir.join("commerce")
    }
}

impl Default for Producer {
    fn default() -> Self {
        Self {
            metrics_port: Service::Producer.spec().port,
            rate_per_s: 1_000,
            clicks_per_s: 200,
            iot_per_s: 150,
            commerce_per_s: 1,
            devices: 1_000,
            threads: 0,
            format: Format::Avro,
            seed: 42,
            repeatable: false,
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

redacted_debug!(Producer);
