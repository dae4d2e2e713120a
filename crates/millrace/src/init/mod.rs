//! `millrace init`: topics, schemas, index templates and Kibana objects. Done again it changes nothing.

pub mod kibana;
pub mod schemas;
pub mod templates;
pub mod topics;

mod wait;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use millrace_settings::Settings;
use serde::Serialize;

use wait::Deadline;

/// What became of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is new.
    Created,
    /// It was there, and other than it should be.
    Updated,
    /// It was there as it should be.
    Unchanged,
    /// It was left out, and why.
    Skipped(String),
    /// Somebody should look at it, and why.
    Warning(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("created"),
            Self::Updated => f.write_str("updated"),
            Self::Unchanged => f.write_str("unchanged"),
            Self::Skipped(reason) => write!(f, "skipped ({reason})"),
            Self::Warning(reason) => write!(f, "warning: {reason}"),
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it is about, as `topic financial_transactions`.
    pub subject: String,
    /// What became of it.
    pub outcome: Outcome,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.outcome)
    }
}

/// Every line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Report {
    /// In the order they were done.
    pub steps: Vec<Step>,
}

/// How long services are waited for.
#[derive(Debug, Clone, Args)]
pub struct Options {
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

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            kibana_timeout: Duration::from_secs(5),
            kibana_objects: None,
            on_step: nothing,
        }
    }
}

/// Creates what is missing and corrects what differs.
///
/// # Errors
/// A service does not answer within the timeout or refuses, or a topic has other partitions than it should.
pub async fn run(settings: &Settings, options: &Options) -> anyhow::Result<Report> {
    let deadline = Deadline::after(options.timeout);
    let mut steps = Steps {
        report: Report::default(),
        on_step: options.on_step,
    };
    topics::create(&settings.kafka, &deadline, &mut steps).await?;
    schemas::register(settings, &deadline, &mut steps).await?;
    templates::put(settings, &deadline, &mut steps).await?;
    let kibana_deadline = Deadline::after(options.kibana_timeout);
    kibana::import(
        &settings.kibana,
        options.kibana_objects.as_deref(),
        &kibana_deadline,
        &mut steps,
    )
    .await?;
    Ok(steps.report)
}

/// Runs the command and prints a line for each step.
///
/// # Errors
/// As for [`run`].
pub async fn command(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    let options = Options {
        on_step: print,
        ..options.clone()
    };
    run(settings, &options).await?;
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::print_stdout, reason = "the command's output")]
fn print(step: &Step) {
    println!("{step}");
}

/// Collects the steps and tells of each.
pub struct Steps {
    report: Report,
    on_step: fn(&Step),
}

impl Steps {
    fn add(&mut self, subject: String, outcome: Outcome) {
        let step = Step { subject, outcome };
        (self.on_step)(&step);
        self.report.steps.push(step);
    }
}
