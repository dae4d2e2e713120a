//! Incidents and campaigns as they are written.

use millrace_incidents::{Campaign, Closed, Incident, State, Verdict};
use serde::Serialize;

use super::time_text;

/// An incident or a campaign, as a line.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Line {
    Incident(IncidentLine),
    Campaign(CampaignLine),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IncidentLine {
    id: String,
    revision: u64,
    typology: String,
    reason: String,
    user_id: String,
    state: &'static str,
    score: f64,
    severity: &'static str,
    /// RFC 3339, UTC: event times of the first and the last alert.
    first_time: String,
    last_time: String,
    transactions: u64,
    /// The first ten and the last ten.
    transaction_ids: Vec<String>,
    amounts: Vec<Money>,
    /// At most 25.
    merchant_ids: Vec<String>,
    has_more_merchants: bool,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
struct Money {
    currency: String,
    amount: String,
}

#[derive(Debug, Serialize)]
struct Rule {
    rule: String,
    alerts: u64,
    score: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CampaignLine {
    id: String,
    revision: u64,
    typology: String,
    reason: String,
    merchant_id: String,
    state: &'static str,
    first_time: String,
    last_time: String,
    users: usize,
    user_ids: Vec<String>,
    has_more_users: bool,
}

impl Line {
    pub(super) fn of_incident(incident: &Incident) -> Self {
        Self::Incident(IncidentLine {
            id: incident.id.to_string(),
            revision: incident.revision,
            typology: incident.typology.clone(),
            reason: incident.reason.to_string(),
            user_id: incident.user.to_string(),
            state: match incident.state {
                State::Growing => "growing",
                State::Open => "open",
                State::Closed(Closed::Quiet) => "closed",
                State::Closed(Closed::Verdict(Verdict::Confirmed)) => "confirmed",
                State::Closed(Closed::Verdict(Verdict::FalseAlarm)) => "false_alarm",
            },
            score: incident.score,
            severity: incident.severity.as_str(),
            first_time: time_text(incident.first_ms),
            last_time: time_text(incident.last_ms),
            transactions: incident.transactions.count(),
            transaction_ids: incident.transactions.iter().map(ToString::to_string).collect(),
            amounts: incident
                .money
                .iter()
                .map(|(currency, sum)| Money {
                    currency: currency.to_string(),
                    amount: sum.to_string(),
                })
                .collect(),
            merchant_ids: incident.merchants.iter().map(str::to_owned).collect(),
            has_more_merchants: incident.merchants.has_more(),
            rules: incident
                .rules
                .iter()
                .map(|(rule, count)| Rule {
                    rule: rule.to_string(),
                    alerts: count.alerts,
                    score: count.best_score,
                })
                .collect(),
        })
    }

    pub(super) fn of_campaign(campaign: &Campaign) -> Self {
        Self::Campaign(CampaignLine {
            id: campaign.id.to_string(),
            revision: campaign.revision,
            typology: campaign.typology.clone(),
            reason: campaign.reason.to_string(),
            merchant_id: campaign.merchant.to_string(),
            state: if campaign.is_closed { "closed" } else { "open" },
            first_time: time_text(campaign.first_ms),
            last_time: time_text(campaign.last_ms),
            users: campaign.users.len(),
            user_ids: campaign.users.iter().map(str::to_owned).collect(),
            has_more_users: campaign.users.has_more(),
        })
    }
}
