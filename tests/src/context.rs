//! What one test gets: settings that point at the shared stack with names of its own.

use std::path::{Path, PathBuf};

use anyhow::Result;
use millrace_settings::Settings;
use millrace_stack::Ports;
use tempfile::TempDir;

/// One test's settings and folder. Its topics, groups, transactional ids, schemas and indices have a prefix of their
/// own, so that tests run at once and a run beside another.
pub struct TestContext {
    /// Settings to start services with.
    pub settings: Settings,
    folder: TempDir,
}

impl TestContext {
    /// Settings for the test `name` on the stack at these addresses.
    ///
    /// # Errors
    /// No temporary folder can be made.
    pub fn new(
        name: &str,
        bootstrap_servers: &str,
        registry_url: &str,
        elasticsearch_url: &str,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("millrace-test-").tempdir()?;
        let tidy = name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        let prefix = format!("t{}-{tidy}-", std::process::id());
        let mut settings = Settings::default();
        settings.kafka.bootstrap_servers = bootstrap_servers.to_owned();
        settings.kafka.topic_prefix.clone_from(&prefix);
        settings.schema_registry.url = registry_url.to_owned();
        settings.elasticsearch.url = elasticsearch_url.to_owned();
        settings.elasticsearch.index_prefix = prefix;
        settings.snapshots.url = folder.path().join("snapshots");
        settings.producer.ledger_dir = folder.path().join("ledger");
        // Tests run at once, and so does a second run of them.
        let ports = Ports::free()?;
        [
            settings.producer.metrics_port,
            settings.aggregator.metrics_port,
            settings.detector.metrics_port,
        ] = ports.brokers;
        settings.elastic_sink.metrics_port = ports.registry;
        Ok(Self { settings, folder })
    }

    /// A path in the test's own folder.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }
}
