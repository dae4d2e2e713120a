//! What the commands about lists and snoozes print.

use comfy_table::{ContentArrangement, Table, presets};
use millrace_domain::ListEntry;
use serde::Serialize;

use super::change::Change;
use super::file::{Row, time};

/// Entries, as they are.
///
/// # Errors
/// They cannot be written as JSON.
pub(crate) fn entries(entries: &[&ListEntry], now_ms: i64, json: bool) -> anyhow::Result<()> {
    if json {
        let rows: Vec<_> = entries.iter().map(|entry| Row::of(entry)).collect();
        say!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    if entries.is_empty() {
        say!("none");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["", "name", "kind", "entity", "until", "by", "since", "reason"]);
    for entry in entries {
        let key = &entry.key;
        table.add_row([
            key.purpose.as_str(),
            &key.name,
            key.kind.as_str(),
            &key.entity,
            &until(entry, now_ms),
            &entry.author,
            &time(entry.time_ms),
            &entry.reason,
        ]);
    }
    say!("{table}");
    Ok(())
}

fn until(entry: &ListEntry, now_ms: i64) -> String {
    match entry.until_ms {
        None => "taken away".to_owned(),
        Some(until_ms) if until_ms <= now_ms => format!("{} (over)", time(until_ms)),
        Some(until_ms) => time(until_ms),
    }
}

#[derive(Debug, Serialize)]
struct Made {
    put: Vec<Row>,
    removed: Vec<String>,
    /// Whether the detector goes by it, where that was waited for.
    taken: Option<bool>,
}

/// A change that was made.
///
/// # Errors
/// It cannot be written as JSON.
pub(crate) fn made(change: &Change, taken: Option<bool>, now_ms: i64, json: bool) -> anyhow::Result<()> {
    if json {
        let made = Made {
            put: change.put.iter().map(Row::of).collect(),
            removed: change.removed.iter().map(ToString::to_string).collect(),
            taken,
        };
        say!("{}", serde_json::to_string_pretty(&made)?);
        return Ok(());
    }
    match &change.put[..] {
        [] => {}
        [entry] => say!("{} holds until {}", entry.key, until(entry, now_ms)),
        entries => say!("{} entries hold", entries.len()),
    }
    let over = change.put.iter().filter_map(|entry| entry.until_ms);
    let over = over.filter(|until_ms| *until_ms <= now_ms).count();
    if over > 0 {
        say!("{over} of them are over by now: they hold for earlier event times alone");
    }
    match &change.removed[..] {
        [] if change.put.is_empty() => say!("nothing to take away"),
        [] => {}
        [key] => say!("{key} is taken away"),
        keys => say!("{} entries are taken away", keys.len()),
    }
    match taken {
        Some(true) => say!("every partition of the detector goes by it"),
        Some(false) => say!("not every partition of the detector goes by it yet: does it run?"),
        None => {}
    }
    Ok(())
}
