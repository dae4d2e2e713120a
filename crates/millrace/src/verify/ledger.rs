//! The producers' ledgers: every run in the folder, added.

use std::path::Path;

use anyhow::{Context, bail};
use millrace_domain::{Currency, Sum};
use millrace_producer::ledger::{LedgerFile, WindowLine};

use super::compare::Expected;
use super::totals::{Totals, Windows, add_to};

/// Reads every ledger of `topic` in `folder`. Windows of another size than `window_ms` are put together where they fit.
///
/// # Errors
/// The folder or a file cannot be read, or a ledger's windows do not fit the aggregator's.
pub fn read(folder: &Path, topic: &str, window_ms: i64) -> anyhow::Result<Expected> {
    let mut expected = Expected {
        window_ms,
        ..Expected::default()
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // No producer has run yet; the comparison says so.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(expected),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read the ledger folder {}", folder.display()));
        }
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        add_file(&path, topic, window_ms, &mut expected)
            .with_context(|| format!("cannot take the ledger {}", path.display()))?;
    }
    expected.unfinished.sort();
    Ok(expected)
}

fn add_file(path: &Path, topic: &str, window_ms: i64, expected: &mut Expected) -> anyhow::Result<()> {
    let text = std::fs::read(path)?;
    let file: LedgerFile = serde_json::from_slice(&text)?;
    if file.topic != topic {
        tracing::info!(ledger = %path.display(), topic = file.topic, "ledger of another topic is left out");
        return Ok(());
    }
    if file.window_ms <= 0 || window_ms % file.window_ms != 0 {
        bail!(
            "its windows of {} ms do not fit aggregator.window_ms, {window_ms} ms: a multiple would",
            file.window_ms
        );
    }
    expected.runs += 1;
    if !file.finished {
        expected.unfinished.push(file.run_id);
    }
    expected.acknowledged += file.acknowledged;
    expected.failed += file.failed;
    expected.malformed += file.malformed;
    expected.labels += file.labels;
    expected.failed_labels += file.failed_labels;
    expected.forgotten_windows += file.forgotten_windows;
    add_lines(&file.windows, window_ms, &mut expected.windows)?;
    add_lines(&file.failed_windows, window_ms, &mut expected.doubtful)
}

fn add_lines(lines: &[WindowLine], window_ms: i64, windows: &mut Windows) -> anyhow::Result<()> {
    for line in lines {
        let totals = Totals {
            purchase_count: line.purchase_count,
            purchase_sum: sum(&line.purchase_sum_units)?,
            refund_count: line.refund_count,
            refund_sum: sum(&line.refund_sum_units)?,
        };
        let start_ms = line.start_ms - line.start_ms.rem_euclid(window_ms);
        add_to(
            windows,
            start_ms,
            Currency::parse(line.currency.as_bytes())?,
            &totals,
        );
    }
    Ok(())
}

fn sum(text: &str) -> anyhow::Result<Sum> {
    let units = text
        .parse()
        .with_context(|| format!("{text:?} is not an integer of 1/10,000"))?;
    Ok(Sum::from_units(units))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(run: &str, topic: &str, window_ms: i64, finished: bool) -> String {
        serde_json::json!({
            "run_id": run, "started_ms": 1, "finished": finished, "topic": topic, "acknowledged": 5, "failed": 1,
            "duplicates": 1, "malformed": 1, "labels": 2, "failed_labels": 0, "window_ms": window_ms,
            "forgotten_windows": 0,
            "windows": [
                {"start_ms": 0, "currency": "EUR", "purchase_count": 1, "purchase_sum_units": "100",
                 "refund_count": 0, "refund_sum_units": "0"},
                {"start_ms": 30_000, "currency": "EUR", "purchase_count": 1, "purchase_sum_units": "11",
                 "refund_count": 1, "refund_sum_units": "7"}
            ],
            "failed_windows": [],
        })
        .to_string()
    }

    #[test]
    fn runs_of_the_topic_are_added_in_the_aggregators_windows() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        write("a.json", ledger("a", "t", 30_000, true));
        write("b.json", ledger("b", "t", 60_000, false));
        write("c.json", ledger("c", "other", 60_000, true));
        write("b.json.tmp", "torn".to_owned());
        let expected = read(folder.path(), "t", 60_000).unwrap();
        assert_eq!(
            (expected.runs, expected.acknowledged, expected.labels),
            (2, 10, 4)
        );
        assert_eq!(expected.unfinished, ["b"]);
        let window = expected.windows[&(0, Currency::parse(b"EUR").unwrap())];
        assert_eq!(
            (window.purchase_count, window.purchase_sum),
            (4, Sum::from_units(222))
        );
        assert_eq!((window.refund_count, window.refund_sum), (2, Sum::from_units(14)));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(&folder.path().join("none"), "t", 60_000).unwrap().runs, 0);
        std::fs::write(folder.path().join("a.json"), ledger("a", "t", 45_000, true)).unwrap();
        let error = format!("{:#}", read(folder.path(), "t", 60_000).unwrap_err());
        assert!(
            error.contains("a.json") && error.contains("45000 ms do not fit"),
            "{error}"
        );
        std::fs::write(folder.path().join("a.json"), "{}").unwrap();
        let error = format!("{:#}", read(folder.path(), "t", 60_000).unwrap_err());
        assert!(
            error.contains("a.json") && error.contains("missing field"),
            "{error}"
        );
    }
}
