//! What was read and found, for a person.

use std::fmt;

use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::HumanCount;
use millrace_domain::Transaction;

use super::{Judge, time_text};

/// What was read and found.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// Transactions that were judged.
    pub(super) transactions: u64,
    /// Those that had come before.
    pub(super) duplicates: u64,
    /// Rows that were no transaction.
    pub(super) rejected: u64,
    /// Alerts, of all rules.
    pub(super) alerts: u64,
    /// Transactions with an alert or several.
    pub(super) alerted: u64,
    times_ms: Option<(i64, i64)>,
    version: String,
    /// Name, fired, unknown, quiet.
    pub(super) rules: Vec<(String, u64, u64, u64)>,
}

impl Summary {
    pub(super) fn count(&mut self, transaction: &Transaction, alerts: usize) {
        let time_ms = transaction.transaction_time_ms;
        self.transactions += 1;
        self.alerts += alerts as u64;
        self.alerted += u64::from(alerts > 0);
        let first_ms = self.times_ms.map_or(time_ms, |(first_ms, _)| first_ms);
        self.times_ms = Some((first_ms, time_ms));
    }

    pub(super) fn finish(&mut self, judge: &Judge, rejected: u64) {
        self.rejected = rejected;
        self.version = judge.version().hash().to_string();
        let rules = judge.version().rules().iter().zip(judge.evaluator().tallies());
        self.rules = rules
            .map(|(rule, tally)| (rule.name().to_owned(), tally.fired, tally.unknown, tally.quiet))
            .collect();
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        table.set_header(["rule", "fired", "unknown", "quiet"]);
        let number = |number: u64| Cell::new(HumanCount(number)).set_alignment(CellAlignment::Right);
        for (name, fired, unknown, quiet) in &self.rules {
            table.add_row([Cell::new(name), number(*fired), number(*unknown), number(*quiet)]);
        }
        writeln!(f, "{table}")?;
        let times = self
            .times_ms
            .map(|(first_ms, last_ms)| format!(", {} to {}", time_text(first_ms), time_text(last_ms)));
        writeln!(
            f,
            "{} transactions{}; {} duplicates; {} rejected",
            HumanCount(self.transactions),
            times.unwrap_or_default(),
            HumanCount(self.duplicates),
            HumanCount(self.rejected),
        )?;
        write!(
            f,
            "{} alerts for {} transactions; rules {}",
            HumanCount(self.alerts),
            HumanCount(self.alerted),
            self.version
        )
    }
}
