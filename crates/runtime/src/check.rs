//! What is wrong in a job's settings, before anything is waited for.

use millrace_kafka::client::{ConfigError, transactional_producer_config, worker_consumer_config};
use millrace_settings::{Kafka, Settings, Worker};

use crate::snapshot_store::SnapshotStore;

/// Checks what no wait can mend: a property that librdkafka does not know, or an address of
/// snapshots that is none, is wrong however long a registry or a cluster that is away is waited
/// for, so a service looks first of all.
///
/// # Errors
/// The key, and what is wrong with it.
pub fn check_settings(settings: &Settings, worker: &Worker) -> anyhow::Result<()> {
    check_clients(&settings.kafka, worker)?;
    Ok(SnapshotStore::check(&settings.snapshots)?)
}

fn check_clients(kafka: &Kafka, worker: &Worker) -> Result<(), ConfigError> {
    worker_consumer_config(kafka, worker, "check", "check")?;
    transactional_producer_config(kafka, worker, "check").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_property_is_named_before_anything_is_asked_for() {
        let wrong = |kafka: &[&str], consumer: &[&str], producer: &[&str]| {
            let of = |names: &[&str]| {
                names
                    .iter()
                    .map(|name| ((*name).to_owned(), "x".to_owned()))
                    .collect()
            };
            let kafka = Kafka {
                properties: of(kafka),
                ..Kafka::default()
            };
            let worker = Worker {
                consumer_properties: of(consumer),
                producer_properties: of(producer),
                ..Worker::default()
            };
            check_clients(&kafka, &worker).map_err(|error| error.to_string())
        };
        assert_eq!(wrong(&[], &[], &[]), Ok(()));
        for (checked, key) in [
            (
                wrong(&["ssl.ca.lokation"], &[], &[]),
                "kafka.properties.ssl.ca.lokation",
            ),
            (
                wrong(&[], &["fetch.mad"], &[]),
                "worker.consumer_properties.fetch.mad",
            ),
            (wrong(&[], &[], &["linger"]), "worker.producer_properties.linger"),
        ] {
            let error = checked.unwrap_err();
            assert!(error.starts_with(&format!("{key}: ")), "{error}");
        }
    }

    #[test]
    fn a_wrong_address_of_snapshots_is_named_before_anything_is_asked_for() {
        let mut settings = Settings::default();
        settings.snapshots.url = "ftp://backup/snapshots".into();
        let checked = check_settings(&settings, &settings.aggregator.worker);
        let error = checked.unwrap_err().to_string();
        assert!(error.starts_with("snapshots.url: "), "{error}");
        assert!(error.contains("ftp://backup/snapshots"), "{error}");
        settings.snapshots.enabled = false;
        check_settings(&settings, &settings.aggregator.worker).unwrap();
    }
}
