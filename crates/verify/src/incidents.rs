//! Incidents, where they are enabled: the alerts in them against the anomalies.

use std::collections::{BTreeMap, HashMap};

use millrace_catalog::incidents::{INCIDENT_DOCUMENTS, INCIDENTS, PIPELINE, topic};
use millrace_catalog::payments::topic::ANOMALIES;
use millrace_domain::IncidentRecord;
use millrace_domain::codec::{AnomalyReader, IncidentReader};
use millrace_kafka::log::TopicLog;
use millrace_kafka::topic_name;
use millrace_registry::SchemaFetcher;
use millrace_service::registry;
use millrace_settings::Settings;
use rdkafka::message::Message as _;

use crate::check::{Check, Look, Verification, Waits, wait_for};
use crate::compare::INDEX;
use crate::elastic::{Index, Total};
use crate::repeat::job::{self, BY_TOPIC};
use crate::rows::Rows;

pub(crate) const VERIFICATION: Verification = Verification {
    pipeline: &PIPELINE,
    open: |settings| Ok(Box::new(Incidents::open(settings)?)),
    repeat: |settings| {
        let prepared = wait_for(millrace_detector::incidents::prepare(settings))?;
        job::while_still(settings, &prepared, || {
            job::compare(settings, &INCIDENTS, &prepared, BY_TOPIC, &job::whole)
        })
    },
};

/// An incident as of its newest revision.
struct Newest {
    revision: u64,
    typology: String,
    /// Alerts by rule.
    rules: Vec<(String, u64)>,
}

/// What was read of both topics.
#[derive(Default)]
struct Read {
    /// Anomalies by rule.
    anomalies: BTreeMap<String, u64>,
    incidents: HashMap<[u8; 16], Newest>,
    /// Revisions that came after the same one, or a higher one.
    doubled: u64,
}

struct Incidents {
    anomalies: (TopicLog, AnomalyReader),
    incidents: (TopicLog, IncidentReader),
    read: Read,
}

impl Incidents {
    fn open(settings: &Settings) -> anyhow::Result<Self> {
        let kafka = &settings.kafka;
        let open = |name: &str| TopicLog::open(kafka, topic_name(kafka, name));
        let fetcher = SchemaFetcher::new(registry::config(&settings.schema_registry));
        Ok(Self {
            anomalies: (open(ANOMALIES)?, AnomalyReader::new(fetcher.clone())),
            incidents: (open(topic::INCIDENTS)?, IncidentReader::new(fetcher)),
            read: Read::default(),
        })
    }
}

impl Check for Incidents {
    fn reads(&self) -> &'static str {
        "incidents"
    }

    fn waits_for(&self) -> Waits {
        Waits {
            jobs: vec![INCIDENTS.name],
            documents: vec![topic::INCIDENTS],
        }
    }

    fn look(&mut self, index: Option<&Index>) -> anyhow::Result<Look> {
        let total = |index: &Index| wait_for(index.total(&INCIDENT_DOCUMENTS, "alerts"));
        let indexed = index.map(total).transpose();
        let read = &mut self.read;
        let (log, reader) = &mut self.incidents;
        log.read_new(|message| {
            read.take(&reader.read(message.payload().unwrap_or_default())?);
            anyhow::Ok(())
        })?;
        let (log, reader) = &mut self.anomalies;
        log.read_new(|message| {
            let anomaly = reader.read(message.payload().unwrap_or_default())?;
            *read.anomalies.entry(anomaly.rule).or_default() += 1;
            anyhow::Ok(())
        })?;
        let logs = [&self.anomalies.0, &self.incidents.0];
        let mut is_cut = false;
        for log in logs {
            is_cut |= !log.extent()?.truncated.is_empty();
        }
        let found = indexed.as_ref().ok().copied().flatten();
        Ok(Look {
            rows: self.read.rows(is_cut, found).checks,
            unindexed: indexed.err(),
            ..Look::default()
        })
    }
}

impl Read {
    fn take(&mut self, incident: &IncidentRecord) {
        let rules = incident.rules.iter();
        let newest = Newest {
            revision: incident.revision,
            typology: incident.typology.clone(),
            rules: rules.map(|rule| (rule.rule.clone(), rule.alerts)).collect(),
        };
        let known = self.incidents.get(incident.id.as_bytes());
        match known.is_some_and(|known| known.revision >= newest.revision) {
            true => self.doubled += 1,
            false => _ = self.incidents.insert(*incident.id.as_bytes(), newest),
        }
    }

    /// Each anomaly is in one incident of each typology of its rule, and that is one at least.
    /// Where retention has cut either topic, nothing can be said of that.
    fn rows(&self, is_cut: bool, indexed: Option<Total>) -> Rows {
        let mut rows = Rows::new(false);
        let mut found: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for incident in self.incidents.values() {
            for (rule, alerts) in &incident.rules {
                *found.entry((rule, &incident.typology)).or_default() += alerts;
            }
        }
        let alerts: u64 = found.values().sum();
        let (mut wanted, mut beside) = (0, 0);
        for (rule, &anomalies) in &self.anomalies {
            let kinds = found.iter().filter(|((of, _), _)| of == rule);
            let kinds: Vec<u64> = kinds.map(|(_, alerts)| *alerts).collect();
            wanted += anomalies * kinds.len().max(1) as u64;
            // What is missing may still come; what is too much stays.
            beside += u64::from(kinds.iter().any(|&alerts| alerts > anomalies));
        }
        rows.info("incidents", self.incidents.len() as u64);
        if is_cut {
            rows.info("alerts in incidents, of topics cut by retention", alerts);
        } else {
            rows.count("alerts in incidents", wanted, 0, alerts);
            rows.never("rules with more alerts in incidents than anomalies", beside);
        }
        rows.never("revisions of incidents that are there twice", self.doubled);
        if let Some(total) = indexed {
            let incidents = self.incidents.len() as u64;
            let of = [
                (format!("{INDEX} incidents"), incidents, total.documents),
                (format!("{INDEX} alerts in incidents"), alerts, total.sum),
            ];
            for (row, wanted, found) in of {
                match is_cut {
                    true => rows.at_least(&row, wanted, found),
                    false => rows.count(&row, wanted, 0, found),
                }
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Verdict;

    /// Rules with a count each.
    type Counts<'a> = &'a [(&'a str, u64)];

    fn read(anomalies: Counts<'_>, incidents: &[(u8, &str, Counts<'_>)]) -> Read {
        let anomalies = anomalies.iter().map(|(rule, count)| ((*rule).to_owned(), *count));
        let incidents = incidents.iter().map(|(id, typology, rules)| {
            let rules = rules.iter().map(|(rule, alerts)| ((*rule).to_owned(), *alerts));
            let newest = Newest {
                revision: 1,
                typology: (*typology).to_owned(),
                rules: rules.collect(),
            };
            ([*id; 16], newest)
        });
        Read {
            anomalies: anomalies.collect(),
            incidents: incidents.collect(),
            doubled: 0,
        }
    }

    fn failed(read: &Read, is_cut: bool, indexed: Option<Total>) -> Vec<String> {
        let rows = read.rows(is_cut, indexed).checks.into_iter();
        rows.filter(|row| row.verdict != Verdict::Passed && row.verdict != Verdict::Info)
            .map(|row| row.check)
            .collect()
    }

    #[test]
    fn every_anomaly_is_in_one_incident_of_each_kind_of_its_rule() {
        let whole = read(
            &[("a", 3), ("b", 1)],
            &[
                (1, "x", &[("a", 2)]),
                (2, "x", &[("a", 1)]),
                (3, "y", &[("a", 3), ("b", 1)]),
            ],
        );
        let total = |documents, sum| Some(Total { documents, sum });
        assert_eq!(failed(&whole, false, total(3, 7)), [""; 0]);
        assert_eq!(failed(&whole, false, total(2, 7)), ["Elasticsearch: incidents"]);
        assert_eq!(
            failed(&whole, false, total(3, 6)),
            ["Elasticsearch: alerts in incidents"]
        );
        let missing = read(&[("a", 3)], &[(1, "x", &[("a", 2)])]);
        assert_eq!(failed(&missing, false, None), ["alerts in incidents"]);
        let nowhere = read(&[("a", 3), ("b", 1)], &[(1, "x", &[("a", 3)])]);
        assert_eq!(failed(&nowhere, false, None), ["alerts in incidents"]);
        let doubled = read(&[("a", 3)], &[(1, "x", &[("a", 4)])]);
        let more = "rules with more alerts in incidents than anomalies";
        assert_eq!(failed(&doubled, false, None), ["alerts in incidents", more]);
        assert_eq!(
            failed(&doubled, true, None),
            [""; 0],
            "retention has cut anomalies off"
        );
    }
}
