//! `millrace init`: topics, schemas, index templates and Kibana objects.
//!
//! It looks at everything before it writes anything: each part says what it wants and what it found
//! ([`millrace_domain::plan`]). What others may have set is left alone, unless the pipeline depends
//! on it; nothing that deletes is done unless it was asked for; what cannot be worked with is
//! refused while all is as it was. Done again it changes nothing. docs/operations.md has the table
//! of what depends on what.

pub mod kibana;
pub mod schemas;
pub mod templates;
pub mod topics;

mod report;
mod wait;
mod writers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use millrace_domain::plan::{Consent, Item};
use millrace_settings::Settings;

use wait::Deadline;

pub use report::{Outcome, Report, Step, Steps};

/// How long services are waited for, and what may be done.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Print what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Give what is there the configuration's settings also where the pipeline works with others,
    /// which somebody may have made
    #[arg(long)]
    pub overwrite: bool,
    /// Also where that deletes records or documents: a shorter retention, deletion in place of
    /// compaction
    #[arg(long, requires = "overwrite")]
    pub accept_data_loss: bool,
    /// Longest wait for Kafka, the schema registry and Elasticsearch to answer, as 120s
    #[arg(long, default_value = "120s", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Longest wait for Kibana, which is optional
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    pub kibana_timeout: Duration,
    /// Saved objects to import in place of the built-in ones
    #[arg(long, value_name = "FILE")]
    pub kibana_objects: Option<PathBuf>,
    /// Called with each step as it is done.
    #[arg(skip = nothing as fn(&Step))]
    pub on_step: fn(&Step),
}

fn nothing(_step: &Step) {}

impl Options {
    fn consent(&self) -> Consent {
        Consent {
            overwrite: self.overwrite,
            accept_data_loss: self.accept_data_loss,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dry_run: false,
            overwrite: false,
            accept_data_loss: false,
            timeout: Duration::from_secs(120),
            kibana_timeout: Duration::from_secs(5),
            kibana_objects: None,
            on_step: nothing,
        }
    }
}

/// Creates what is missing, and changes of what is there what the pipeline depends on.
///
/// # Errors
/// A service does not answer within the timeout or refuses; or something is there that the pipeline
/// cannot work with, which is found before anything is written.
pub async fn run(settings: &Settings, options: &Options) -> anyhow::Result<Report> {
    let deadline = Deadline::after(options.timeout);
    let consent = options.consent();
    let mut steps = Steps {
        report: Report::default(),
        on_step: options.on_step,
        is_dry_run: options.dry_run,
    };
    let topics = topics::plan(settings, consent, &deadline).await?;
    let schemas = schemas::Plan::make(settings, consent, &deadline).await?;
    let templates = templates::Plan::make(settings, consent, &deadline).await?;
    let planned: Vec<&Item> = (topics.items().iter())
        .chain(schemas.items())
        .chain(templates.items())
        .collect();
    let refusals: Vec<String> = planned.iter().flat_map(|item| refusals(item)).collect();
    if options.dry_run {
        planned.into_iter().for_each(|item| steps.add_item(item));
    }
    if !refusals.is_empty() {
        bail!("nothing was changed: {}", refusals.join("\n"));
    }
    if !options.dry_run {
        topics.apply(settings, &mut steps).await?;
        schemas.apply(&mut steps).await?;
        templates.apply(&mut steps).await?;
    }
    templates::warn_of_other_documents(settings, &mut steps).await?;
    kibana::import(&settings.kibana, options, &mut steps).await?;
    Ok(steps.report)
}

fn refusals(item: &Item) -> Vec<String> {
    let refusals = item.state.refusals().into_iter();
    refusals
        .map(|reason| format!("{}: {reason}", item.name))
        .collect()
}

/// Runs the command and prints a line for each thing that is not as it was, and what writers need
/// where their topic is new.
///
/// # Errors
/// As for [`run`].
pub async fn command(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    let options = Options {
        on_step: print_news,
        ..options.clone()
    };
    let report = run(settings, &options).await?;
    print_unchanged(report.steps.len() - report.news().count());
    print_advice(settings, &report);
    Ok(ExitCode::SUCCESS)
}

fn print_news(step: &Step) {
    if step.outcome != Outcome::Unchanged {
        say!("{step}");
    }
}

fn print_unchanged(count: usize) {
    if count > 0 {
        say!("{count} topics, schemas, templates and saved objects: unchanged");
    }
}

fn print_advice(settings: &Settings, report: &Report) {
    if let Some(advice) = writers::advice(settings, report) {
        say!("{advice}");
    }
}
