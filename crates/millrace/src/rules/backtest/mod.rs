//! A backtest: two sets of rules over the same transactions, read once.

mod compare;
mod examples;
mod incidents;
mod print;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use millrace_domain::Transaction;
use millrace_domain::texts::InFlight;
use millrace_fraud::ListSettings;
use millrace_producer::replay::{FileFormat, parse_time};
use millrace_rules::Version;
use millrace_settings::Settings;

use self::compare::{Comparison, Difference, Side};
use self::examples::{Examples, Rank};
use self::incidents::Told;
pub(super) use self::print::shown;
pub(super) use self::report::Backtest;
use self::report::Labelled;
use crate::detect::{Input, Judge, Judged};
use crate::evaluate::{Collected, Labels, Measure};

/// What stands for the library that is shipped.
const LIBRARY: &str = "library";
/// Differences that are shown with their evidence, of those added and those removed each.
const EXAMPLES: usize = 20;
/// Users that are looked into on a day, for card precision.
const TOP_K: u32 = 100;

/// Over which transactions, and against which rules.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Backtest")]
#[group(id = "backtest")]
pub(super) struct Options {
    /// Run the rules over a file of transactions (CSV, NDJSON, Parquet) as well, and show what they
    /// change; each file by an --over of its own
    #[arg(long, value_name = "FILE", requires_all = ["mapping", "against"])]
    over: Vec<PathBuf>,
    /// The mapping from the file's columns to a transaction's fields (`millrace map FILE`)
    #[arg(long, value_name = "FILE", requires = "over")]
    mapping: Option<PathBuf>,
    /// csv, ndjson or parquet, if the extension does not say
    #[arg(long, value_name = "FORMAT", requires = "over")]
    file_format: Option<FileFormat>,
    /// Where bad rows are written; <FILE>.rejects.ndjson in the working directory if not given
    #[arg(long, value_name = "FILE", requires = "over")]
    rejects: Option<PathBuf>,
    /// The rules to compare with, each file by an --against of its own; `library` for the library
    /// that is shipped
    #[arg(long, value_name = "FILE", requires = "over")]
    against: Vec<PathBuf>,
    /// Entries of lists, and snoozes, by which both judge: as `--lists` of `millrace detect`
    #[arg(long, value_name = "FILE", requires = "over")]
    lists: Option<PathBuf>,
    /// The column that says whether a transaction is fraud, which the mapping must not read
    #[arg(long, value_name = "COLUMN", requires = "over")]
    labels: Option<String>,
    /// Compare from this time on, as 2018-04-21T00:00:00Z; what is before it warms both up
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires = "over")]
    since: Option<i64>,
    /// Compare what is before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires = "over")]
    until: Option<i64>,
    /// The alerts that can be looked into on a day: days with more are told
    #[arg(long, value_name = "ALERTS", requires = "over")]
    alerts_per_day: Option<u64>,
}

impl Options {
    /// Whether one is asked for.
    pub(super) fn is_given(&self) -> bool {
        !self.over.is_empty()
    }

    fn input(&self) -> anyhow::Result<Input> {
        let mapping = self.mapping.clone();
        Ok(Input {
            files: self.over.clone(),
            mapping: mapping.context("--over needs the file's --mapping")?,
            file_format: self.file_format,
            rules: Vec::new(),
            lists: self.lists.clone(),
            rejects: self.rejects.clone(),
        })
    }

    fn baseline(&self) -> anyhow::Result<Arc<Version>> {
        let rules = match self.against.as_slice() {
            [only] if only.as_path() == Path::new(LIBRARY) => super::load(&[]),
            files => super::load(files),
        };
        rules.context("--against")
    }
}

/// Runs both over the files.
///
/// # Errors
/// The other rules are wrong, the files cannot be read, or a label is none.
pub(super) fn run(settings: &Settings, options: &Options, now: Arc<Version>) -> anyhow::Result<Backtest> {
    let input = options.input()?;
    let before = options.baseline()?;
    // What is wrong with the files is said before the labels are read.
    let mut transactions = input.transactions(settings)?;
    let labels = options
        .labels
        .as_deref()
        .map(|column| Labels::read(&input, column, None))
        .transpose()?;
    let mut both = Both::new(settings, options, (before, now), input.lists()?, labels)?;
    loop {
        let _round = InFlight::begin();
        let Some(transaction) = transactions.read()? else {
            break;
        };
        both.judge(&transaction)?;
    }
    both.finish(options, transactions.rejected())
}

/// Both sets of rules, and what came of them so far.
struct Both {
    before: Judge,
    now: Judge,
    comparison: Comparison,
    /// Before and now.
    told: [Told; 2],
    examples: Examples,
    labelled: Option<(Labels, Collected, Collected)>,
    since_ms: i64,
    until_ms: i64,
    duplicates: u64,
}

impl Both {
    fn new(
        settings: &Settings,
        options: &Options,
        (before, now): (Arc<Version>, Arc<Version>),
        lists: ListSettings,
        labels: Option<Labels>,
    ) -> anyhow::Result<Self> {
        let horizon_ms = settings.detector.dedup_horizon_ms;
        Ok(Self {
            told: [Told::new(&before)?, Told::new(&now)?],
            comparison: Comparison::new(&before, &now),
            examples: Examples::new(EXAMPLES),
            labelled: labels.map(|labels| (labels, Collected::of(&before), Collected::of(&now))),
            before: Judge::new(before, horizon_ms).with_lists(lists.clone()),
            now: Judge::new(now, horizon_ms).with_lists(lists),
            since_ms: options.since.unwrap_or(i64::MIN),
            until_ms: options.until.unwrap_or(i64::MAX),
            duplicates: 0,
        })
    }

    /// Has both judge the next transaction, and compares what they say.
    fn judge(&mut self, transaction: &Transaction) -> anyhow::Result<()> {
        if transaction.transaction_time_ms >= self.until_ms {
            return Ok(());
        }
        let (Judged::New(before), Judged::New(now)) =
            (self.before.judge(transaction), self.now.judge(transaction))
        else {
            self.duplicates += 1;
            return Ok(());
        };
        let mut is_fraud = None;
        if let Some((labels, of_before, of_now)) = &mut self.labelled {
            let label = labels.of(&transaction.transaction_id)?;
            is_fraud = Some(label.is_fraud);
            of_before.take(transaction, before, label);
            of_now.take(transaction, now, label);
        }
        if transaction.transaction_time_ms < self.since_ms {
            return Ok(());
        }
        self.told[0].take(transaction, before);
        self.told[1].take(transaction, now);
        let differences = self.comparison.take(transaction, before, now);
        for Difference { side, fired } in differences {
            let judge = match side {
                Side::Before => &self.before,
                Side::Now => &self.now,
            };
            let rank = Rank::new(is_fraud, fired.score, transaction.transaction_time_ms);
            self.examples
                .offer(side, rank, judge.evaluator(), transaction, &fired, is_fraud);
        }
        Ok(())
    }

    fn finish(mut self, options: &Options, rejected: u64) -> anyhow::Result<Backtest> {
        let labelled = match (&self.labelled, &options.labels) {
            (Some((labels, before, now)), Some(column)) => {
                let measure = Measure {
                    labels: column,
                    since_ms: options.since,
                    remove_known_users: false,
                    top_k: TOP_K,
                };
                Some(Labelled::new(before, now, labels, &measure)?)
            }
            _ => None,
        };
        let versions = (self.before.version(), self.now.version());
        let mut backtest = Backtest::new(&self.comparison, versions, options.alerts_per_day);
        for told in &mut self.told {
            told.end();
        }
        let [before, now] = &self.told;
        (backtest.before.incidents, backtest.now.incidents) = (before.count(), now.count());
        backtest.incidents_added = now.not_in(before);
        backtest.incidents_removed = before.not_in(now);
        backtest.duplicates = self.duplicates;
        backtest.rejected = rejected;
        (backtest.most_telling_added, backtest.most_telling_removed) = self.examples.into_lists();
        backtest.labelled = labelled;
        Ok(backtest)
    }
}

#[cfg(test)]
mod tests;
