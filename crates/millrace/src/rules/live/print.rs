//! What the commands about rules in force print.

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use millrace_domain::{RuleChange, RuleChangeStatus};
use millrace_fraud::RuleHistory;
use millrace_settings::Settings;
use serde::Serialize;

use super::diff::Diff;
use super::state::State;
use super::taken::Taken;

/// A change, without its files.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    number: u64,
    status: &'static str,
    action: &'a str,
    time: String,
    author: &'a str,
    approved_by: Option<&'a str>,
    reason: &'a str,
    version: &'a str,
    base: u64,
    proposal: Option<u64>,
    /// Of a proposal: the change that has answered it.
    answer: Option<u64>,
    files: Vec<&'a str>,
    modes: Vec<String>,
}

impl<'a> Told<'a> {
    fn of(change: &'a RuleChange, history: &RuleHistory) -> Self {
        Self {
            number: change.number,
            status: change.status.as_str(),
            action: &change.action,
            time: time(change.time_ms),
            author: &change.author,
            approved_by: change.approved_by.as_deref(),
            reason: &change.reason,
            version: &change.version,
            base: change.base,
            proposal: change.proposal,
            answer: history.answer(change.number).map(|answer| answer.number),
            files: change.files.iter().map(|file| file.name.as_str()).collect(),
            modes: modes(change),
        }
    }
}

fn modes(change: &RuleChange) -> Vec<String> {
    let mode = |(rule, mode): &(String, String)| format!("{rule}: {mode}");
    change.modes.iter().map(mode).collect()
}

fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table
}

/// The changes, the newest first.
pub(super) fn history(history: &RuleHistory, limit: usize, json: bool) -> anyhow::Result<()> {
    let newest = history.changes().rev().take(limit);
    let told: Vec<_> = newest.map(|change| Told::of(change, history)).collect();
    if json {
        say!("{}", serde_json::to_string_pretty(&told)?);
        return Ok(());
    }
    let mut table = table(&["change", "status", "action", "time", "by", "version", "reason"]);
    for told in &told {
        let by = told.approved_by.map_or_else(
            || told.author.to_owned(),
            |second| format!("{} + {second}", told.author),
        );
        let status = match (told.answer, told.proposal) {
            (Some(answer), _) => format!("{} ({answer})", told.status),
            (None, Some(proposal)) => format!("{} (of {proposal})", told.status),
            (None, None) => told.status.to_owned(),
        };
        table.add_row([
            &told.number.to_string(),
            &status,
            told.action,
            &told.time,
            &by,
            short(told.version),
            told.reason,
        ]);
    }
    say!("{table}");
    Ok(())
}

#[derive(Debug, Serialize)]
struct Listed<'a> {
    name: &'a str,
    revision: String,
    severity: &'static str,
    mode: String,
    /// From when on all windows that it asks for are whole.
    exact_from: Option<String>,
    /// Since when it learns what it asks for without a window.
    learns_since: Option<String>,
    reason: &'a str,
}

#[derive(Debug, Serialize)]
struct List<'a> {
    /// `None` of the configuration's files.
    change: Option<Told<'a>>,
    version: Option<String>,
    rules: Vec<Listed<'a>>,
    partitions: &'a [Taken],
}

/// The rules that are judged by.
pub(super) fn list(state: &State, taken: &[Taken], json: bool) -> anyhow::Result<()> {
    let rules = state.version.as_ref().map_or(&[][..], |version| version.rules());
    let rules: Vec<_> = rules
        .iter()
        .enumerate()
        .map(|(at, rule)| {
            let known = state.known.get(at).copied().unwrap_or_default();
            Listed {
                name: rule.name(),
                revision: rule.revision().to_string(),
                severity: rule.severity().as_str(),
                mode: rule.mode().to_string(),
                exact_from: known.exact_from_ms.map(time),
                learns_since: known.learns_since_ms.map(time),
                reason: rule.reason(),
            }
        })
        .collect();
    let empty = RuleHistory::default();
    let list = List {
        change: state.change.as_ref().map(|change| Told::of(change, &empty)),
        version: state.version.as_ref().map(|version| version.hash().to_string()),
        rules,
        partitions: taken,
    };
    if json {
        say!("{}", serde_json::to_string_pretty(&list)?);
        return Ok(());
    }
    match &list.change {
        Some(change) => say!(
            "change {} ({}) by {} at {}: {}",
            change.number,
            change.action,
            change.author,
            change.time,
            change.reason
        ),
        None => say!("no change yet: the rules are those of detector.rules.files"),
    }
    let mut table = table(&["rule", "severity", "mode", "exact from", "learns since", "reason"]);
    for rule in &list.rules {
        table.add_row([
            rule.name,
            rule.severity,
            &rule.mode,
            rule.exact_from.as_deref().unwrap_or("-"),
            rule.learns_since.as_deref().unwrap_or("-"),
            rule.reason,
        ]);
    }
    say!("{table}");
    let number = list.change.as_ref().map_or(0, |change| change.number);
    say!("{}", judging(taken, number));
    Ok(())
}

fn judging(taken: &[Taken], number: u64) -> String {
    let count = taken.iter().filter(|taken| taken.change == Some(number)).count();
    format!(
        "{count} of {} partitions of the detector judge by them",
        taken.len()
    )
}

#[derive(Debug, Serialize)]
struct Made<'a> {
    change: Told<'a>,
    diff: Diff,
    /// Rules that ask for features whose windows are not whole yet, and from when on they are.
    exact_from: Vec<(String, String)>,
    /// Whether the detector judges by it, where that was waited for.
    taken: Option<bool>,
}

/// The rules that are exact after `now_ms` alone, and from when on.
fn exact_later(state: &State, now_ms: i64) -> Vec<(String, String)> {
    let rules = state.version.iter().flat_map(|version| version.rules());
    let later = rules.zip(&state.known).filter_map(|(rule, known)| {
        let at_ms = known.exact_from_ms.filter(|at_ms| *at_ms > now_ms)?;
        Some((rule.name().to_owned(), time(at_ms)))
    });
    later.collect()
}

/// A change that was made.
pub(super) fn change(
    settings: &Settings,
    (before, after): (&RuleHistory, &RuleHistory),
    change: &RuleChange,
    taken: Option<bool>,
    json: bool,
) -> anyhow::Result<()> {
    // It is made by now: what cannot be shown of the rules before must not look like a failure.
    let version = |history| State::of(settings, history).ok().and_then(|state| state.version);
    let rules = super::change::Rules::of(change);
    let diff = match change.status {
        RuleChangeStatus::Rejected => Diff::default(),
        _ => Diff::of(
            version(before).as_deref(),
            rules.policy(settings)?.version().map(|version| &**version),
        ),
    };
    let later = match (change.status, State::of(settings, after)) {
        (RuleChangeStatus::InForce, Ok(state)) => exact_later(&state, change.time_ms),
        _ => Vec::new(),
    };
    let made = Made {
        change: Told::of(change, after),
        diff,
        exact_from: later,
        taken,
    };
    if json {
        say!("{}", serde_json::to_string_pretty(&made)?);
        return Ok(());
    }
    let number = change.number;
    match change.status {
        RuleChangeStatus::InForce => {
            say!("change {number} is in force, version {}", short(&change.version));
        }
        RuleChangeStatus::Proposed => say!(
            "change {number} is proposed: it holds once a second person runs `millrace rules approve {number}`"
        ),
        RuleChangeStatus::Rejected => say!("the proposal {} is rejected", change.proposal.unwrap_or(0)),
    }
    if change.status != RuleChangeStatus::Rejected {
        say!("{}", made.diff.lines().join("\n"));
    }
    if !change.modes.is_empty() {
        say!("modes other than the files': {}", modes(change).join(", "));
    }
    for (rule, at) in &made.exact_from {
        say!("{rule} counts from this change on, and is exact from {at} on");
    }
    match taken {
        Some(true) => say!("every partition of the detector judges by it"),
        Some(false) => say!("not every partition of the detector judges by it yet: does it run?"),
        None => {}
    }
    Ok(())
}
