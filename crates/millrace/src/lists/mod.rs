//! `millrace lists`: who is on the lists that fraud rules look into, through the topic `lists`:
//! written by a command, followed by the detector while it runs.

mod change;
mod file;
mod print;
mod taken;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail, ensure};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use millrace_domain::{ListEntry, ListKey, ListPurpose, ListedKind, is_list_name};
use millrace_fraud::Listings;
use millrace_producer::replay::parse_time;
use millrace_settings::Settings;

pub(crate) use self::change::{Change, read};
pub(crate) use self::file::{key, listings};
pub(crate) use self::print::entries as print_entries;
use crate::rules::author;

/// What to do with lists.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show who is on which list, until when, by whom and why
    Show(ShowOptions),
    /// Put users, merchants or locations on a list
    Add(AddOptions),
    /// Take users, merchants or locations off a list, or all entries whose time is over
    Remove(RemoveOptions),
    /// Put the entries of a file on their lists: all of them, or none if a line is wrong
    Import(ImportOptions),
}

#[derive(Debug, Args)]
struct ShowOptions {
    /// Of this list alone
    #[arg(value_name = "LIST")]
    list: Option<String>,
    /// The answer as JSON, which `import` and `--lists` of other commands read
    #[arg(long)]
    json: bool,
}

/// Who is meant.
#[derive(Debug, Args)]
struct Entities {
    /// A user; each by a --user of its own
    #[arg(long = "user", value_name = "USER")]
    users: Vec<String>,
    /// A merchant; each by a --merchant of its own
    #[arg(long = "merchant", value_name = "MERCHANT")]
    merchants: Vec<String>,
    /// A location; each by a --location of its own
    #[arg(long = "location", value_name = "LOCATION")]
    locations: Vec<String>,
}

/// Until when something holds.
#[derive(Debug, Args)]
struct Until {
    /// It holds for event times before this, as 2026-12-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<i64>,
    /// It holds for so long from now on, as 2h or 7d
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "until")]
    duration: Option<Duration>,
}

impl Until {
    fn ms(&self, now_ms: i64) -> Option<i64> {
        let of_duration = |duration: &Duration| {
            let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
            now_ms.saturating_add(ms)
        };
        self.until.or(self.duration.as_ref().map(of_duration))
    }
}

/// Who changes lists, and how to answer.
#[derive(Debug, Args)]
pub(crate) struct Given {
    /// Who; $MILLRACE_AUTHOR or $USER if not given
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Longest wait until the detector goes by it, as 30s; not waited for if not given
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    wait: Option<Duration>,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

/// On what terms entries are put: until when they hold, why, and by whom.
#[derive(Debug, Args)]
pub(crate) struct Terms {
    #[command(flatten)]
    until: Until,
    /// Why, in a sentence: it is kept with the entry
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    given: Given,
}

impl Terms {
    /// Whether they have an end, which a snooze must have.
    ///
    /// # Errors
    /// They have none; with how one is given.
    pub(crate) fn must_end(&self) -> anyhow::Result<()> {
        let has_end = self.until.until.is_some() || self.until.duration.is_some();
        ensure!(
            has_end,
            "until when? Give --until as 2026-12-01T00:00:00Z, or --for as 2h or 7d"
        );
        Ok(())
    }
}

#[derive(Debug, Args)]
struct AddOptions {
    /// The list, as deny, allow or watch, or any that a rule looks into
    #[arg(value_name = "LIST")]
    list: String,
    #[command(flatten)]
    entities: Entities,
    #[command(flatten)]
    terms: Terms,
}

#[derive(Debug, Args)]
struct RemoveOptions {
    /// The list; may be left out with --expired, for all lists and snoozes
    #[arg(value_name = "LIST", required_unless_present = "expired")]
    list: Option<String>,
    #[command(flatten)]
    entities: Entities,
    /// All entries whose time is over by this computer's clock: a transaction of an earlier event
    /// time that comes later is not judged by them any more
    #[arg(long, conflicts_with_all = ["users", "merchants", "locations"])]
    expired: bool,
    #[command(flatten)]
    given: Given,
}

#[derive(Debug, Args)]
struct ImportOptions {
    /// CSV with the columns list, kind (user, merchant, location), entity, and maybe until and
    /// reason; NDJSON of such objects; or the JSON of `show`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Why, for lines that do not say
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    given: Given,
}

/// Runs the command.
///
/// # Errors
/// Kafka or the registry do not answer, `init` has not run, or the change is refused.
pub async fn command(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    let now_ms = Timestamp::now().as_millisecond();
    match &options.command {
        Command::Show(options) => {
            let (_, listings) = read(settings).await?;
            let list = options.list.as_deref();
            let is_shown = |entry: &&ListEntry| {
                let key = &entry.key;
                list.is_none_or(|list| key.purpose == ListPurpose::List && key.name == list)
            };
            let shown: Vec<_> = listings.entries().filter(is_shown).collect();
            print_entries(&shown, now_ms, options.json)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Add(options) => {
            let keys = options.entities.keys(&options.list)?;
            put(settings, keys, &options.terms).await
        }
        Command::Remove(options) => {
            let draft = |listings: &Listings| options.draft(listings, now_ms);
            change(settings, &options.given, now_ms, draft).await
        }
        Command::Import(options) => {
            let author = author(options.given.author.as_deref())?;
            let given = file::Given {
                author: &author,
                reason: options.reason.as_deref(),
                now_ms,
            };
            let put = file::read(&options.file, &given)?;
            change(settings, &options.given, now_ms, |_| {
                Ok(Change {
                    put,
                    ..Change::default()
                })
            })
            .await
        }
    }
}

/// Puts entries on their lists: all of them, or none.
///
/// # Errors
/// As of [`command`].
pub(crate) async fn put(settings: &Settings, keys: Vec<ListKey>, terms: &Terms) -> anyhow::Result<ExitCode> {
    let now_ms = Timestamp::now().as_millisecond();
    let author = author(terms.given.author.as_deref())?;
    let entry = |key| ListEntry {
        key,
        until_ms: terms.until.ms(now_ms),
        author: author.clone(),
        reason: terms.reason.trim().to_owned(),
        time_ms: now_ms,
    };
    let put = keys.into_iter().map(entry).collect();
    let draft = |_: &Listings| {
        Ok(Change {
            put,
            ..Change::default()
        })
    };
    change(settings, &terms.given, now_ms, draft).await
}

/// Makes a change, and tells of it.
///
/// # Errors
/// As of [`command`].
pub(crate) async fn change(
    settings: &Settings,
    given: &Given,
    now_ms: i64,
    draft: impl FnOnce(&Listings) -> anyhow::Result<Change>,
) -> anyhow::Result<ExitCode> {
    let (change, taken) = change::make(settings, draft, given.wait).await?;
    print::made(&change, taken, now_ms, given.json)?;
    Ok(match taken {
        Some(false) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

impl Entities {
    /// Their entries on a list.
    fn keys(&self, list: &str) -> anyhow::Result<Vec<ListKey>> {
        let all = [
            (ListedKind::User, &self.users),
            (ListedKind::Merchant, &self.merchants),
            (ListedKind::Location, &self.locations),
        ];
        let keys: Result<Vec<_>, _> = all
            .into_iter()
            .flat_map(|(kind, entities)| entities.iter().map(move |entity| (kind, entity)))
            .map(|(kind, entity)| key(ListPurpose::List, list, kind.as_str(), entity))
            .collect();
        let keys = keys.map_err(|error| anyhow!(error))?;
        if keys.is_empty() {
            bail!("who? Give --user, --merchant or --location");
        }
        Ok(keys)
    }
}

impl RemoveOptions {
    fn draft(&self, listings: &Listings, now_ms: i64) -> anyhow::Result<Change> {
        let removed = match &self.list {
            list if self.expired => {
                if let Some(list) = list.as_deref().filter(|list| !is_list_name(list)) {
                    bail!("there is no list {list:?}");
                }
                let is_over = |entry: &&ListEntry| {
                    let key = &entry.key;
                    let is_asked = list
                        .as_ref()
                        .is_none_or(|list| key.purpose == ListPurpose::List && key.name == *list);
                    is_asked && entry.until_ms.is_some_and(|until_ms| until_ms <= now_ms)
                };
                let over = listings.entries().filter(is_over);
                over.map(|entry| entry.key.clone()).collect()
            }
            Some(list) => {
                let keys = self.entities.keys(list)?;
                if let Some(missing) = keys.iter().find(|key| listings.get(key).is_none()) {
                    bail!(
                        "{} {} is not on the list {list}: `millrace lists show {list}` tells who is",
                        missing.kind,
                        missing.entity
                    );
                }
                keys
            }
            None => bail!("which list? Give its name, or --expired"),
        };
        Ok(Change {
            removed,
            ..Change::default()
        })
    }
}
