//! `millrace detect FILE --mapping M`: the alerts of files of transactions, without any server.

mod alert;
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
use millrace_producer::replay::{FileFormat, Transactions};
use millrace_settings::Settings;

use self::alert::Alert;
pub(crate) use self::judge::{Judge, Judged};
use self::summary::Summary;
use crate::rules;

/// Which files, and by which rules.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Where alerts are written, one JSON object a line; standard output if not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
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
        Ok((self.transactions(settings)?, judge))
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
    let name = options.out.as_deref().unwrap_or(Path::new("standard output"));
    let refused = || format!("{} cannot be written", name.display());
    let out: Box<dyn Write> = match &options.out {
        Some(path) => Box::new(File::create(path).with_context(refused)?),
        None => Box::new(io::stdout().lock()),
    };
    let mut out = BufWriter::new(out);
    let summary = run(transactions, judge, |alert| {
        serde_json::to_writer(&mut out, alert)?;
        out.write_all(b"\n").with_context(refused)
    })?;
    out.flush().with_context(refused)?;
    eprintln!("{summary}");
    Ok(ExitCode::SUCCESS)
}

fn run(
    mut transactions: Transactions,
    mut judge: Judge,
    mut write: impl FnMut(&Alert<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Summary> {
    let mut summary = Summary::default();
    let hash = judge.version().hash().to_string();
    loop {
        let _round = InFlight::begin();
        let Some(transaction) = transactions.read()? else {
            break;
        };
        let Judged::New(fired) = judge.judge(&transaction) else {
            summary.duplicates += 1;
            continue;
        };
        let alerts: Vec<_> = fired.iter().filter(|fired| fired.alerts).cloned().collect();
        summary.count(&transaction, alerts.len());
        for fired in &alerts {
            write(&Alert::new(judge.evaluator(), &hash, &transaction, fired))?;
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
