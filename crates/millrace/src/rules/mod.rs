//! `millrace rules`: files of fraud rules, before anything runs them.

mod backtest;
mod check;
mod list;
mod read;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};

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
    /// List the rules of files, or of the library that is shipped
    List(list::Options),
}

/// Runs the command: exit 0 where all is right, 1 where a rule is wrong or too dear.
/// `config` is the file of settings, which a backtest alone reads.
///
/// # Errors
/// A file cannot be read, or the answer not be printed.
pub fn command(config: Option<&Path>, options: &Options) -> anyhow::Result<ExitCode> {
    match &options.command {
        Command::Check(options) => check::command(config, options),
        Command::List(options) => list::command(options),
    }
}
