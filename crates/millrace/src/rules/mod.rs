//! `millrace rules`: files of fraud rules before anything runs them, and changes of those that a
//! detector judges by.

mod backtest;
mod check;
mod list;
mod live;
mod read;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::dispatch::log_for_a_person;
use millrace_settings::Settings;

pub(crate) use self::live::taken::policies;
pub(crate) use self::live::{author, check_lists};
pub(crate) use self::read::{RuleFile, load};

/// What to do with rules.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check files of rules together: what is wrong, where, and what would be right; else what they
    /// cost, and what they would change
    Check(check::Options),
    /// List the rules of files, of the library that is shipped, or, with --live, those that the
    /// detector judges by
    List(list::Options),
    #[command(flatten)]
    Live(live::Command),
}

/// Runs the command: exit 0 where all is right, 1 where a rule is wrong or too dear.
/// `config` is the file of settings, which a check without a backtest and a list of files do not
/// read.
///
/// # Errors
/// A file cannot be read, Kafka or the registry do not answer, a change is refused, or the answer
/// cannot be printed.
pub async fn command(config: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    match &options.command {
        Command::Check(options) => check::command(config, options),
        Command::List(options) if options.live => live::list(&settings(config)?, options.json).await,
        Command::List(options) => list::command(options),
        Command::Live(command) => live::command(&settings(config)?, command).await,
    }
}

fn settings(config: Option<&Path>) -> anyhow::Result<Settings> {
    let settings = Settings::load(config)?;
    log_for_a_person(&settings)?;
    Ok(settings)
}
