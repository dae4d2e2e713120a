//! Incidents, where they are enabled: what the alerts of payments are, one growing document for
//! each user and kind of fraud.

use millrace_domain::{IncidentRecord, schema};

use crate::payments::topic::ANOMALIES;
use crate::{
    DeadLetterOwner, DocumentSpec, JobSpec, Pipeline, Retention, RowsSpec, Service, StreamSpec, When, Writer,
};

/// The names of its topics, before any prefix.
pub mod topic {
    /// Incidents, a record a revision, keyed by their id.
    pub const INCIDENTS: &str = "fraud_incidents";
    /// What analysts have decided on incidents, keyed by the incident's id.
    pub const FEEDBACK: &str = "alert_feedback";
}

/// The pipeline.
pub const PIPELINE: Pipeline = Pipeline {
    name: "incidents",
    enabled_by: Some(Service::Incidents),
    streams: &[
        StreamSpec {
            value_schema: Some(schema::INCIDENT),
            commands: &["alerts"],
            dead_letters: &[DeadLetterOwner {
                when: When::Always,
                name: Service::ElasticSink.name(),
            }],
            ..StreamSpec::of_jobs(topic::INCIDENTS, 3)
        },
        StreamSpec {
            retention: Retention::Compacted,
            value_schema: Some(schema::ALERT_FEEDBACK),
            writer: Writer::Command("alerts"),
            commands: &["alerts"],
            ..StreamSpec::of_jobs(topic::FEEDBACK, 1)
        },
    ],
    jobs: &[INCIDENTS],
    documents: &[INCIDENT_DOCUMENTS],
    rows: &[RowsSpec::lake_bodies::<IncidentRecord>(
        topic::INCIDENTS,
        "incidents",
        "openedTime",
    )],
};

/// Incidents of alerts.
pub const INCIDENTS: JobSpec = JobSpec {
    name: "incidents",
    service: Service::Incidents,
    when: When::Always,
    input: ANOMALIES,
    control: "fraud_incidents.control",
    control_in_place: None,
    writes: &[topic::INCIDENTS],
};

/// Incidents.
pub const INCIDENT_DOCUMENTS: DocumentSpec = DocumentSpec {
    stream: topic::INCIDENTS,
    service: Service::ElasticSink,
    index: "millrace-incidents",
    mapping: include_str!("../mappings/incidents.json"),
};
