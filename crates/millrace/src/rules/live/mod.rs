//! Changes of the rules that a detector judges by, through the topic `fraud_rules`: written by a
//! command, followed by the detector while it runs.

mod change;
mod diff;
mod print;
mod snooze;
mod state;
pub(super) mod taken;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use millrace_detector::live_rules;
use millrace_detector::rule_topic::RuleTopic;
use millrace_domain::RuleChange;
use millrace_fraud::{Listings, MAX_CHANGES, RuleHistory};
use millrace_settings::Settings;
use rdkafka::message::OwnedHeaders;

use self::change::{Draft, Maker};
use self::state::State;
use crate::sender::{Outgoing, Sender};

/// What to do about the rules that are judged by.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what files of rules, or a change, would change of the rules that are judged by
    Diff(diff::Options),
    /// Judge by these files from now on, all together
    Apply(ApplyOptions),
    /// Judge by rules and count them, but alert nobody
    Shadow(ModeOptions),
    /// Judge by rules no more; their features go on
    Pause(ModeOptions),
    /// Give rules the mode of their file again, or another
    Resume(ResumeOptions),
    /// Go back to the rules of an earlier change
    Rollback(RollbackOptions),
    /// Approve a proposal as the second person
    Approve(AnswerOptions),
    /// Say that a proposal is not to hold
    Reject(AnswerOptions),
    /// List the changes, the newest first
    History(HistoryOptions),
    /// Raise no alert of a rule about a user until a time: it is counted, and all else goes on
    Snooze(snooze::SnoozeOptions),
    /// Raise alerts of a rule about a user again
    Unsnooze(snooze::UnsnoozeOptions),
    /// List what is snoozed, until when, by whom and why
    Snoozes(snooze::SnoozesOptions),
}

/// Who changes rules, why, and how to answer.
#[derive(Debug, Args)]
pub(super) struct Given {
    /// Why, in a sentence: it is kept with the change
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who; $MILLRACE_AUTHOR or $USER if not given
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Longest wait until the detector judges by it, as 30s; not waited for if not given
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    wait: Option<Duration>,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ApplyOptions {
    /// Files of rules, directories of them, or library/NAME
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Put what is new or means something else in shadow: it alerts nobody until it is resumed
    #[arg(long)]
    shadow: bool,
    #[command(flatten)]
    given: Given,
}

#[derive(Debug, Args)]
pub(super) struct ModeOptions {
    /// The rules, by name
    #[arg(required = true, value_name = "RULE")]
    rules: Vec<String>,
    #[command(flatten)]
    given: Given,
}

#[derive(Debug, Args)]
pub(super) struct ResumeOptions {
    /// The rules, by name
    #[arg(required = true, value_name = "RULE")]
    rules: Vec<String>,
    /// Another mode than their file says: live, shadow, paused, draft, or a share of the users as
    /// "10 %"
    #[arg(long = "as", value_name = "MODE")]
    mode: Option<String>,
    #[command(flatten)]
    given: Given,
}

#[derive(Debug, Args)]
pub(super) struct RollbackOptions {
    /// The change whose rules are to hold again; the one before the present one if not given
    #[arg(long, value_name = "NUMBER")]
    to: Option<u64>,
    #[command(flatten)]
    given: Given,
}

#[derive(Debug, Args)]
pub(super) struct AnswerOptions {
    /// The proposal's number
    #[arg(value_name = "NUMBER")]
    proposal: u64,
    #[command(flatten)]
    given: Given,
}

#[derive(Debug, Args)]
pub(super) struct HistoryOptions {
    /// At most so many
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs a command.
///
/// # Errors
/// Kafka or the registry do not answer, `init` has not run, or the change is refused.
pub(super) async fn command(settings: &Settings, command: &Command) -> anyhow::Result<ExitCode> {
    let draft = match command {
        Command::Diff(options) => return diff::command(settings, &read(settings).await?.1, options),
        Command::History(options) => {
            let (_, history) = read(settings).await?;
            print::history(&history, options.limit, options.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Snooze(options) => {
            return snooze::snooze(settings, &read(settings).await?.1, options).await;
        }
        Command::Unsnooze(options) => return snooze::unsnooze(settings, options).await,
        Command::Snoozes(options) => return snooze::list(settings, options).await,
        Command::Apply(options) => Draft::apply(&options.files, options.shadow)?,
        Command::Shadow(options) => Draft::mode("shadow", &options.rules, "shadow")?,
        Command::Pause(options) => Draft::mode("pause", &options.rules, "paused")?,
        Command::Resume(options) => Draft::resume(&options.rules, options.mode.as_deref())?,
        Command::Rollback(options) => Draft::Rollback(options.to),
        Command::Approve(options) => Draft::Approve(options.proposal),
        Command::Reject(options) => Draft::Reject(options.proposal),
    };
    let given = match command {
        Command::Apply(ApplyOptions { given, .. })
        | Command::Shadow(ModeOptions { given, .. })
        | Command::Pause(ModeOptions { given, .. })
        | Command::Resume(ResumeOptions { given, .. })
        | Command::Rollback(RollbackOptions { given, .. })
        | Command::Approve(AnswerOptions { given, .. })
        | Command::Reject(AnswerOptions { given, .. }) => given,
        Command::Diff(_)
        | Command::History(_)
        | Command::Snooze(_)
        | Command::Unsnooze(_)
        | Command::Snoozes(_) => bail!("it changes no rule"),
    };
    make(settings, draft, given).await
}

/// Lists the rules that are judged by.
///
/// # Errors
/// Kafka or the registry do not answer, or `init` has not run.
pub(super) async fn list(settings: &Settings, json: bool) -> anyhow::Result<ExitCode> {
    let (_, history) = read(settings).await?;
    let asked = settings.clone();
    let taken = tokio::task::spawn_blocking(move || taken::look(&asked)).await??;
    print::list(&State::of(settings, &history)?, &taken, json)?;
    Ok(ExitCode::SUCCESS)
}

/// The topic, and all changes in it.
async fn read(settings: &Settings) -> anyhow::Result<(RuleTopic, RuleHistory)> {
    let topic = RuleTopic::open_if_any(settings).await?.with_context(|| {
        let prefix = &settings.kafka.topic_prefix;
        format!("there is no topic {prefix}fraud_rules: `millrace init` creates it")
    })?;
    let read = move || topic.read().map(|(history, _)| (topic, history));
    tokio::task::spawn_blocking(read).await?
}

/// Makes a change. Only one command at a time can: whoever starts later ends the other's
/// transaction, so that no two changes get one number, and each is made on what is in force.
async fn make(settings: &Settings, draft: Draft, given: &Given) -> anyhow::Result<ExitCode> {
    let author = author(given.author.as_deref())?;
    let kafka = settings.kafka.clone();
    // Before anything is asked of Kafka's transactions: a missing topic is the likelier reason.
    read(settings).await?;
    let sender = tokio::task::spawn_blocking(move || Sender::start(&kafka, "rules")).await??;
    let (topic, history) = read(settings).await?;
    let maker = Maker {
        settings,
        history: &history,
        author: &author,
        reason: &given.reason,
        now_ms: Timestamp::now().as_millisecond(),
    };
    let change = maker.make(draft)?;
    let outgoing = outgoing(&topic, &history, &change);
    tokio::task::spawn_blocking(move || sender.send(&outgoing))
        .await?
        .context("the change may have been made or not: `millrace rules history` tells")?;
    let mut after = history.clone();
    after.add(change.clone());
    let has_taken = match given.wait {
        Some(limit) if change.status == millrace_domain::RuleChangeStatus::InForce => {
            Some(taken::wait(settings, change.number, limit).await?)
        }
        _ => None,
    };
    print::change(settings, (&history, &after), &change, has_taken, given.json)?;
    Ok(match has_taken {
        Some(false) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

/// The change's record, and what removes those that are too old to be kept.
fn outgoing(topic: &RuleTopic, history: &RuleHistory, change: &RuleChange) -> Vec<Outgoing> {
    let record = |number, payload| Outgoing {
        topic: topic.name().to_owned(),
        partition: Some(0),
        key: Some(RuleChange::key(number).into_bytes()),
        payload,
        headers: OwnedHeaders::new(),
    };
    let mut value = Vec::new();
    millrace_domain::codec::rule_change::encode_framed(topic.schema_id(), change, &mut value);
    let too_many = (history.changes().count() + 1).saturating_sub(MAX_CHANGES);
    let old = history.changes().take(too_many);
    let mut records: Vec<_> = old.map(|old| record(old.number, None)).collect();
    records.push(record(change.number, Some(value)));
    records
}

/// Whether a detector that judges by the rules in force can go by these lists too.
///
/// # Errors
/// They are too long together; Kafka or the registry do not answer.
pub(crate) async fn check_lists(settings: &Settings, listings: &Listings) -> anyhow::Result<()> {
    let (_, history) = read(settings).await?;
    // Rules that this configuration cannot judge by are told of where they are changed.
    match change::Rules::in_force(settings, &history)?.policy(settings) {
        Ok(policy) => live_rules::check_len(&policy.with_lists(listings.settings())),
        Err(_) => Ok(()),
    }
}

/// Who makes a change.
///
/// # Errors
/// Nobody is named, or by too long a name.
pub(crate) fn author(given: Option<&str>) -> anyhow::Result<String> {
    let of_environment = || {
        ["MILLRACE_AUTHOR", "USER", "LOGNAME"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    };
    let author = given.map(str::to_owned).or_else(of_environment);
    match author.map(|author| author.trim().to_owned()) {
        Some(author) if !author.is_empty() && author.len() <= 100 => Ok(author),
        Some(author) => bail!("--author {author:?} must have 1 to 100 bytes"),
        None => bail!("whose change is it? Give --author NAME, or set MILLRACE_AUTHOR"),
    }
}
