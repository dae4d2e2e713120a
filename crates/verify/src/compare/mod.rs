//! The comparison itself, without I/O: what the producers' ledgers say against what the topics and
//! Elasticsearch hold.

mod balance;
mod elastic;

use std::collections::BTreeMap;

use jiff::Timestamp;
use millrace_domain::Currency;

pub(crate) use self::elastic::INDEX;

use self::balance::Balance;
use super::figures::{Expected, Indexed, Observed};
use super::misplaced;
use super::report::{Counts, Row, Verdict};
use super::rows::{Kind, Rows, difference};
use super::totals::Totals;

/// Most windows that get a row of their own; the rest are counted in one.
const MAX_WINDOW_ROWS: usize = 20;

/// The row of runs that go on.
pub(crate) const RUNNING: &str = "runs that have not ended";

/// Compares everything. `indexed` is `None` where Elasticsearch is left out.
#[must_use]
pub fn compare(expected: &Expected, observed: &Observed, indexed: Option<&Indexed>) -> (Vec<Row>, Counts) {
    let mut rows = Rows::new(!expected.running.is_empty());
    let balance = Balance::of(expected, observed);
    runs(expected, &mut rows);
    in_the_topic(expected, observed, &balance, &mut rows);
    windows(observed, &balance, &mut rows);
    late(observed, &mut rows);
    misplaced::compare(observed.misplaced, observed.source.is_some(), &mut rows);
    rows.never("aggregates twice with one revision", observed.doubled_aggregates);
    rows.never("final results below an early one", observed.shrunken_aggregates);
    rows.info("early results", observed.early_results);
    dead_letters(expected, observed, &mut rows);
    rows.never("anomalies with an id twice", observed.doubled_anomalies);
    rows.info("anomalies", observed.anomalies);
    labels(expected, observed, &mut rows);
    rows.never("results that cannot be decoded", observed.undecodable);
    if let Some(indexed) = indexed {
        elastic::compare(observed, indexed, &mut rows);
    }
    unreadable(expected, &mut rows);
    (rows.checks, balance.counts(observed))
}

fn runs(expected: &Expected, rows: &mut Rows) {
    rows.info("producer runs", expected.runs);
    if !expected.running.is_empty() {
        let names = expected.running.join(", ");
        rows.push(RUNNING, "none", names, "", Verdict::Open, true);
    }
    if !expected.killed.is_empty() {
        // Not waited for: what they sent beyond their ledgers' last word is in the topic, and is
        // counted there.
        rows.note("runs that were killed", expected.killed.join(", "));
    }
    if expected.forgotten_windows > 0 {
        let forgotten = expected.forgotten_windows;
        let name = "windows that the ledger forgot";
        rows.push(name, 0, forgotten, forgotten, Verdict::Failed, false);
    }
    if expected.runs == 0 {
        rows.push("ledgers found", "at least 1", 0, "", Verdict::Failed, false);
    }
}

/// A ledger that cannot be read fails the report, but the others are waited for.
fn unreadable(expected: &Expected, rows: &mut Rows) {
    let waits = rows
        .checks
        .iter()
        .any(|check| check.may_change && matches!(check.verdict, Verdict::Failed | Verdict::Open));
    for ledger in &expected.unreadable {
        let name = "ledgers that cannot be read";
        rows.push(name, "none", ledger, "", Verdict::Failed, waits);
    }
}

/// The ledgers against the transactions' topic.
fn in_the_topic(expected: &Expected, observed: &Observed, balance: &Balance, rows: &mut Rows) {
    if let Some(found) = observed.transactions {
        let acknowledged = expected.acknowledged;
        let name = "records in the transactions topic";
        let replays = observed.source.as_ref().map_or(0, |source| source.replays);
        let found = found.saturating_sub(replays);
        rows.at_least(name, acknowledged, found);
        if replays > 0 {
            rows.info("records that were sent again", replays);
        }
        let others = found.saturating_sub(acknowledged + expected.failed);
        if others > 0 {
            rows.info("records there that no ledger has", others);
        }
    }
    let Some(source) = &observed.source else {
        return;
    };
    let counted = &source.counted;
    rows.info("copies of transactions", counted.copies);
    if counted.reused_count > 0 {
        rows.info("ids again with a time of another window", counted.reused_count);
    }
    for (key, least, found) in balance.deficits.iter().take(MAX_WINDOW_ROWS) {
        for kind in [Kind::Purchases, Kind::Refunds] {
            let (least, found) = (kind.of(least), kind.of(found));
            if least.exceeds(&found, &Totals::default()) {
                rows.push(
                    &format!("acknowledged, window {} {} {}", time(key.0), key.1, kind.name()),
                    kind.show(&least, &Totals::default()),
                    kind.show(&found, &Totals::default()),
                    kind.difference(&least, &found),
                    Verdict::Failed,
                    false,
                );
            }
        }
    }
    let (all, missing) = (balance.acknowledged, balance.deficits.len());
    let verdict = match missing {
        0 => Verdict::Passed,
        _ => Verdict::Failed,
    };
    rows.push(
        "acknowledged windows that the topic has",
        all,
        all - missing,
        difference(all as i128, (all - missing) as i128),
        verdict,
        false,
    );
}

fn windows(observed: &Observed, balance: &Balance, rows: &mut Rows) {
    if observed.window_sizes_ms.len() > 1 {
        let sizes: Vec<_> = observed.window_sizes_ms.iter().map(i64::to_string).collect();
        let compared = format!("{}; compared in {}", sizes.join(", "), observed.window_ms);
        rows.note("sizes of the windows, ms", compared);
    }
    let open = balance.open.len();
    if open > 0 {
        rows.push("windows not closed yet", 0, open, open, Verdict::Open, true);
    }
    if let Some(&last) = balance.left_out.last() {
        let topics = observed.retention.topics.join(", ");
        let left_out = balance.left_out.len();
        rows.note(
            "windows left out",
            format!(
                "{left_out}, the last of {}: the beginning was removed of {topics}",
                time(last)
            ),
        );
    }
    totals_by_currency(balance, rows);
    each_window(balance, rows);
    if balance.compared().next().is_none() {
        let name = "windows compared";
        if open > 0 {
            // Whether open windows may pass or not: nothing is known yet.
            rows.push(name, "at least 1", "none has closed", "", Verdict::Unread, true);
        } else if !balance.left_out.is_empty() {
            rows.push(name, "at least 1", 0, "", Verdict::Failed, false);
        }
    }
}

fn totals_by_currency(balance: &Balance, rows: &mut Rows) {
    let mut currencies = BTreeMap::<Currency, [Totals; 3]>::new();
    for key in balance.compared() {
        let (least, reused, found) = balance.at(key);
        let [all_least, all_reused, all_found] = currencies.entry(key.1).or_default();
        all_least.add(&least);
        all_reused.add(&reused);
        all_found.add(&found);
    }
    for (currency, [least, reused, found]) in currencies {
        for kind in [Kind::Purchases, Kind::Refunds] {
            let name = format!("{currency} {}", kind.name());
            compare_kind(&name, kind, (&least, &reused, &found), rows);
        }
    }
}

fn compare_kind(
    name: &str,
    kind: Kind,
    (least, reused, found): (&Totals, &Totals, &Totals),
    rows: &mut Rows,
) {
    let (wanted, doubt, found) = (kind.of(least), kind.of(reused), kind.of(found));
    let verdict = rows.verdict(found.is_within(&wanted, &doubt), !found.exceeds(&wanted, &doubt));
    rows.push(
        name,
        kind.show(&wanted, &doubt),
        kind.show(&found, &Totals::default()),
        kind.difference(&wanted, &found),
        verdict.0,
        verdict.1,
    );
}

fn each_window(balance: &Balance, rows: &mut Rows) {
    let (mut all, mut wrong, mut missing_only) = (0_usize, 0_usize, true);
    for key in balance.compared() {
        all += 1;
        let (least, reused, found) = balance.at(key);
        if found.is_within(&least, &reused) {
            continue;
        }
        wrong += 1;
        missing_only &= !found.exceeds(&least, &reused);
        if wrong > MAX_WINDOW_ROWS {
            continue;
        }
        for kind in [Kind::Purchases, Kind::Refunds] {
            if !kind.of(&found).is_within(&kind.of(&least), &kind.of(&reused)) {
                let name = format!("window {} {} {}", time(key.0), key.1, kind.name());
                compare_kind(&name, kind, (&least, &reused, &found), rows);
            }
        }
    }
    let right = all - wrong;
    let verdict = rows.verdict(wrong == 0, missing_only);
    let off = difference(all as i128, right as i128);
    rows.push("windows by currency", all, right, off, verdict.0, verdict.1);
}

fn late(observed: &Observed, rows: &mut Rows) {
    let Some(source) = &observed.source else {
        rows.info("late transactions", observed.late_records);
        return;
    };
    let counted = &source.counted;
    let late: u64 = counted
        .late
        .values()
        .map(|it| it.purchase_count + it.refund_count)
        .sum();
    rows.info("late transactions", late);
    rows.info("late copies of transactions", counted.late_copies);
    rows.never("records on the late topic twice", observed.late_twice);
    if observed.retention.source_until_ms.is_none() {
        let unknown = observed.late_records.saturating_sub(counted.late_found);
        rows.never("late records of no transaction in the topic", unknown);
    }
}

fn dead_letters(expected: &Expected, observed: &Observed, rows: &mut Rows) {
    // The topic itself says what the jobs have to refuse; where it was not read, what was sent
    // malformed on purpose.
    let (wanted, doubt) = match &observed.source {
        Some(source) => (source.refusable + source.counted.wrongly_refused, 0),
        None => (expected.malformed, expected.failed),
    };
    let is_known = !observed.retention.dead_letters && observed.retention.source_until_ms.is_none();
    if is_known && !observed.dead_letters.values().any(|letters| letters.exactly_once) {
        rows.count("dead letters", wanted, doubt, 0);
    }
    for (service, letters) in &observed.dead_letters {
        let name = format!("dead letters of {service}");
        if letters.exactly_once {
            match is_known {
                true => rows.count(&name, wanted, doubt, letters.records),
                false => rows.info(&name, letters.records),
            }
            rows.never(&format!("{name} twice"), letters.copies);
        } else {
            // A sink leaves malformed records to the jobs: its dead letters are good records that
            // it could not keep.
            let mended = observed.source.as_ref().map_or(0, |it| it.counted.unsunk_mended);
            rows.never(&name, letters.records.saturating_sub(mended));
            if mended > 0 {
                rows.info(&format!("{name} that were sent again"), mended);
            }
        }
    }
    if let Some(counted) = observed.source.as_ref().map(|source| &source.counted)
        && counted.wrongly_refused > 0
    {
        let (taken, lost) = (counted.wrongly_refused_taken, counted.wrongly_refused_lost);
        rows.info("good transactions refused, and taken when sent again", taken);
        rows.never("good transactions among the dead letters", lost);
    }
}

fn labels(expected: &Expected, observed: &Observed, rows: &mut Rows) {
    let (name, wanted) = ("fraud labels", expected.labels);
    match (observed.retention.labels, expected.is_least()) {
        (true, _) => rows.info(name, observed.labels),
        (false, true) => rows.at_least(name, wanted, observed.labels),
        (false, false) => rows.count(name, wanted, expected.failed_labels, observed.labels),
    }
}

pub(super) fn time(start_ms: i64) -> String {
    Timestamp::from_millisecond(start_ms).map_or_else(|_| format!("{start_ms} ms"), |time| time.to_string())
}

#[cfg(test)]
mod tests;
