//! An incident's rules, silent about its user for a while: what else a false alarm calls for.

use std::process::ExitCode;

use anyhow::{anyhow, bail, ensure};
use clap::Args;
use millrace_domain::{EntityType, IncidentRecord, ListKey, ListPurpose, ListedKind};
use millrace_settings::Settings;

use super::read;
use crate::lists::{self, Terms};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The incident's id, or the beginning of it that no other has
    #[arg(value_name = "INCIDENT")]
    id: String,
    /// Of its rules this alone; each by a --rule of its own, and all if none is given
    #[arg(long = "rule", value_name = "RULE")]
    rules: Vec<String>,
    #[command(flatten)]
    terms: Terms,
}

/// Snoozes rules of an incident about its user, all of them or none.
///
/// # Errors
/// Kafka or the registry do not answer, `init` has not run, there is no such incident, or it is not
/// of a user, or not of a rule that is named: then nothing is written.
pub(super) async fn snooze(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    options.terms.must_end()?;
    let incidents = read::newest(settings).await?;
    let keys = keys(read::find(&incidents, &options.id)?, &options.rules)?;
    lists::put(settings, keys, &options.terms).await
}

/// What is snoozed: the `named` rules of an incident, or all of them, about its user.
fn keys(incident: &IncidentRecord, named: &[String]) -> anyhow::Result<Vec<ListKey>> {
    ensure!(
        incident.entity_type == EntityType::User,
        "incident {} is of the {} {}, and a rule is snoozed about a user: `millrace rules pause` stops one for all",
        incident.id,
        incident.entity_type.as_str(),
        incident.entity
    );
    let fired = || incident.rules.iter().map(|rule| rule.rule.as_str());
    if let Some(other) = named.iter().find(|name| !fired().any(|rule| rule == **name)) {
        let fired: Vec<_> = fired().collect();
        bail!(
            "the rule {other:?} has not fired in incident {}: {} have",
            incident.id,
            fired.join(", ")
        );
    }
    fired()
        .filter(|rule| named.is_empty() || named.iter().any(|name| name == rule))
        .map(|rule| {
            lists::key(
                ListPurpose::Snooze,
                rule,
                ListedKind::User.as_str(),
                &incident.entity,
            )
        })
        .collect::<Result<_, _>>()
        .map_err(|error| anyhow!(error))
}

#[cfg(test)]
mod tests {
    use millrace_domain::{IncidentRule, Severity};

    use super::super::read::tests::incident;
    use super::*;

    fn of(named: &[&str], entity_type: EntityType) -> Result<Vec<String>, String> {
        let mut incident = incident(1, Severity::High, 2_000);
        incident.entity_type = entity_type;
        incident.rules.push(IncidentRule {
            rule: "new_place".to_owned(),
            alerts: 1,
            score: None,
        });
        let named: Vec<_> = named.iter().map(|name| (*name).to_owned()).collect();
        let keys = keys(&incident, &named).map_err(|error| error.to_string())?;
        Ok(keys.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_rules_that_fired_are_snoozed_about_its_user() {
        let all = ["snooze/velocity/user/u-1", "snooze/new_place/user/u-1"];
        assert_eq!(of(&[], EntityType::User).unwrap(), all);
        assert_eq!(of(&["new_place"], EntityType::User).unwrap(), all[1..]);
    }

    #[test]
    fn what_cannot_be_snoozed_is_told() {
        let other = of(&["velocity", "hurry"], EntityType::User).unwrap_err();
        assert!(
            other.contains("\"hurry\"") && other.contains("velocity, new_place have"),
            "{other}"
        );
        let merchant = of(&[], EntityType::Merchant).unwrap_err();
        assert!(
            merchant.contains("merchant u-1") && merchant.contains("millrace rules pause"),
            "{merchant}"
        );
    }
}
