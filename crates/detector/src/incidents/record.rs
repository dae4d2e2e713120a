//! An incident as it is written.

use millrace_domain::{IncidentRecord, IncidentRule, IncidentStatus};
use millrace_incidents::{Closed, Incident, State, Told, Verdict};

/// What an incident is by its state.
pub(super) fn status(incident: &Incident) -> IncidentStatus {
    match incident.state {
        State::Growing => IncidentStatus::Growing,
        State::Open => IncidentStatus::Open,
        State::Closed(Closed::Quiet) => IncidentStatus::Quiet,
        State::Closed(Closed::Verdict(Verdict::Confirmed)) => IncidentStatus::Confirmed,
        State::Closed(Closed::Verdict(Verdict::FalseAlarm)) => IncidentStatus::Dismissed,
    }
}

/// The record of a revision.
#[must_use]
pub fn record(told: &Told) -> IncidentRecord {
    let incident = &told.incident;
    let rules = incident.rules.iter();
    IncidentRecord {
        id: incident.id,
        revision: incident.revision,
        typology: incident.typology.clone(),
        reason: incident.reason.to_string(),
        entity_type: told.entity_type,
        entity: incident.user.to_string(),
        status: status(incident),
        severity: incident.severity,
        score: incident.score,
        threshold: incident.threshold,
        opened_ms: incident.opened_ms,
        first_ms: incident.first_ms,
        last_ms: incident.last_ms,
        alerts: incident.alerts(),
        transactions: incident.transactions.count(),
        transaction_ids: incident.transactions.iter().copied().collect(),
        rules: rules
            .map(|(rule, count)| IncidentRule {
                rule: rule.to_string(),
                alerts: count.alerts,
                score: count.best_score,
            })
            .collect(),
    }
}
