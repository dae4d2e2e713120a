//! What came of a backtest, for a person.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::HumanCount;

use super::examples::Example;
use super::report::{Backtest, Labelled, Outcome};
use crate::evaluate::Report;

/// The whole answer as text.
pub(in crate::rules) fn shown(backtest: &Backtest) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", heading(backtest));
    let _ = writeln!(text, "{}\n{}", rules(backtest), sides(backtest));
    for (what, examples) in [
        ("added", &backtest.most_telling_added),
        ("removed", &backtest.most_telling_removed),
    ] {
        if !examples.is_empty() {
            let _ = writeln!(text, "the most telling alerts that are {what}:");
        }
        for example in examples {
            let _ = writeln!(text, "{}", line(example));
        }
    }
    let _ = write!(text, "{}", conclusion(backtest));
    text
}

fn heading(backtest: &Backtest) -> String {
    let (Some(first), Some(last)) = (&backtest.first, &backtest.last) else {
        return "no transaction is left to compare: look at --since, --until and the reject file".to_owned();
    };
    format!(
        "{} transactions, {first} to {last}; {} duplicates; {} rejected",
        HumanCount(backtest.transactions),
        HumanCount(backtest.duplicates),
        HumanCount(backtest.rejected)
    )
}

fn conclusion(backtest: &Backtest) -> String {
    if backtest.is_same() {
        return "no alert is added, removed or changed".to_owned();
    }
    format!(
        "{} alerts added, {} removed, {} of another severity, {} of another score; {} transactions more with an \
         alert, {} fewer; {} incidents more, {} fewer; {} users more, {} fewer",
        HumanCount(backtest.alerts_added),
        HumanCount(backtest.alerts_removed),
        HumanCount(backtest.severities_changed),
        HumanCount(backtest.scores_changed),
        HumanCount(backtest.transactions_added),
        HumanCount(backtest.transactions_removed),
        HumanCount(backtest.incidents_added as u64),
        HumanCount(backtest.incidents_removed as u64),
        HumanCount(backtest.users_added as u64),
        HumanCount(backtest.users_removed as u64)
    )
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(header);
    table
}

fn right(text: impl ToString) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// Rules that alert on either side, or whose meaning has changed.
fn rules(backtest: &Backtest) -> Table {
    let mut table = table([
        "rule", "meaning", "before", "now", "added", "removed", "severity", "score",
    ]);
    for rule in &backtest.rules {
        if rule.before + rule.now == 0 && rule.change == "same" {
            continue;
        }
        let number = |number: u64| right(HumanCount(number));
        table.add_row([
            Cell::new(&rule.rule),
            Cell::new(rule.change),
            number(rule.before),
            number(rule.now),
            number(rule.added),
            number(rule.removed),
            number(rule.severity_changed),
            number(rule.score_changed),
        ]);
    }
    table
}

/// Each side by itself, a figure a line.
fn sides(backtest: &Backtest) -> Table {
    let mut table = table(["", "before", "now"]);
    let mut row = |name: &str, of: &dyn Fn(&Outcome) -> String| {
        table.add_row([
            Cell::new(name),
            right(of(&backtest.before)),
            right(of(&backtest.now)),
        ]);
    };
    row("alerts", &|side| HumanCount(side.alerts).to_string());
    row("transactions with an alert", &|side| {
        HumanCount(side.transactions).to_string()
    });
    row("users with an alert", &|side| {
        HumanCount(side.users as u64).to_string()
    });
    row("incidents", &|side| HumanCount(side.incidents as u64).to_string());
    row("alerts a day", &|side| format!("{:.1}", side.alerts_a_day));
    row("busiest day", &|side| {
        side.busiest_day
            .as_ref()
            .map_or_else(|| "-".to_owned(), |day| format!("{} ({})", day.alerts, day.day))
    });
    if let Some(most) = backtest.alerts_per_day {
        row(&format!("days with more than {most}"), &|side| {
            side.days_over.unwrap_or_default().to_string()
        });
    }
    row("bytes a user", &|side| format!("{:.0}", side.bytes_a_user));
    row("ns a record", &|side| format!("{:.0}", side.ns_a_record));
    if let Some(labelled) = &backtest.labelled {
        add_labelled(&mut table, labelled);
    }
    table
}

fn add_labelled(table: &mut Table, labelled: &Labelled) {
    let mut row = |name: &str, of: &dyn Fn(&Report) -> String| {
        table.add_row([
            Cell::new(name),
            right(of(&labelled.before)),
            right(of(&labelled.now)),
        ]);
    };
    let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let hours = |seconds: Option<f64>| {
        seconds.map_or_else(
            || "never".to_owned(),
            |seconds| format!("{:.1} h", seconds / 3_600.0),
        )
    };
    row("frauds with an alert", &|side| {
        format!("{} of {}", side.alerted.caught, side.frauds)
    });
    row("precision of alerts", &|side| figure(side.alerted.precision));
    row("recall of alerts", &|side| figure(side.alerted.recall));
    row("average precision", &|side| figure(side.average_precision));
    row("card precision at 100 a day", &|side| {
        figure(Some(side.card_precision.mean))
    });
    row("time to detect, p50", &|side| hours(side.time_to_detect.p50_s));
    row("defrauded users never detected", &|side| {
        format!("{} of {}", side.time_to_detect.never, side.time_to_detect.users)
    });
    let currencies = labelled.now.value_detected.iter().enumerate();
    for (at, value) in currencies {
        row(&format!("value detected, {}", value.currency), &|side| {
            figure(side.value_detected.get(at).map(|value| value.rate))
        });
    }
}

fn line(example: &Example) -> String {
    let score = example
        .score
        .map_or_else(String::new, |score| format!(", score {score:.2}"));
    let label = match example.is_fraud {
        Some(true) => ", fraud",
        Some(false) => ", no fraud",
        None => "",
    };
    let mut text = format!(
        "  {} {} {} {}: {} ({}{score}{label}), transaction {}",
        example.transaction_time,
        example.user_id,
        example.amount,
        example.currency,
        example.rule,
        example.severity,
        example.transaction_id
    );
    for feature in &example.features {
        let _ = write!(text, "\n      {feature}");
    }
    text
}
