//! What the commands about alerts print.

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use millrace_domain::{AlertFeedback, IncidentRecord, Verdict};
use serde::Serialize;

/// Letters of an id that a list shows: `show` takes them, where no other id begins so.
const SHORT_ID: usize = 8;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    id: String,
    revision: u64,
    status: &'static str,
    typology: String,
    reason: String,
    severity: &'static str,
    entity_type: &'static str,
    entity: String,
    score: f64,
    threshold: f64,
    opened_time: String,
    first_time: String,
    last_time: String,
    alerts: u64,
    transactions: u64,
    /// The first ten and the last ten.
    transaction_ids: Vec<String>,
    rules: Vec<Rule>,
    /// What was decided last; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided: Option<Decided>,
}

#[derive(Debug, Serialize)]
struct Decided {
    verdict: &'static str,
    author: String,
    reason: String,
    time: String,
}

#[derive(Debug, Serialize)]
struct Rule {
    rule: String,
    alerts: u64,
    score: Option<f64>,
}

impl Line {
    fn of(incident: &IncidentRecord, decided: Option<&AlertFeedback>) -> Self {
        let rules = incident.rules.iter();
        Self {
            id: incident.id.to_string(),
            revision: incident.revision,
            status: incident.status.as_str(),
            typology: incident.typology.clone(),
            reason: incident.reason.clone(),
            severity: incident.severity.as_str(),
            entity_type: incident.entity_type.as_str(),
            entity: incident.entity.clone(),
            score: incident.score,
            threshold: incident.threshold,
            opened_time: time(incident.opened_ms),
            first_time: time(incident.first_ms),
            last_time: time(incident.last_ms),
            alerts: incident.alerts,
            transactions: incident.transactions,
            transaction_ids: incident.transaction_ids.iter().map(ToString::to_string).collect(),
            rules: rules
                .map(|rule| Rule {
                    rule: rule.rule.clone(),
                    alerts: rule.alerts,
                    score: rule.score,
                })
                .collect(),
            decided: decided.map(|decided| Decided {
                verdict: decided.verdict.as_str(),
                author: decided.author.clone(),
                reason: decided.reason.clone(),
                time: time(decided.time_ms),
            }),
        }
    }
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// Incidents, a line each; `more` are left out.
///
/// # Errors
/// They cannot be written as JSON.
pub(super) fn list(incidents: &[&IncidentRecord], more: usize, json: bool) -> anyhow::Result<()> {
    if json {
        let lines: Vec<_> = incidents
            .iter()
            .map(|incident| Line::of(incident, None))
            .collect();
        say!("{}", serde_json::to_string_pretty(&lines)?);
        return Ok(());
    }
    if incidents.is_empty() {
        say!("none");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "incident", "status", "severity", "typology", "of", "alerts", "first", "last", "rules",
    ]);
    for incident in incidents {
        let rules: Vec<_> = incident.rules.iter().map(|rule| rule.rule.as_str()).collect();
        table.add_row([
            &incident.id.to_string()[..SHORT_ID],
            incident.status.as_str(),
            incident.severity.as_str(),
            &incident.typology,
            &format!("{} {}", incident.entity_type.as_str(), incident.entity),
            &incident.alerts.to_string(),
            &time(incident.first_ms),
            &time(incident.last_ms),
            &rules.join(", "),
        ]);
    }
    say!("{table}");
    if more > 0 {
        say!("{more} more: --limit shows them");
    }
    Ok(())
}

/// An incident with all that is known of it.
///
/// # Errors
/// It cannot be written as JSON.
pub(super) fn show(
    incident: &IncidentRecord,
    decided: Option<&AlertFeedback>,
    json: bool,
) -> anyhow::Result<()> {
    if json {
        say!("{}", serde_json::to_string_pretty(&Line::of(incident, decided))?);
        return Ok(());
    }
    say!("{}", text(incident, decided).trim_end());
    Ok(())
}

/// A verdict that was written.
pub(super) fn decided(incident: &IncidentRecord, verdict: Verdict, is_so: Option<bool>) {
    say!("incident {} is {} by your verdict", incident.id, verdict.as_str());
    match is_so {
        Some(true) => say!("its record says so"),
        Some(false) => say!(
            "its record does not say so yet: does the service incidents run, and is its last alert less than \
             7 days of event time ago?"
        ),
        None => {}
    }
}

fn text(incident: &IncidentRecord, decided: Option<&AlertFeedback>) -> String {
    let mut lines = vec![
        format!("incident {}, revision {}", incident.id, incident.revision),
        format!("  {}: {}", incident.typology, incident.reason),
        format!(
            "  {} {}, {}, severity {}",
            incident.entity_type.as_str(),
            incident.entity,
            incident.status.as_str(),
            incident.severity.as_str()
        ),
        format!("  score {} of {}", incident.score, incident.threshold),
        format!(
            "  {} alerts of {} transactions, from {} to {}",
            incident.alerts,
            incident.transactions,
            time(incident.first_ms),
            time(incident.last_ms)
        ),
    ];
    if let Some(decided) = decided {
        let (verdict, at) = (decided.verdict.as_str(), time(decided.time_ms));
        lines.push(format!(
            "  {verdict} by {} at {at}: {}",
            decided.author, decided.reason
        ));
    }
    for rule in &incident.rules {
        let score = rule
            .score
            .map_or_else(String::new, |score| format!(", highest score {score}"));
        lines.push(format!("  rule {}: {} alerts{score}", rule.rule, rule.alerts));
    }
    let shown = incident.transaction_ids.len();
    let is_cut = shown as u64 != incident.transactions;
    for (at, id) in incident.transaction_ids.iter().enumerate() {
        if is_cut && at == shown / 2 {
            lines.push(format!("  … {} between", incident.transactions - shown as u64));
        }
        lines.push(format!("  transaction {id}"));
    }
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use millrace_domain::Severity;

    use super::super::read::tests::incident;
    use super::*;

    #[test]
    fn an_incident_is_told_with_its_evidence() {
        let mut shown = incident(1, Severity::High, 2_000);
        let expected = "incident 00000000-0000-0000-0000-000000000001, revision 3\n  \
                        stolen_card: a card is used as its owner does not use it\n  \
                        user u-1, open, severity high\n  score 1.5 of 1\n  \
                        3 alerts of 2 transactions, from 1970-01-01T00:00:01Z to 1970-01-01T00:00:02Z\n  \
                        rule velocity: 3 alerts, highest score 0.25\n  \
                        transaction 07070707-0707-0707-0707-070707070707\n  \
                        transaction 08080808-0808-0808-0808-080808080808\n";
        assert_eq!(text(&shown, None), expected);
        shown.transactions = 12;
        let decided = AlertFeedback {
            incident: shown.id,
            verdict: Verdict::Dismissed,
            author: "ann".to_owned(),
            reason: "on holiday".to_owned(),
            time_ms: 3_000,
        };
        let told = text(&shown, Some(&decided));
        assert!(told.contains("\n  … 10 between\n  transaction 08"), "{told}");
        let verdict = "\n  dismissed by ann at 1970-01-01T00:00:03Z: on holiday\n";
        assert!(told.contains(verdict), "{told}");
    }
}
