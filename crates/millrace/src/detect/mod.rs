//! `millrace detect FILE --mapping M`: the alerts of files of transactions, without any server.

mod alert;
mod desk;
mod incident;
mod judge;
mod summary;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use millrace_domain::texts::InFlight;
use millrace_fraud::ListSettings;
use millrace_producer::replay::{FileFormat, Transactions};
use millrace_settings::Settings;
use serde::Serialize;

use self::alert::Alert;
pub(crate) use self::desk::{Desk, Ended};
use self::incident::Line;
pub(crate) use self::judge::{Judge, Judged};
use self::summary::Summary;
use crate::{lists, rules};

/// Which files, and by which rules.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Where alerts are written, one JSON object a line; standard output if not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where the alerts' incidents and campaigns are written too, one JSON object a line, once they
    /// are over and at the end
    #[arg(long, value_name = "FILE")]
    incidents: Option<PathBuf>,
    /// The kinds of fraud (YAML) that alerts become incidents of; those that are shipped if not
    /// given
    #[arg(long, value_name = "FILE", requires = "incidents")]
    typologies: Option<PathBuf>,
}

/// Files of transactions, and rules for them.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// The files: CSV, NDJSON or Parquet, compressed by gzip or zstd or not
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The mapping from the files' columns to a transaction's fields (`millrace map FILE`)
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: PathBuf,
    /// csv, ndjson or parquet, if the extension does not say
    #[arg(long, value_name = "FORMAT")]
    pub(crate) file_format: Option<FileFormat>,
    /// Files of rules, each by a --rules of its own; the library that is shipped if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Vec<PathBuf>,
    /// Entries of lists, and snoozes, that hold from the first transaction on, to their ends: CSV,
    /// NDJSON, or the JSON of `millrace lists show --json`
    #[arg(long, value_name = "FILE")]
    pub(crate) lists: Option<PathBuf>,
    /// Where bad rows are written; <FILE>.rejects.ndjson in the working directory if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
}

impl Input {
    /// The files' transactions by time, and who judges them.
    ///
    /// # Errors
    /// The rules are wrong, or the files cannot be read.
    pub(crate) fn open(&self, settings: &Settings) -> anyhow::Result<(Transactions, Judge)> {
        let judge = Judge::new(rules::load(&self.rules)?, settings.detector.dedup_horizon_ms);
        let judge = judge.with_lists(self.lists()?);
        Ok((self.transactions(settings)?, judge))
    }

    /// The lists of the file.
    ///
    /// # Errors
    /// It cannot be read, or lines of it are wrong.
    pub(crate) fn lists(&self) -> anyhow::Result<ListSettings> {
        let read = self.lists.as_deref().map(lists::listings).transpose();
        let listings = read.context("--lists")?;
        Ok(listings.map(|listings| listings.settings()).unwrap_or_default())
    }

    /// The files' transactions by time.
    ///
    /// # Errors
    /// The files cannot be read.
    pub(crate) fn transactions(&self, settings: &Settings) -> anyhow::Result<Transactions> {
        Transactions::open(
            &self.files,
            self.file_format,
            &self.mapping,
            self.rejects.as_deref(),
            settings.detector.event_time.earliest_time.ms(),
        )
    }
}

/// Writes the alerts, and a summary to standard error.
///
/// # Errors
/// The rules are wrong, the files cannot be read, or the alerts not be written.
pub fn command(settings: &Settings, options: &Options) -> anyhow::Result<ExitCode> {
    let (transactions, judge) = options.input.open(settings)?;
    let mut alerts = Lines::create(options.out.as_deref())?;
    let mut incidents = match &options.incidents {
        Some(path) => {
            let desk = Desk::new(options.typologies.as_deref(), judge.version())?;
            Some((desk, Lines::create(Some(path))?))
        }
        None => None,
    };
    let summary = run(transactions, judge, &mut alerts, incidents.as_mut())?;
    alerts.end()?;
    eprintln!("{summary}");
    if let Some((mut desk, mut lines)) = incidents {
        lines.put_ended(&mut desk.end())?;
        let [told, campaigns] = lines.counts;
        lines.end()?;
        eprintln!("{told} incidents, {campaigns} campaigns");
    }
    Ok(ExitCode::SUCCESS)
}

/// Objects, a line each.
struct Lines {
    name: String,
    out: BufWriter<Box<dyn Write>>,
    /// Incidents and campaigns.
    counts: [u64; 2],
}

impl Lines {
    /// Into a new file, or to standard output.
    fn create(path: Option<&Path>) -> anyhow::Result<Self> {
        let name = path.map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
        let out: Box<dyn Write> = match path {
            Some(path) => Box::new(File::create(path).with_context(|| format!("{name} cannot be written"))?),
            None => Box::new(io::stdout().lock()),
        };
        Ok(Self {
            name,
            out: BufWriter::new(out),
            counts: [0; 2],
        })
    }

    fn put(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.out, line)
            .map_err(io::Error::from)
            .and_then(|()| self.out.write_all(b"\n"))
            .with_context(|| format!("{} cannot be written", self.name))
    }

    fn put_ended(&mut self, ended: &mut Ended) -> anyhow::Result<()> {
        for incident in ended.incidents.drain(..) {
            self.counts[0] += 1;
            self.put(&Line::of_incident(&incident))?;
        }
        for campaign in ended.campaigns.drain(..) {
            self.counts[1] += 1;
            self.put(&Line::of_campaign(&campaign))?;
        }
        Ok(())
    }

    fn end(mut self) -> anyhow::Result<()> {
        let flushed = self.out.flush();
        flushed.with_context(|| format!("{} cannot be written", self.name))
    }
}

fn run(
    mut transactions: Transactions,
    mut judge: Judge,
    alerts: &mut Lines,
    mut incidents: Option<&mut (Desk, Lines)>,
) -> anyhow::Result<Summary> {
    let mut summary = Summary::default();
    let hash = judge.version().hash().to_string();
    let mut ended = Ended::default();
    loop {
        let _round = InFlight::begin();
        let Some(transaction) = transactions.read()? else {
            break;
        };
        let Judged::New(fired) = judge.judge(&transaction) else {
            summary.duplicates += 1;
            continue;
        };
        let alerting: Vec<_> = fired.iter().filter(|fired| fired.alerts).cloned().collect();
        summary.count(&transaction, alerting.len());
        for fired in &alerting {
            alerts.put(&Alert::new(judge.evaluator(), &hash, &transaction, fired))?;
        }
        if let Some((desk, lines)) = incidents.as_deref_mut() {
            desk.take(judge.version(), &transaction, &alerting, &mut ended);
            lines.put_ended(&mut ended)?;
        }
    }
    summary.finish(&judge, transactions.rejected());
    Ok(summary)
}

/// A time in RFC 3339, UTC; its milliseconds where that has no year for it.
pub(crate) fn time_text(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests;
