//! The producers' ledgers: every run in the folder, added.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use millrace_domain::{Currency, Sum};
use millrace_payments::ledger::WindowLine;
use millrace_publisher::RunTag;
use millrace_publisher::ledger::{LedgerFile, is_running};
use serde::de::DeserializeOwned;

use super::figures::Expected;
use super::totals::{Totals, Windows, add_to, common_window, in_windows_of};

/// Reads every ledger of `topic` in `folder`, in windows that those of every ledger and `window_ms`
/// fit into. A ledger that cannot be read is named in what it gives, and the others are added all
/// the same.
///
/// # Errors
/// The folder cannot be read.
pub fn read(folder: &Path, topic: &str, window_ms: i64) -> anyhow::Result<Expected> {
    let mut expected = Expected {
        window_ms,
        ..Expected::default()
    };
    for (path, is_running) in files(folder)? {
        let added = load(&path).and_then(|file| add(&file, is_running, topic, &mut expected));
        if let Err(error) = added {
            expected.unreadable.push(format!("{}: {error:#}", path.display()));
        }
    }
    for names in [
        &mut expected.unreadable,
        &mut expected.running,
        &mut expected.killed,
    ] {
        names.sort();
    }
    Ok(expected)
}

/// The ledgers in `folder`, each with whether its run goes on, which is asked before the file is
/// read: a run that ends in between has then written all it knew.
///
/// # Errors
/// The folder cannot be read.
pub(crate) fn files(folder: &Path) -> anyhow::Result<Vec<(PathBuf, bool)>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // No producer has run yet; the comparison says so.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read the ledger folder {}", folder.display()));
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let is_running = is_running(&path);
            files.push((path, is_running));
        }
    }
    Ok(files)
}

/// Reads a ledger, whatever it adds up.
///
/// # Errors
/// It is none.
pub(crate) fn load<L: DeserializeOwned>(path: &Path) -> anyhow::Result<LedgerFile<L>> {
    let text = std::fs::read(path)?;
    if text.is_empty() {
        bail!("it is empty");
    }
    Ok(serde_json::from_slice(&text)?)
}

/// One ledger's figures, read to their end before any is added.
fn add(
    file: &LedgerFile<WindowLine>,
    is_running: bool,
    topic: &str,
    expected: &mut Expected,
) -> anyhow::Result<()> {
    if file.topic != topic {
        tracing::info!(
            run = file.run_id,
            topic = file.topic,
            "ledger of another topic is left out"
        );
        return Ok(());
    }
    let window_ms = common_window(expected.window_ms, file.window_ms).with_context(|| {
        format!(
            "its windows of {} ms and those of {} ms of the others fit into none of a day or less",
            file.window_ms, expected.window_ms
        )
    })?;
    let once = windows(&file.windows, window_ms)?;
    let repeated = windows(file.repeated_windows.as_deref().unwrap_or_default(), window_ms)?;
    let tag = file.id_prefix.as_deref().and_then(RunTag::parse);

    if window_ms != expected.window_ms {
        expected.window_ms = window_ms;
        for added in [&mut expected.once, &mut expected.vouched, &mut expected.others] {
            *added = in_windows_of(added, window_ms);
        }
    }
    expected.runs += 1;
    if !file.finished {
        match is_running {
            true => expected.running.push(file.run_id.clone()),
            false => expected.killed.push(file.run_id.clone()),
        }
    }
    // Ids of a run that has not ended may come without it saying so.
    let vouches = tag.filter(|_| file.finished);
    let of_records = match vouches {
        Some(tag) => {
            expected.vouched_ids.insert(tag.to_bytes());
            &mut expected.vouched
        }
        None => &mut expected.others,
    };
    add_all(of_records, &once);
    add_all(of_records, &repeated);
    add_all(&mut expected.once, &once);
    expected.other_runs += u64::from(vouches.is_none());
    expected.acknowledged += file.acknowledged;
    expected.failed += file.failed;
    expected.malformed += file.malformed;
    expected.labels += file.labels;
    expected.failed_labels += file.failed_labels;
    expected.forgotten_windows += file.forgotten_windows;
    Ok(())
}

fn add_all(windows: &mut Windows, more: &Windows) {
    for (&(start_ms, currency), totals) in more {
        add_to(windows, start_ms, currency, totals);
    }
}

fn windows(lines: &[WindowLine], window_ms: i64) -> anyhow::Result<Windows> {
    let mut windows = Windows::new();
    for line in lines {
        let totals = Totals {
            purchase_count: line.purchase_count,
            purchase_sum: sum(&line.purchase_sum_units)?,
            refund_count: line.refund_count,
            refund_sum: sum(&line.refund_sum_units)?,
        };
        let start_ms = line.start_ms - line.start_ms.rem_euclid(window_ms);
        let currency = Currency::parse(line.currency.as_bytes())?;
        add_to(&mut windows, start_ms, currency, &totals);
    }
    Ok(windows)
}

fn sum(text: &str) -> anyhow::Result<Sum> {
    let units = text
        .parse()
        .with_context(|| format!("{text:?} is not an integer of 1/10,000"))?;
    Ok(Sum::from_units(units))
}

#[cfg(test)]
mod tests;
