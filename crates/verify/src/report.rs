//! What a verification says: one row for each check.

use std::collections::BTreeSet;
use std::process::ExitCode;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use crate::compare::RUNNING;
use crate::repeat::Difference;

/// The outcome of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it must be.
    Passed,
    /// Not as it must be.
    Failed,
    /// Not complete yet: a window that is not closed, a run that has not ended, or what a job that
    /// is behind may still bring.
    Open,
    /// Could not be read, so that nobody knows.
    Unread,
    /// Nothing to compare with; shown for the reader.
    Info,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Open => "open",
            Self::Unread => "not read",
            Self::Info => "",
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What is compared.
    pub check: String,
    /// What the producer's ledger (or, for Elasticsearch, the topics) says.
    pub expected: String,
    /// What was found.
    pub actual: String,
    /// Actual less expected.
    pub difference: String,
    /// The outcome.
    pub verdict: Verdict,
    /// Whether waiting may still change the outcome: something is missing, not too much.
    #[serde(skip)]
    pub may_change: bool,
}

/// The same in three figures. A transaction that is in the aggregates or on the late topic has been
/// counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Transactions that the brokers acknowledged, each once.
    pub acknowledged: u64,
    /// Those that are not counted.
    pub lost: u64,
    /// Those that are counted once too often, and results that are there twice.
    pub doubled: u64,
}

impl Counts {
    /// With those of another pipeline.
    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            acknowledged: self.acknowledged + other.acknowledged,
            lost: self.lost + other.lost,
            doubled: self.doubled + other.doubled,
        }
    }
}

/// What a verification came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything is as it must be.
    Passed,
    /// Something is not as it must be.
    Failed,
    /// Nothing is known to be wrong, and not everything could be compared: windows or runs are
    /// open, a job is behind, or something could not be read.
    NotFinished,
}

impl Outcome {
    fn of(checks: &[Row], allow_open: bool) -> Self {
        let has = |verdict| checks.iter().any(|check| check.verdict == verdict);
        if has(Verdict::Failed) {
            Self::Failed
        } else if has(Verdict::Unread) || has(Verdict::Open) && !allow_open {
            Self::NotFinished
        } else {
            Self::Passed
        }
    }

    /// The status that `millrace verify` exits with.
    #[must_use]
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Passed => ExitCode::SUCCESS,
            Self::Failed => ExitCode::FAILURE,
            Self::NotFinished => ExitCode::from(NOT_FINISHED),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::NotFinished => "NOT FINISHED",
        }
    }
}

/// The status of a verification that could not be finished; 2 is that of a wrong command line.
const NOT_FINISHED: u8 = 3;

/// Every check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing failed and nothing is open.
    pub passed: bool,
    /// What it came to.
    pub outcome: Outcome,
    /// What was lost and doubled.
    pub counts: Counts,
    /// The rows, in order.
    pub checks: Vec<Row>,
}

impl Report {
    /// Judges the checks: a failed one fails the report, an open one too unless `allow_open`.
    #[must_use]
    pub fn of(checks: Vec<Row>, counts: Counts, allow_open: bool) -> Self {
        let outcome = Outcome::of(&checks, allow_open);
        Self {
            passed: outcome == Outcome::Passed,
            outcome,
            counts,
            checks,
        }
    }

    /// Whether nothing is on its way any more: what is missing of a report that is not settled may
    /// only be late, whatever else has failed for good.
    #[must_use]
    pub fn is_settled(&self, allow_open: bool) -> bool {
        !self.checks.iter().any(|check| match check.verdict {
            Verdict::Failed => check.may_change,
            Verdict::Open => check.may_change && !allow_open,
            Verdict::Unread => true,
            Verdict::Passed | Verdict::Info => false,
        })
    }

    /// Whether it is not finished, with a run that goes on: then some window always is open.
    #[must_use]
    pub fn waits_for_a_run(&self) -> bool {
        let is_open = |check: &Row| check.check == RUNNING && check.verdict == Verdict::Open;
        self.outcome == Outcome::NotFinished && self.checks.iter().any(is_open)
    }

    /// With what differs from an undisturbed run.
    #[must_use]
    pub fn with_differences(mut self, differences: &[Difference], allow_open: bool) -> Self {
        for difference in differences {
            let same = difference.undisturbed - difference.missing - difference.different;
            self.checks.push(Row {
                check: format!("undisturbed run: {}", difference.what),
                expected: difference.undisturbed.to_string(),
                actual: same.to_string(),
                difference: match difference.is_none() {
                    true => "0".to_owned(),
                    false => difference.told(),
                },
                verdict: match difference.is_none() {
                    true => Verdict::Passed,
                    false => Verdict::Failed,
                },
                may_change: false,
            });
        }
        Self::of(self.checks, self.counts, allow_open)
    }

    /// As the report after something could not be read.
    #[must_use]
    pub fn with_unread(mut self, what: &str, why: &str) -> Self {
        self.checks.push(Row {
            check: what.to_owned(),
            expected: "to be read".to_owned(),
            actual: why.to_owned(),
            difference: String::new(),
            verdict: Verdict::Unread,
            may_change: true,
        });
        Self::of(self.checks, self.counts, false)
    }

    /// As the report of a pipeline of which some jobs are behind, each named with what it has not
    /// read: what is missing may still come. `waits_for` gives those that a row waits for.
    #[must_use]
    pub fn with_behind<'a>(mut self, waits_for: impl Fn(&str) -> Vec<&'a str>) -> Self {
        let mut behind = BTreeSet::new();
        for check in &mut self.checks {
            if check.verdict == Verdict::Failed && check.may_change {
                let jobs = waits_for(&check.check);
                if !jobs.is_empty() {
                    check.verdict = Verdict::Open;
                    behind.extend(jobs);
                }
            }
        }
        for job in behind {
            self.checks.push(Row {
                check: "jobs that are behind".to_owned(),
                expected: "none".to_owned(),
                actual: job.to_owned(),
                difference: String::new(),
                verdict: Verdict::Open,
                may_change: true,
            });
        }
        Self::of(self.checks, self.counts, false)
    }

    /// The rows as a table for a terminal, with the outcome below.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header(["check", "expected", "actual", "difference", "verdict"]);
        for check in &self.checks {
            table.add_row([
                Cell::new(&check.check),
                Cell::new(&check.expected).set_alignment(CellAlignment::Right),
                Cell::new(&check.actual).set_alignment(CellAlignment::Right),
                Cell::new(&check.difference).set_alignment(CellAlignment::Right),
                Cell::new(check.verdict.as_str()),
            ]);
        }
        let count = |verdict| {
            self.checks
                .iter()
                .filter(|check| check.verdict == verdict)
                .count()
        };
        format!(
            "{table}\nVerification {}: {} checks passed, {} failed, {} open, {} not read",
            self.outcome.as_str(),
            count(Verdict::Passed),
            count(Verdict::Failed),
            count(Verdict::Open),
            count(Verdict::Unread),
        )
    }
}
