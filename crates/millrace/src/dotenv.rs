//! `millrace env`: the command around [`crate::env`].

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use millrace_settings::Settings;

use crate::env::{self, Written};

/// Where to.
#[derive(Debug, Args)]
pub struct Options {
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = ".env")]
    output: PathBuf,
    /// Print it in place of writing it
    #[arg(long, conflicts_with = "output")]
    print: bool,
    /// Replace a file that was written or edited by hand
    #[arg(long)]
    force: bool,
}

/// Writes or prints the file.
///
/// # Errors
/// As of [`env::write`].
pub fn command(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    if options.print {
        say!("{}", env::render(settings).trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = match env::write(settings, &options.output, options.force)? {
        Written::Created => "created",
        Written::Updated => "updated",
        Written::Unchanged => "unchanged",
    };
    say!("{}: {outcome}", options.output.display());
    Ok(ExitCode::SUCCESS)
}
