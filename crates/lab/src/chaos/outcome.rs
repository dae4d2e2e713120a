//! What a fault came to.

use std::fmt;

use comfy_table::{Cell, CellAlignment, Table, presets};
use millrace_verify::Report;
use millrace_verify::repeat::Difference;
use serde::Serialize;

use super::fault::Fault;

/// How long it took until everything was at the head of the stream again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recovery {
    /// From what.
    pub what: String,
    /// Seconds since it was done.
    pub from_fault_s: f64,
    /// Seconds since the last partitions were assigned to a worker; `None` where none were, or not
    /// to one job.
    pub from_assigned_s: Option<f64>,
    /// Processor time of that worker's process since its start, in seconds.
    pub worker_cpu_s: Option<f64>,
    /// Services that ended by themselves and were started again meanwhile.
    pub restarts: u32,
    /// How much of the machine's processor time was worked meanwhile, from 0 to 1.
    pub machine_busy_share: Option<f64>,
}

/// The state at the end of the stream, against what it must be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// The sums, to the cent.
    pub verification: Report,
    /// The anomalies, against an undisturbed run.
    pub anomalies: Difference,
    /// All that both stages of aggregation have written, late records and dead letters too, against
    /// an undisturbed run.
    pub outputs: Vec<Difference>,
    /// Partitions that an open transaction holds back.
    pub lingering_transactions: Vec<String>,
}

impl Judgement {
    /// Whether everything is as if nothing had happened.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.verification.passed && self.differences().is_empty() && self.lingering_transactions.is_empty()
    }

    /// What differs from an undisturbed run.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let all = std::iter::once(&self.anomalies).chain(&self.outputs);
        let wrong = all.filter(|difference| !difference.is_none());
        wrong.map(ToString::to_string).collect()
    }

    /// Transactions and anomalies that are missing.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.verification.counts.lost + self.anomalies.missing
    }

    /// Transactions, aggregates and anomalies that are there too often.
    #[must_use]
    pub fn doubled(&self) -> u64 {
        self.verification.counts.doubled + self.anomalies.doubled
    }
}

/// One fault's row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Its name.
    pub fault: String,
    /// What was done.
    pub done: String,
    /// Whether everything was as it must be.
    pub passed: bool,
    /// Why it could not be tried to its end.
    pub error: Option<String>,
    /// The times to recover.
    pub recoveries: Vec<Recovery>,
    /// Transactions acknowledged, each once.
    pub acknowledged: u64,
    /// Transactions and anomalies missing.
    pub lost: u64,
    /// Transactions, aggregates and anomalies there too often.
    pub doubled: u64,
    /// The judgement in full; `None` after an error.
    pub judgement: Option<Judgement>,
    /// How long it took from the start of the services to their end, in seconds.
    pub seconds: f64,
}

impl Outcome {
    /// The row of a fault that was tried to its end; the time it took is added by whoever has
    /// measured it.
    #[must_use]
    pub fn of(fault: Fault, judgement: Judgement, recoveries: Vec<Recovery>) -> Self {
        Self {
            fault: fault.to_string(),
            done: fault.describe(),
            passed: judgement.passed(),
            error: None,
            recoveries,
            acknowledged: judgement.verification.counts.acknowledged,
            lost: judgement.lost(),
            doubled: judgement.doubled(),
            judgement: Some(judgement),
            seconds: 0.0,
        }
    }

    /// The row of a fault that could not be tried to its end.
    #[must_use]
    pub fn failed(fault: Fault, error: &anyhow::Error) -> Self {
        Self {
            fault: fault.to_string(),
            done: fault.describe(),
            passed: false,
            error: Some(format!("{error:#}")),
            recoveries: Vec::new(),
            acknowledged: 0,
            lost: 0,
            doubled: 0,
            judgement: None,
            seconds: 0.0,
        }
    }

    fn verdict(&self) -> &'static str {
        match (&self.error, self.passed) {
            (Some(_), _) => "ERROR",
            (None, true) => "passed",
            (None, false) => "FAILED",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} after {:.0} s",
            self.fault,
            self.verdict(),
            self.seconds
        )?;
        if let Some(error) = &self.error {
            write!(f, ": {error}")?;
        }
        let Some(judgement) = self.judgement.as_ref().filter(|_| !self.passed) else {
            return Ok(());
        };
        write!(
            f,
            ": {} lost, {} doubled; differences: {:?}; open transactions: {:?}\n{}",
            self.lost,
            self.doubled,
            judgement.differences(),
            judgement.lingering_transactions,
            judgement.verification.to_table()
        )
    }
}

/// The outcomes as a table, a line for each recovery.
#[must_use]
pub fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "fault",
        "recovered from",
        "after s",
        "from assigned s",
        "worker CPU s",
        "restarts",
        "machine busy",
        "acknowledged",
        "lost",
        "doubled",
        "anomalies",
        "",
    ]);
    for outcome in outcomes {
        add_rows(outcome, &mut table);
    }
    table
}

fn add_rows(outcome: &Outcome, table: &mut Table) {
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let seconds = |value: Option<f64>| right(value.map_or_else(String::new, |it| format!("{it:.1}")));
    let count = |value: Option<u64>| right(value.map_or_else(String::new, |it| it.to_string()));
    let judged = outcome.judgement.as_ref();
    // A fault without a recovery has a line all the same.
    for index in 0..outcome.recoveries.len().max(1) {
        let recovery = outcome.recoveries.get(index);
        let is_first = index == 0;
        let judged = judged.filter(|_| is_first);
        let busy = recovery.and_then(|it| it.machine_busy_share);
        table.add_row([
            Cell::new(if is_first { outcome.fault.as_str() } else { "" }),
            Cell::new(recovery.map_or("", |it| it.what.as_str())),
            seconds(recovery.map(|it| it.from_fault_s)),
            seconds(recovery.and_then(|it| it.from_assigned_s)),
            seconds(recovery.and_then(|it| it.worker_cpu_s)),
            count(recovery.map(|it| u64::from(it.restarts))),
            right(busy.map_or_else(String::new, |it| format!("{:.0} %", it * 100.0))),
            count(judged.map(|it| it.verification.counts.acknowledged)),
            count(judged.map(Judgement::lost)),
            count(judged.map(Judgement::doubled)),
            count(judged.map(|it| it.anomalies.undisturbed)),
            Cell::new(if is_first { outcome.verdict() } else { "" }),
        ]);
    }
}
