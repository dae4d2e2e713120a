//! What was measured, for a person.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::HumanCount;

use super::report::{Report, TimeToDetect};

/// The whole report as text.
pub(super) fn shown(report: &Report) -> String {
    let mut text = heading(report);
    // Writing to memory does not fail.
    let _ = writeln!(
        text,
        "average precision {}  AUC ROC {}  card precision at {} a day {} over {} days (ceiling {})",
        figure(report.average_precision),
        figure(report.roc_auc),
        report.card_precision.top_k,
        figure(Some(report.card_precision.mean)),
        report.card_precision.days,
        figure(Some(report.card_precision.ceiling)),
    );
    for value in &report.value_detected {
        let _ = writeln!(
            text,
            "value detected {}: {} of {} {}",
            figure(Some(value.rate)),
            value.alerted,
            value.fraud,
            value.currency
        );
    }
    let _ = writeln!(text, "{}", delays(&report.time_to_detect));
    let tables = [budgets(report), scenarios(report), rules(report)];
    for table in tables.into_iter().filter(|table| !table.is_empty()) {
        let _ = writeln!(text, "\n{table}");
    }
    let _ = write!(
        text,
        "a transaction's score is the sum of its alerts' scores, 1 for a rule without one; of equal scores the \
         earlier comes first, and in average precision they are one step; rules {}",
        report.rule_set_version
    );
    text
}

fn heading(report: &Report) -> String {
    let mut text = format!(
        "{} transactions of {} users, {} to {}, {} of them fraud\n",
        count(report.transactions),
        count(report.users),
        report.first,
        report.last,
        count(report.frauds)
    );
    let _ = writeln!(
        text,
        "before them {} to warm up; {} users left out as known; {} duplicates; {} rejected",
        count(report.warm_up_transactions),
        count(report.known_users),
        HumanCount(report.duplicates),
        HumanCount(report.rejected)
    );
    text
}

fn count(number: usize) -> HumanCount {
    HumanCount(number as u64)
}

fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

fn delays(found: &TimeToDetect) -> String {
    let hours = |seconds: Option<f64>| {
        seconds.map_or_else(
            || "never".to_owned(),
            |seconds| format!("{:.1} h", seconds / 3_600.0),
        )
    };
    format!(
        "time to detect of {} defrauded users: p50 {}, p90 {}, p99 {}; {} never",
        found.users,
        hours(found.p50_s),
        hours(found.p90_s),
        hours(found.p99_s),
        found.never
    )
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(header.to_vec());
    table
}

fn right(text: &impl ToString) -> Cell {
    Cell::new(text.to_string()).set_alignment(CellAlignment::Right)
}

fn budgets(report: &Report) -> Table {
    let mut table = table(&["looked into", "transactions", "frauds", "precision", "recall"]);
    for budget in &report.budgets {
        table.add_row([
            Cell::new(format!("{} of 10,000", budget.per_10_000)),
            right(&HumanCount(budget.looked_into)),
            right(&HumanCount(budget.caught)),
            right(&figure(budget.precision)),
            right(&figure(budget.recall)),
        ]);
    }
    let alerted = &report.alerted;
    table.add_row([
        Cell::new("every alert"),
        right(&count(alerted.transactions)),
        right(&count(alerted.caught)),
        right(&figure(alerted.precision)),
        right(&figure(alerted.recall)),
    ]);
    table
}

fn scenarios(report: &Report) -> Table {
    let mut table = table(&["kind of fraud", "frauds", "recall of alerts", "recall at 1 %"]);
    for scenario in &report.scenarios {
        table.add_row([
            Cell::new(&scenario.name),
            right(&count(scenario.frauds)),
            right(&figure(scenario.recall_of_alerts)),
            right(&figure(scenario.recall_at_1_percent)),
        ]);
    }
    table
}

fn rules(report: &Report) -> Table {
    let mut table = table(&["rule", "alerts", "frauds", "precision", "recall"]);
    for rule in &report.rules {
        table.add_row([
            Cell::new(&rule.rule),
            right(&count(rule.alerts)),
            right(&count(rule.caught)),
            right(&figure(rule.precision)),
            right(&figure(rule.recall)),
        ]);
    }
    table
}
