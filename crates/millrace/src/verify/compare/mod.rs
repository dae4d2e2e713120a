//! The comparison itself, without I/O: what the producer's ledger says against what the topics and Elasticsearch hold.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use millrace_domain::Currency;

use super::report::{Check, Counts, Verdict};
use super::rows::{Kind, Rows, difference};
use super::totals::{Totals, Windows, add_to, by_currency};

/// Most windows that get a row of their own; the rest are counted in one.
const MAX_WINDOW_ROWS: usize = 20;

/// What the producers' ledgers say, all runs added.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// Size of the aggregator's windows.
    pub window_ms: i64,
    /// Number of runs.
    pub runs: u64,
    /// Those that have not ended, or were killed.
    pub unfinished: Vec<String>,
    /// Records acknowledged on the transactions' topic.
    pub acknowledged: u64,
    /// Records that may be there or not.
    pub failed: u64,
    /// Acknowledged records that no consumer can take.
    pub malformed: u64,
    /// Acknowledged labels.
    pub labels: u64,
    /// Labels that may be there or not.
    pub failed_labels: u64,
    /// Windows that the ledgers had no room for.
    pub forgotten_windows: u64,
    /// Acknowledged transactions, each once.
    pub windows: Windows,
    /// Transactions that may be there or not, each once.
    pub doubtful: Windows,
}

/// Dead letters of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeadLetters {
    /// Different source records.
    pub records: u64,
    /// Copies beyond the first of each.
    pub copies: u64,
    /// Whether the service writes in transactions, so that there must be no copies.
    pub exactly_once: bool,
}

/// What the topics hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Records in the transactions' topic; `None` where retention has removed some.
    pub transactions: Option<u64>,
    /// The final results, added up.
    pub aggregates: Windows,
    /// Number of final results, by merchant, currency and window.
    pub aggregate_count: u64,
    /// Records with a key, window and revision that was there before.
    pub doubled_aggregates: u64,
    /// Final results below an early one of the same key and window.
    pub shrunken_aggregates: u64,
    /// Early results.
    pub early_results: u64,
    /// Sizes of the aggregates' windows.
    pub window_sizes_ms: BTreeSet<i64>,
    /// Start of the last window that has an aggregate.
    pub last_window_ms: Option<i64>,
    /// Transactions on the late topic of which no copy was in time, each once.
    pub late: Windows,
    /// Those on the late topic of which a copy was in time.
    pub late_copies: u64,
    /// Dead letters of the transactions' topic by service.
    pub dead_letters: BTreeMap<String, DeadLetters>,
    /// Different anomalies.
    pub anomalies: u64,
    /// Anomalies with an id that was there before.
    pub doubled_anomalies: u64,
    /// Labels.
    pub labels: u64,
    /// Records of the result topics that could not be decoded.
    pub undecodable: u64,
}

/// What Elasticsearch holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Indexed {
    /// Aggregates by window and currency.
    pub aggregates: Windows,
    /// Number of documents of final results.
    pub aggregate_count: u64,
    /// Number of anomaly documents.
    pub anomalies: u64,
}

/// Compares everything. `indexed` is `None` where Elasticsearch is left out.
#[must_use]
pub fn compare(expected: &Expected, observed: &Observed, indexed: Option<&Indexed>) -> Vec<Check> {
    let mut rows = Rows::new(!expected.unfinished.is_empty());
    runs(expected, observed, &mut rows);
    if let Some(transactions) = observed.transactions {
        let name = "records in the transactions topic";
        rows.count(name, expected.acknowledged, expected.failed, transactions);
    }
    windows(expected, observed, &mut rows);
    rows.info("late copies of what is in the aggregates", observed.late_copies);
    rows.never("aggregates twice with one revision", observed.doubled_aggregates);
    rows.never("final results below an early one", observed.shrunken_aggregates);
    rows.info("early results", observed.early_results);
    dead_letters(expected, observed, &mut rows);
    rows.never("anomalies with an id twice", observed.doubled_anomalies);
    rows.info("anomalies", observed.anomalies);
    rows.count(
        "fraud labels",
        expected.labels,
        expected.failed_labels,
        observed.labels,
    );
    rows.never("results that cannot be decoded", observed.undecodable);
    if let Some(indexed) = indexed {
        in_elasticsearch(observed, indexed, &mut rows);
    }
    rows.checks
}

/// How many transactions are missing from, or too much in, the windows; open windows count as missing.
#[must_use]
pub fn counts(expected: &Expected, observed: &Observed) -> Counts {
    let mut actual = observed.aggregates.clone();
    for (&(start_ms, currency), totals) in &observed.late {
        add_to(&mut actual, start_ms, currency, totals);
    }
    let count = |totals: Option<&Totals>| totals.map_or(0, |it| it.purchase_count + it.refund_count);
    let mut counts = Counts {
        doubled: observed.doubled_aggregates + observed.doubled_anomalies,
        ..Counts::default()
    };
    let keys: BTreeSet<_> = expected.windows.keys().chain(actual.keys()).collect();
    for key in keys {
        let (least, found) = (count(expected.windows.get(key)), count(actual.get(key)));
        let most = least + count(expected.doubtful.get(key));
        counts.acknowledged += least;
        counts.lost += least.saturating_sub(found);
        counts.doubled += found.saturating_sub(most);
    }
    counts
}

fn runs(expected: &Expected, observed: &Observed, rows: &mut Rows) {
    rows.info("producer runs", expected.runs);
    if rows.live {
        let names = expected.unfinished.join(", ");
        rows.push("runs that have not ended", "none", names, "", Verdict::Open, true);
    }
    if expected.forgotten_windows > 0 {
        let forgotten = expected.forgotten_windows;
        rows.push(
            "windows that the ledger forgot",
            0,
            forgotten,
            forgotten,
            Verdict::Failed,
            false,
        );
    }
    let other_sizes = observed
        .window_sizes_ms
        .iter()
        .filter(|&&size| size != expected.window_ms);
    for size in other_sizes {
        rows.push(
            "size of the windows, ms",
            expected.window_ms,
            size,
            "",
            Verdict::Failed,
            false,
        );
    }
    if expected.runs == 0 {
        rows.push("ledgers found", "at least 1", 0, "", Verdict::Failed, false);
    }
}

fn windows(expected: &Expected, observed: &Observed, rows: &mut Rows) {
    let mut actual = observed.aggregates.clone();
    for (&(start_ms, currency), totals) in &observed.late {
        add_to(&mut actual, start_ms, currency, totals);
    }
    let last = observed.last_window_ms;
    let is_open = |start_ms: i64| last.is_none_or(|last| start_ms > last);
    // A record that may be there or not need not have made a window.
    let open: BTreeSet<i64> = expected
        .windows
        .keys()
        .map(|key| key.0)
        .filter(|&start| is_open(start))
        .collect();
    if !open.is_empty() {
        rows.push(
            "windows not closed yet",
            0,
            open.len(),
            open.len(),
            Verdict::Open,
            true,
        );
    }
    let closed = |windows: &Windows| -> Windows {
        let closed = windows.iter().filter(|((start, _), _)| !open.contains(start));
        closed.map(|(key, totals)| (*key, *totals)).collect()
    };
    let (least, doubtful, actual) = (
        closed(&expected.windows),
        closed(&expected.doubtful),
        closed(&actual),
    );
    totals_by_currency(&least, &doubtful, &actual, rows);
    each_window("windows by currency", &least, &doubtful, &actual, rows);
    let late: u64 = observed
        .late
        .values()
        .map(|totals| totals.purchase_count + totals.refund_count)
        .sum();
    rows.info("late transactions", late);
}

fn totals_by_currency(least: &Windows, doubtful: &Windows, actual: &Windows, rows: &mut Rows) {
    let (least, doubtful, actual) = (by_currency(least), by_currency(doubtful), by_currency(actual));
    let currencies: BTreeSet<Currency> = [&least, &doubtful, &actual]
        .into_iter()
        .flat_map(BTreeMap::keys)
        .copied()
        .collect();
    for currency in currencies {
        let of = |totals: &BTreeMap<Currency, Totals>| totals.get(&currency).copied().unwrap_or_default();
        let (least, doubtful, actual) = (of(&least), of(&doubtful), of(&actual));
        for kind in [Kind::Purchases, Kind::Refunds] {
            let name = format!("{currency} {}", kind.name());
            let (wanted, found, doubt) = (kind.of(&least), kind.of(&actual), kind.of(&doubtful));
            let verdict = rows.verdict(found.is_within(&wanted, &doubt), !found.exceeds(&wanted, &doubt));
            rows.push(
                &name,
                kind.show(&wanted, &doubt),
                kind.show(&found, &Totals::default()),
                kind.difference(&wanted, &found),
                verdict.0,
                verdict.1,
            );
        }
    }
}

fn each_window(name: &str, least: &Windows, doubtful: &Windows, actual: &Windows, rows: &mut Rows) {
    let nothing = Totals::default();
    let keys: BTreeSet<_> = [least, doubtful, actual]
        .into_iter()
        .flat_map(BTreeMap::keys)
        .copied()
        .collect();
    let mut wrong = 0_usize;
    let mut missing_only = true;
    for key in &keys {
        let of = |windows: &Windows| windows.get(key).copied().unwrap_or(nothing);
        let (wanted, doubt, found) = (of(least), of(doubtful), of(actual));
        if found.is_within(&wanted, &doubt) {
            continue;
        }
        wrong += 1;
        missing_only &= !found.exceeds(&wanted, &doubt);
        if wrong > MAX_WINDOW_ROWS {
            continue;
        }
        for kind in [Kind::Purchases, Kind::Refunds] {
            let (wanted, doubt, found) = (kind.of(&wanted), kind.of(&doubt), kind.of(&found));
            if !found.is_within(&wanted, &doubt) {
                let verdict = rows.verdict(false, !found.exceeds(&wanted, &doubt));
                rows.push(
                    &format!("window {} {} {}", time(key.0), key.1, kind.name()),
                    kind.show(&wanted, &doubt),
                    kind.show(&found, &nothing),
                    kind.difference(&wanted, &found),
                    verdict.0,
                    verdict.1,
                );
            }
        }
    }
    let right = keys.len() - wrong;
    let verdict = rows.verdict(wrong == 0, missing_only);
    rows.push(
        name,
        keys.len(),
        right,
        difference(keys.len() as i128, right as i128),
        verdict.0,
        verdict.1,
    );
}

fn dead_letters(expected: &Expected, observed: &Observed, rows: &mut Rows) {
    if !observed.dead_letters.values().any(|letters| letters.exactly_once) {
        rows.count("dead letters", expected.malformed, 0, 0);
    }
    for (service, letters) in &observed.dead_letters {
        let name = format!("dead letters of {service}");
        if letters.exactly_once {
            // What is in doubt may be malformed as well.
            rows.count(&name, expected.malformed, expected.failed, letters.records);
            rows.never(&format!("{name} twice"), letters.copies);
        } else {
            // A sink leaves malformed records to the jobs: its dead letters are good records that it could not keep.
            rows.never(&name, letters.records);
        }
    }
}

fn in_elasticsearch(observed: &Observed, indexed: &Indexed, rows: &mut Rows) {
    let index = "Elasticsearch:";
    rows.count(
        &format!("{index} aggregates"),
        observed.aggregate_count,
        0,
        indexed.aggregate_count,
    );
    let wanted = by_currency(&observed.aggregates);
    let found = by_currency(&indexed.aggregates);
    let currencies: BTreeSet<_> = wanted.keys().chain(found.keys()).copied().collect();
    for currency in currencies {
        let (wanted, found) = (
            wanted.get(&currency).copied().unwrap_or_default(),
            found.get(&currency).copied().unwrap_or_default(),
        );
        for kind in [Kind::Purchases, Kind::Refunds] {
            let (wanted, found) = (kind.of(&wanted), kind.of(&found));
            let verdict = rows.verdict(wanted == found, true);
            rows.push(
                &format!("{index} {currency} {}", kind.name()),
                kind.show(&wanted, &Totals::default()),
                kind.show(&found, &Totals::default()),
                kind.difference(&wanted, &found),
                verdict.0,
                verdict.1,
            );
        }
    }
    let keys: BTreeSet<_> = observed
        .aggregates
        .keys()
        .chain(indexed.aggregates.keys())
        .collect();
    let right = keys
        .iter()
        .filter(|&&key| observed.aggregates.get(key) == indexed.aggregates.get(key))
        .count();
    let verdict = rows.verdict(right == keys.len(), true);
    let off = difference(keys.len() as i128, right as i128);
    rows.push(
        &format!("{index} windows by currency"),
        keys.len(),
        right,
        off,
        verdict.0,
        verdict.1,
    );
    rows.count(
        &format!("{index} anomalies"),
        observed.anomalies,
        0,
        indexed.anomalies,
    );
}

fn time(start_ms: i64) -> String {
    Timestamp::from_millisecond(start_ms).map_or_else(|_| format!("{start_ms} ms"), |time| time.to_string())
}

#[cfg(test)]
mod tests;
