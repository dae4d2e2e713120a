//! The incidents of the topic, each as of its newest revision.

use std::cmp::Reverse;
use std::collections::HashMap;

use anyhow::{Context as _, bail};
use millrace_catalog::incidents::topic;
use millrace_domain::IncidentRecord;
use millrace_domain::codec::IncidentReader;
use millrace_kafka::log::TopicLog;
use millrace_kafka::topic_name;
use millrace_registry::SchemaFetcher;
use millrace_service::registry;
use millrace_settings::Settings;
use rdkafka::message::Message as _;

/// Reads the whole topic.
///
/// # Errors
/// Kafka or the registry do not answer, `init` has not run, or a record is no incident.
pub(super) async fn newest(settings: &Settings) -> anyhow::Result<Vec<IncidentRecord>> {
    let settings = settings.clone();
    let read = move || {
        let reader = IncidentReader::new(SchemaFetcher::new(registry::config(&settings.schema_registry)));
        let name = topic_name(&settings.kafka, topic::INCIDENTS);
        let mut newest = HashMap::new();
        TopicLog::open(&settings.kafka, name)?.read_new(|message| {
            let at = || {
                format!(
                    "{}-{} at {}",
                    message.topic(),
                    message.partition(),
                    message.offset()
                )
            };
            let incident = reader.read(message.payload().unwrap_or_default());
            take(&mut newest, incident.with_context(at)?);
            anyhow::Ok(())
        })?;
        anyhow::Ok(newest.into_values().collect())
    };
    tokio::task::spawn_blocking(read).await?
}

fn take(newest: &mut HashMap<[u8; 16], IncidentRecord>, incident: IncidentRecord) {
    let known = newest.get(incident.id.as_bytes());
    if known.is_none_or(|known| known.revision < incident.revision) {
        newest.insert(*incident.id.as_bytes(), incident);
    }
}

/// The worst first, of those the newest.
pub(super) fn sort(incidents: &mut [&IncidentRecord]) {
    incidents.sort_by_key(|incident| Reverse((incident.severity, incident.last_ms, incident.id)));
}

/// The incident whose id begins so.
///
/// # Errors
/// There is none, or there are several.
pub(super) fn find<'a>(incidents: &'a [IncidentRecord], id: &str) -> anyhow::Result<&'a IncidentRecord> {
    let id = id.to_ascii_lowercase();
    let begins = |incident: &&IncidentRecord| incident.id.to_string().starts_with(&id);
    let found: Vec<_> = incidents.iter().filter(begins).collect();
    match found[..] {
        [one] => Ok(one),
        [] => bail!("there is no incident {id:?}: `millrace alerts list --status all` tells which there are"),
        [first, second, ..] => bail!(
            "{} incidents have an id that begins with {id:?}, as {} and {}: give more of it",
            found.len(),
            first.id,
            second.id
        ),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use millrace_domain::{EntityType, IncidentRule, IncidentStatus, Severity, TransactionId};

    use super::*;

    pub(in super::super) fn incident(number: u128, severity: Severity, last_ms: i64) -> IncidentRecord {
        IncidentRecord {
            id: uuid::Uuid::from_u128(number),
            revision: 3,
            typology: "stolen_card".to_owned(),
            reason: "a card is used as its owner does not use it".to_owned(),
            entity_type: EntityType::User,
            entity: "u-1".to_owned(),
            status: IncidentStatus::Open,
            severity,
            score: 1.5,
            threshold: 1.0,
            opened_ms: 1_000,
            first_ms: 1_000,
            last_ms,
            alerts: 3,
            transactions: 2,
            transaction_ids: vec![
                TransactionId::from_bytes([7; 16]),
                TransactionId::from_bytes([8; 16]),
            ],
            rules: vec![IncidentRule {
                rule: "velocity".to_owned(),
                alerts: 3,
                score: Some(0.25),
            }],
        }
    }

    #[test]
    fn of_one_incident_the_highest_revision_is_taken() {
        let mut newest = HashMap::new();
        for revision in [1, 3, 2] {
            let of = incident(1, Severity::Low, 0);
            take(&mut newest, IncidentRecord { revision, ..of });
        }
        let revisions: Vec<_> = newest.values().map(|incident| incident.revision).collect();
        assert_eq!(revisions, [3]);
    }

    #[test]
    fn the_worst_come_first_and_of_them_the_newest() {
        let all = [
            incident(1, Severity::Low, 9),
            incident(2, Severity::High, 5),
            incident(3, Severity::High, 7),
        ];
        let mut sorted: Vec<_> = all.iter().collect();
        sort(&mut sorted);
        let times: Vec<_> = sorted.iter().map(|incident| incident.last_ms).collect();
        assert_eq!(times, [7, 5, 9]);
    }

    #[test]
    fn an_incident_is_found_by_the_beginning_of_its_id() {
        let all = [
            incident(0xab << 120, Severity::Low, 1),
            incident(0xac << 120, Severity::Low, 2),
        ];
        assert_eq!(find(&all, "AC").unwrap().last_ms, 2);
        let error = find(&all, "a").unwrap_err().to_string();
        assert!(error.starts_with("2 incidents have an id"), "{error}");
        let error = find(&all, "b").unwrap_err().to_string();
        assert!(error.contains("no incident \"b\""), "{error}");
    }
}
