//! `millrace dlq`: dead letters and late records are listed, shown, and sent again.

mod letter;
mod print;
mod records;
mod replay;
mod scan;
mod select;
mod value;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use millrace_catalog::{dead_letter, is_between_jobs, payments::topic, stream};
use millrace_kafka::topic_name;
use millrace_registry::Registry;
use millrace_settings::Settings;

use letter::Letter;
use records::Replayed;
use scan::Scan;
use select::Filter;

/// What to do with them.
#[derive(Debug, Args)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// A line for each letter, and how many there are of each reason
    List(List),
    /// Everything about each letter: headers, reason, and the value, decoded where it can be
    Show(List),
    /// Send letters to their source topic again; one that was sent again is never sent a second
    /// time
    Replay(Replay),
}

/// What is listed or shown.
#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    from: Letters,
    /// Letters at most
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: usize,
}

/// What is sent again.
#[derive(Debug, Args)]
struct Replay {
    #[command(flatten)]
    from: Letters,
    /// Letters at most; those that were sent again before do not count
    #[arg(long, default_value_t = 100_000, value_name = "COUNT")]
    limit: usize,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Letters in a transaction
    #[arg(long, default_value_t = 500, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,
}

/// Which letters.
#[derive(Debug, Args)]
struct Letters {
    /// Topic of the letters, without kafka.topic_prefix: NAME.dlq, NAME.late, or NAME for NAME.dlq
    #[arg(default_value = "financial_transactions.dlq")]
    topic: String,
    #[command(flatten)]
    filter: Filter,
    /// Print JSON in place of a table
    #[arg(long)]
    json: bool,
}

impl Letters {
    fn topics(&self, settings: &Settings) -> Topics {
        let name = match source_of(&self.topic) {
            Some(_) => self.topic.clone(),
            None => dead_letter(&self.topic),
        };
        let source = match name.strip_suffix(".late") {
            // The job whose late records they are may read another stream in the place of this one.
            Some(source) => stream(source, settings.rekeys()),
            None => source_of(&name).unwrap_or(&name),
        };
        Topics {
            source: topic_name(&settings.kafka, source),
            is_internal: is_between_jobs(source),
            letters: topic_name(&settings.kafka, &name),
            replays: topic_name(&settings.kafka, topic::DEAD_LETTER_REPLAYS),
        }
    }
}

/// Full names.
#[derive(Debug)]
struct Topics {
    letters: String,
    source: String,
    /// Whether the source is a topic between two stages of a job.
    is_internal: bool,
    replays: String,
}

/// The topic whose letters are on `topic`.
fn source_of(topic: &str) -> Option<&str> {
    topic.strip_suffix(".dlq").or_else(|| topic.strip_suffix(".late"))
}

/// Runs the command.
///
/// # Errors
/// The brokers are away, there is no such topic, or what was to be sent again cannot be.
pub async fn command(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    match &options.action {
        Action::List(list) => self::list(settings, list).await,
        Action::Show(list) => show(settings, list).await,
        Action::Replay(replay) => replay::command(settings, replay).await,
    }
}

async fn list(settings: &Settings, list: &List) -> anyhow::Result<ExitCode> {
    let (topics, found) = find(settings, list).await?;
    print::list(&topics.letters, &found, list.from.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn show(settings: &Settings, list: &List) -> anyhow::Result<ExitCode> {
    let (_, found) = find(settings, list).await?;
    let registry = Registry::new(millrace_service::registry::config(&settings.schema_registry))?;
    let mut values = Vec::new();
    for letter in &found.letters {
        values.push(value::Shown::of(letter, &registry).await);
    }
    print::show(&found, &values, list.from.json)?;
    Ok(ExitCode::SUCCESS)
}

/// What a scan has found.
struct Found {
    /// The first, as many as were asked for.
    letters: Vec<Letter>,
    /// All that match, by code.
    codes: BTreeMap<String, u64>,
    replayed: Replayed,
}

async fn find(settings: &Settings, list: &List) -> anyhow::Result<(Topics, Found)> {
    let topics = list.from.topics(settings);
    let (kafka, filter, limit) = (settings.kafka.clone(), list.from.filter.clone(), list.limit);
    let found = tokio::task::spawn_blocking(move || {
        let mut found = Found {
            letters: Vec::new(),
            codes: BTreeMap::new(),
            replayed: Replayed::read_if_any(&kafka, &topics)?,
        };
        Scan::open(&kafka, &topics.letters)?.read(|message| {
            let letter = Letter::of(message);
            if filter.matches(&letter) {
                *found.codes.entry(letter.code().into_owned()).or_default() += 1;
                if found.letters.len() < limit {
                    found.letters.push(letter);
                }
            }
            true
        })?;
        anyhow::Ok((topics, found))
    });
    found.await.context("the scan ended early")?
}
