//! The command line, and from it to the command.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use millrace::dispatch;
use millrace::service;
use millrace_service::process;
use millrace_settings::Settings;

use crate::{bench, chaos};

/// The lab of Millrace: faults done to a pipeline under load, and how fast each part is.
#[derive(Debug, Parser)]
#[command(name = "millrace-lab", version, propagate_version = true)]
struct Cli {
    /// The configuration; config/millrace.yml if not given and there
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Do faults to a pipeline under load, and show that nothing is lost or doubled
    Chaos(chaos::Options),
    /// Measure how fast each part is, against the project's targets
    Bench(bench::Options),
    /// Run one service in this process: the lab starts its own so
    #[command(hide = true)]
    Service(service::Options),
}

/// Runs the command of this process's arguments; returns the status to exit with.
#[must_use]
pub fn main() -> ExitCode {
    dispatch::run(command(Cli::parse()))
}

async fn command(cli: Cli) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(cli.config.as_deref())?;
    if !matches!(cli.command, Command::Service(_)) {
        dispatch::log_for_a_person(&settings)?;
    }
    match cli.command {
        Command::Chaos(options) => chaos::command(settings, options).await,
        Command::Bench(options) => bench::command(settings, options).await,
        Command::Service(options) => Ok(process::exit_code(service::command(settings, options).await)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn chaos_needs_faults_that_there_are() {
        let refused = |line: &str| Cli::try_parse_from(line.split(' ')).unwrap_err().to_string();
        assert!(
            Cli::try_parse_from("millrace-lab chaos --fault worker-kill,broker-kill --rate 50000".split(' '))
                .is_ok()
        );
        assert!(Cli::try_parse_from("millrace-lab chaos --all".split(' ')).is_ok());
        assert!(refused("millrace-lab chaos").contains("--fault"));
        let unknown = refused("millrace-lab chaos --fault worker-kil");
        assert!(
            unknown.contains("worker-kil'") && unknown.contains("snapshots-torn"),
            "{unknown}"
        );
        assert!(refused("millrace-lab chaos --all --fault worker-kill").contains("cannot be used with"));
        assert!(refused("millrace-lab chaos --all --rate 5").contains("100"));
    }
}
