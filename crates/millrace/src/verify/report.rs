//! What a verification says: one row for each check.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

/// The outcome of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it must be.
    Passed,
    /// Not as it must be.
    Failed,
    /// Not complete yet: a window that is not closed, or a run that has not ended.
    Open,
    /// Nothing to compare with; shown for the reader.
    Info,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Open => "open",
            Self::Info => "",
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
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

/// The same in three figures. A transaction that is in the aggregates or on the late topic has been counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Transactions that the brokers acknowledged, each once.
    pub acknowledged: u64,
    /// Those that are not counted.
    pub lost: u64,
    /// Those that are counted once too often, and results that are there twice.
    pub doubled: u64,
}

/// Every check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing failed.
    pub passed: bool,
    /// What was lost and doubled.
    pub counts: Counts,
    /// The rows, in order.
    pub checks: Vec<Check>,
}

impl Report {
    /// Judges the checks: a failed one fails the report, an open one too unless `allow_open`.
    #[must_use]
    pub fn of(checks: Vec<Check>, allow_open: bool) -> Self {
        let passed = checks.iter().all(|check| match check.verdict {
            Verdict::Passed | Verdict::Info => true,
            Verdict::Open => allow_open,
            Verdict::Failed => false,
        });
        let counts = Counts::default();
        Self {
            passed,
            counts,
            checks,
        }
    }

    /// Whether looking again later may turn a failed report into a passed one.
    #[must_use]
    pub fn may_change(&self) -> bool {
        let mut bad = self
            .checks
            .iter()
            .filter(|check| check.verdict == Verdict::Failed);
        !self.passed && bad.all(|check| check.may_change)
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
            "{table}\nVerification {}: {} checks passed, {} failed, {} open",
            if self.passed { "passed" } else { "FAILED" },
            count(Verdict::Passed),
            count(Verdict::Failed),
            count(Verdict::Open),
        )
    }
}
