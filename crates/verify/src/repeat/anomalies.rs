//! The anomalies of an undisturbed run, and how those on the topic differ from them.
//!
//! The detector is a function of its log: the log read once more from its start, by one task for
//! each partition and without a group, gives what a run gives that nothing ever disturbed.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use millrace_catalog::payments::topic;
use millrace_domain::codec::{AnomalyReader, DecodedAnomaly};
use millrace_domain::texts::InFlight;
use millrace_kafka::topic_name;
use millrace_registry::SchemaFetcher;
use millrace_runtime::{InputRecord, OutputRecord};
use millrace_service::registry;
use millrace_settings::Settings;
use millrace_telemetry::Shutdown;
use rdkafka::message::Message as _;

use super::Difference;
use crate::repeat::offline::{self, Collect};
use millrace_kafka::log::TopicLog;

/// Repeats the whole log of transactions and compares.
///
/// # Errors
/// The brokers or the registry are away.
pub async fn compare(settings: &Settings) -> Result<Difference> {
    let job = millrace_detector::prepare(settings, &Shutdown::new()).await?;
    let settings = settings.clone();
    tokio::task::spawn_blocking(move || {
        let reader = AnomalyReader::new(SchemaFetcher::new(registry::config(&settings.schema_registry)));
        let events = offline::events(&settings.kafka, &job)?;
        let mut undisturbed = Collected::default();
        offline::run(&settings.kafka, &job, &events, &mut undisturbed)?;
        let undisturbed = undisturbed.0.iter().map(|bytes| read(&reader, bytes));
        let undisturbed = undisturbed.collect::<Result<Vec<_>>>()?;
        let mut found = Vec::new();
        let mut log = TopicLog::open(&settings.kafka, topic_name(&settings.kafka, topic::ANOMALIES))?;
        log.read_new(|message| {
            found.push(read(&reader, message.payload().unwrap_or_default())?);
            anyhow::Ok(())
        })?;
        Ok(difference(undisturbed, found))
    })
    .await?
}

/// Without the time of detection, which is the clock's.
fn read(reader: &AnomalyReader, bytes: &[u8]) -> Result<DecodedAnomaly> {
    // Ids are compared by their hashes.
    let _round = InFlight::begin();
    Ok(DecodedAnomaly {
        detection_time_ms: 0,
        ..reader.read(bytes).context("an anomaly")?
    })
}

/// Keeps the values of what is sent.
#[derive(Debug, Default)]
struct Collected(Vec<Vec<u8>>);

impl Collect for Collected {
    fn sent(&mut self, _partition: i32, record: &OutputRecord<'_>) -> Result<()> {
        self.0.push(record.payload.to_vec());
        Ok(())
    }

    // The detector leaves bad records to the aggregator.
    fn dead_letter(&mut self, _record: &InputRecord<'_>, _code: &str) {}
}

fn difference(undisturbed: Vec<DecodedAnomaly>, found: Vec<DecodedAnomaly>) -> Difference {
    let mut difference = Difference {
        what: "anomalies".to_owned(),
        undisturbed: undisturbed.len() as u64,
        ..Difference::default()
    };
    // An anomaly whose id is there again is counted once more on the topic than in the undisturbed
    // run, or not.
    let mut expected: HashMap<_, Vec<DecodedAnomaly>> = HashMap::new();
    for anomaly in undisturbed {
        expected.entry(anomaly.id).or_default().push(anomaly);
    }
    for anomaly in found {
        match expected.get_mut(&anomaly.id) {
            None => difference.unexpected += 1,
            Some(left) => match left.pop() {
                None => difference.doubled += 1,
                Some(wanted) if wanted != anomaly => difference.different += 1,
                Some(_) => {}
            },
        }
    }
    difference.missing = expected.values().map(|left| left.len() as u64).sum();
    difference
}

#[cfg(test)]
mod tests {
    use millrace_domain::{EntityType, Severity, ShortId};
    use uuid::Uuid;

    use super::*;

    fn anomaly(number: u8, score: f64) -> DecodedAnomaly {
        DecodedAnomaly {
            id: Uuid::from_bytes([number; 16]),
            rule: "velocity".to_owned(),
            entity_type: EntityType::User,
            entity: ShortId::new("u1", "user").unwrap(),
            severity: Severity::Low,
            score,
            transaction_ids: Vec::new(),
            figures: Vec::new(),
            event_time_ms: 0,
            detection_time_ms: 0,
            rule_set_version: None,
            rule_revision: None,
            reason: None,
            reason_codes: Vec::new(),
        }
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        let undisturbed = || vec![anomaly(1, 0.5), anomaly(2, 0.5), anomaly(3, 0.5)];
        assert!(difference(undisturbed(), undisturbed()).is_none());
        let found = vec![anomaly(1, 0.5), anomaly(1, 0.5), anomaly(2, 0.6), anomaly(4, 0.5)];
        let expected = Difference {
            what: "anomalies".to_owned(),
            undisturbed: 3,
            missing: 1,
            unexpected: 1,
            different: 1,
            doubled: 1,
        };
        assert_eq!(difference(undisturbed(), found), expected);
    }
}
