//! What one test gets: settings that point at the shared stack with names of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use millrace_lab::chaos::Cluster;
use millrace_lab::harness::apart::set_apart;
use millrace_settings::Settings;
use millrace_stack::KafkaTools;
use tempfile::TempDir;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};

use crate::environment::Addresses;
use crate::secure::Secure;

/// One test's settings and folder. Its topics, groups, transactional ids, schemas and indices have
/// a prefix of their own, so that tests run at once and a run beside another.
pub struct TestContext {
    /// Settings to start services with.
    pub settings: Settings,
    /// The servers, to do faults to; only in a test that runs alone.
    pub cluster: Arc<dyn Cluster>,
    /// The brokers' listener with TLS and a login, where the stack has one.
    pub secure: Option<Secure>,
    /// Kafka's own tools, where the stack is of local processes that it has started.
    pub kafka_tools: Option<KafkaTools>,
    folder: TempDir,
    _held: Held,
}

/// The servers, held for the time of a test. Nothing is read: that it is held is all there is to
/// it.
#[allow(dead_code)]
pub enum Held {
    /// With other tests.
    Shared(OwnedRwLockReadGuard<()>),
    /// By this test alone.
    Alone(OwnedRwLockWriteGuard<()>),
}

impl TestContext {
    /// Settings for the test `name` on the stack at these addresses.
    ///
    /// # Errors
    /// No temporary folder can be made, or no port is free.
    pub fn new(name: &str, addresses: &Addresses, cluster: Arc<dyn Cluster>, held: Held) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("millrace-test-").tempdir()?;
        let tidy = name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        let mut settings = Settings::default();
        // Tests run at once, and so does a second run of them.
        let prefix = format!("t{}-{tidy}-", std::process::id());
        set_apart(&mut settings, &prefix, folder.path())?;
        // Batches that are due behind slow brokers keep librdkafka's threads busy
        // (docs/reliability.md), which makes a busy machine's brokers slower still.
        settings.producer.linger_ms = 200;
        // An answer to say that there is nothing, ten times a second for each consumer and broker,
        // was half of what the brokers did; where there is something, they answer at once.
        let is_patient = ("fetch.wait.max.ms".to_owned(), "500".to_owned());
        for properties in [
            &mut settings.aggregator.worker.consumer_properties,
            &mut settings.clickstream.worker.consumer_properties,
            &mut settings.commerce.worker.consumer_properties,
            &mut settings.detector.worker.consumer_properties,
            &mut settings.incidents.worker.consumer_properties,
            &mut settings.iot.worker.consumer_properties,
            &mut settings.rekey.worker.consumer_properties,
            &mut settings.elastic_sink.consumer_properties,
            &mut settings.lake_sink.consumer_properties,
            &mut settings.cassandra_sink.consumer_properties,
        ] {
            properties.extend([is_patient.clone()]);
        }
        settings
            .kafka
            .bootstrap_servers
            .clone_from(&addresses.bootstrap_servers);
        settings.schema_registry.url.clone_from(&addresses.registry_url);
        settings
            .elasticsearch
            .url
            .clone_from(&addresses.elasticsearch_url);
        Ok(Self {
            settings,
            cluster,
            secure: addresses.secure.clone(),
            kafka_tools: addresses.kafka_tools.clone(),
            folder,
            _held: held,
        })
    }

    /// A path in the test's own folder.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }
}
