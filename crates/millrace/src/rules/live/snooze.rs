//! Alerts of a rule about a user that are not raised for a while.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::Args;
use jiff::Timestamp;
use millrace_domain::{ListKey, ListPurpose, ListedKind};
use millrace_fraud::{Listings, RuleHistory};
use millrace_settings::Settings;

use super::change::Rules;
use crate::lists::{self, Change, Given, Terms};

#[derive(Debug, Args)]
pub(in crate::rules) struct SnoozeOptions {
    /// The rule, of the rule set or built in
    #[arg(value_name = "RULE")]
    rule: String,
    /// The user; each by a --user of its own
    #[arg(long = "user", value_name = "USER", required = true)]
    users: Vec<String>,
    #[command(flatten)]
    terms: Terms,
}

#[derive(Debug, Args)]
pub(in crate::rules) struct UnsnoozeOptions {
    /// The rule
    #[arg(value_name = "RULE")]
    rule: String,
    /// The user; each by a --user of its own
    #[arg(long = "user", value_name = "USER", required = true)]
    users: Vec<String>,
    #[command(flatten)]
    given: Given,
}

#[derive(Debug, Args)]
pub(in crate::rules) struct SnoozesOptions {
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn list(settings: &Settings, options: &SnoozesOptions) -> anyhow::Result<ExitCode> {
    let (_, listings) = lists::read(settings).await?;
    let entries = listings.entries();
    let snoozes: Vec<_> = entries
        .filter(|entry| entry.key.purpose == ListPurpose::Snooze)
        .collect();
    lists::print_entries(&snoozes, Timestamp::now().as_millisecond(), options.json)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn snooze(
    settings: &Settings,
    history: &RuleHistory,
    options: &SnoozeOptions,
) -> anyhow::Result<ExitCode> {
    options.terms.must_end()?;
    check_rule(settings, history, &options.rule)?;
    lists::put(settings, keys(&options.rule, &options.users)?, &options.terms).await
}

pub(super) async fn unsnooze(settings: &Settings, options: &UnsnoozeOptions) -> anyhow::Result<ExitCode> {
    let removed = keys(&options.rule, &options.users)?;
    let draft = |listings: &Listings| {
        if let Some(missing) = removed.iter().find(|key| listings.get(key).is_none()) {
            bail!(
                "{} is not snoozed about {}: `millrace rules snoozes` tells what is",
                missing.name,
                missing.entity
            );
        }
        Ok(Change {
            removed,
            ..Change::default()
        })
    };
    lists::change(settings, &options.given, Timestamp::now().as_millisecond(), draft).await
}

fn keys(rule: &str, users: &[String]) -> anyhow::Result<Vec<ListKey>> {
    let key = |user: &String| lists::key(ListPurpose::Snooze, rule, ListedKind::User.as_str(), user);
    let keys: Result<Vec<_>, _> = users.iter().map(key).collect();
    keys.map_err(|error| anyhow!(error))
}

/// Whether the detector judges by a rule: else a snooze of it is a slip of the pen.
fn check_rule(settings: &Settings, history: &RuleHistory, name: &str) -> anyhow::Result<()> {
    let policy = Rules::in_force(settings, history)?.policy(settings)?;
    let built_in = &policy.rules;
    let built_in = [
        ("velocity", built_in.velocity.is_some()),
        ("amount_outlier", built_in.amount_outlier.is_some()),
        ("impossible_travel", built_in.impossible_travel.is_some()),
        ("replay", built_in.replay),
    ];
    let built_in = built_in
        .into_iter()
        .filter(|(_, runs)| *runs)
        .map(|(name, _)| name);
    let of_set = policy.version().map_or(&[][..], |version| version.rules());
    let all: Vec<_> = built_in
        .chain(of_set.iter().map(millrace_rules::Rule::name))
        .collect();
    if !all.contains(&name) {
        bail!("the detector has no rule {name:?}: it has {}", all.join(", "));
    }
    Ok(())
}
