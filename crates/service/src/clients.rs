//! What a service's Kafka clients are made of, before anything is waited for.

use millrace_kafka::client::{ConfigError, transactional_producer_config, worker_consumer_config};
use millrace_settings::{Kafka, Worker};

/// Checks the properties of a worker's clients. A property that librdkafka does not know is wrong
/// however long a registry or a cluster that is away is waited for, so a service looks first of
/// all.
///
/// # Errors
/// The property, by its key, and what is wrong with it.
pub fn check_clients(kafka: &Kafka, worker: &Worker) -> Result<(), ConfigError> {
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
}
