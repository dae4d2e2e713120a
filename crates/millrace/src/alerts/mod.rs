//! `millrace alerts`: the incidents that alerts have become, as the topic `fraud_incidents` has
//! them, and what analysts decide on them, in the topic `alert_feedback`.

mod print;
mod read;
mod snooze;
mod verdict;

use std::process::ExitCode;

use anyhow::ensure;
use clap::{Args, Subcommand, ValueEnum};
use millrace_domain::{IncidentStatus, Verdict};
use millrace_settings::Settings;

/// What to do with alerts.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List incidents, the worst and newest first
    List(ListOptions),
    /// Show an incident with its evidence, and what was decided
    Show(ShowOptions),
    /// Say that an incident is fraud
    Confirm(verdict::Options),
    /// Say that an incident is none
    Dismiss(verdict::Options),
    /// Have an incident's rules raise no alert about its user for a while
    Snooze(snooze::Options),
}

/// Which incidents are listed, by what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Status {
    /// Those that have reached their threshold and are not over
    Open,
    /// Those below their threshold that are not over
    Growing,
    /// Those to which no alert has come for their quiet time
    Quiet,
    /// Those that somebody has said are fraud
    Confirmed,
    /// Those that somebody has said are none
    Dismissed,
    /// All
    All,
}

impl Status {
    fn has(self, status: IncidentStatus) -> bool {
        match self {
            Self::Open => status == IncidentStatus::Open,
            Self::Growing => status == IncidentStatus::Growing,
            Self::Quiet => status == IncidentStatus::Quiet,
            Self::Confirmed => status == IncidentStatus::Confirmed,
            Self::Dismissed => status == IncidentStatus::Dismissed,
            Self::All => true,
        }
    }
}

#[derive(Debug, Args)]
struct ListOptions {
    /// What they are
    #[arg(long, value_enum, default_value = "open")]
    status: Status,
    /// Of this user or merchant alone
    #[arg(long, value_name = "ID")]
    entity: Option<String>,
    /// Of this kind of fraud alone
    #[arg(long, value_name = "NAME")]
    typology: Option<String>,
    /// Incidents at most
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ShowOptions {
    /// Its id, or the beginning of it that no other has
    #[arg(value_name = "INCIDENT")]
    id: String,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// Incidents are not enabled, Kafka or the registry do not answer, `init` has not run, or there is
/// no such incident: then nothing is written.
pub async fn command(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    ensure!(
        settings.incidents.enabled,
        "incidents.enabled is false: set it to true, and run `millrace init`, which makes their topic"
    );
    match &options.command {
        Command::Snooze(options) => return snooze::snooze(settings, options).await,
        Command::List(options) => {
            let incidents = read::newest(settings).await?;
            let mut chosen: Vec<_> = incidents
                .iter()
                .filter(|incident| options.status.has(incident.status))
                .filter(|incident| options.entity.as_ref().is_none_or(|id| *id == incident.entity))
                .filter(|incident| {
                    let typology = options.typology.as_ref();
                    typology.is_none_or(|name| *name == incident.typology)
                })
                .collect();
            read::sort(&mut chosen);
            let more = chosen.len().saturating_sub(options.limit);
            chosen.truncate(options.limit);
            print::list(&chosen, more, options.json)?;
        }
        Command::Show(options) => {
            let incidents = read::newest(settings).await?;
            let incident = read::find(&incidents, &options.id)?;
            let decided = verdict::of(settings, incident).await?;
            print::show(incident, decided.as_ref(), options.json)?;
        }
        Command::Confirm(options) => return decide(settings, options, Verdict::Confirmed).await,
        Command::Dismiss(options) => return decide(settings, options, Verdict::Dismissed).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn decide(
    settings: &Settings,
    options: &verdict::Options,
    verdict: Verdict,
) -> anyhow::Result<ExitCode> {
    let (incident, is_so) = verdict::decide(settings, options, verdict).await?;
    print::decided(&incident, verdict, is_so);
    Ok(match is_so {
        Some(false) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}
