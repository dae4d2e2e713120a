//! One change at a time to what is as it must be.

mod letters;
mod retention;
mod runs;
mod unfinished;
mod windows;

use std::collections::BTreeSet;

use super::*;
use crate::figures::{Counted, DeadLetters, Source};
use crate::report::{Outcome, Report};
use crate::totals::{Windows, add_to};

const MINUTE: i64 = 60_000;

fn currency(code: &str) -> Currency {
    Currency::parse(code.as_bytes()).unwrap()
}

fn totals(purchases: u64, purchase_units: i128, refunds: u64, refund_units: i128) -> Totals {
    use millrace_domain::Sum;
    Totals {
        purchase_count: purchases,
        purchase_sum: Sum::from_units(purchase_units),
        refund_count: refunds,
        refund_sum: Sum::from_units(refund_units),
    }
}

/// Two windows of two currencies, a late transaction, dead letters and an anomaly: all as it must
/// be. One run vouches for its ids; a file has brought what is in USD.
fn good() -> (Expected, Observed, Indexed) {
    let (eur, usd) = (currency("EUR"), currency("USD"));
    let aggregates = Windows::from([
        ((0, eur), totals(2, 571_600, 1, 10_000)),
        ((0, usd), totals(1, 12_345, 0, 0)),
        ((MINUTE, eur), totals(3, 999_999, 0, 0)),
    ]);
    let late = Windows::from([((0, eur), totals(1, 100, 0, 0))]);
    let mut once = aggregates.clone();
    once.insert((0, eur), totals(3, 571_700, 1, 10_000));
    let of = |is_usd: bool| -> Windows {
        let windows = once.iter().filter(|(key, _)| (key.1 == usd) == is_usd);
        windows.map(|(key, totals)| (*key, *totals)).collect()
    };
    let letters = DeadLetters {
        records: 2,
        copies: 0,
        exactly_once: true,
    };
    let expected = Expected {
        window_ms: MINUTE,
        runs: 2,
        other_runs: 1,
        acknowledged: 11,
        malformed: 2,
        labels: 1,
        vouched: of(false),
        others: of(true),
        once: once.clone(),
        ..Expected::default()
    };
    let counted = Counted {
        vouched: of(false),
        others: of(true),
        once,
        late,
        late_found: 1,
        ..Counted::default()
    };
    let observed = Observed {
        window_ms: MINUTE,
        transactions: Some(11),
        source: Some(Source {
            counted,
            refusable: 2,
            replays: 0,
        }),
        aggregates: aggregates.clone(),
        documents: BTreeMap::from([(0, 3), (MINUTE, 2)]),
        window_sizes_ms: BTreeSet::from([MINUTE]),
        closed_until_ms: Some(2 * MINUTE),
        late_records: 1,
        dead_letters: BTreeMap::from([("aggregate-partial".to_owned(), letters)]),
        anomalies: 1,
        labels: 1,
        ..Observed::default()
    };
    let indexed = Indexed {
        aggregates,
        documents: BTreeMap::from([(0, 3), (MINUTE, 2)]),
        anomalies: 1,
    };
    (expected, observed, indexed)
}

fn judge(expected: &Expected, observed: &Observed, indexed: &Indexed, allow_open: bool) -> Report {
    let (checks, counts) = compare(expected, observed, Some(indexed));
    Report::of(checks, counts, allow_open)
}

/// The report after one change to what is good.
fn after(change: impl FnOnce(&mut Expected, &mut Observed, &mut Indexed)) -> Report {
    let (mut expected, mut observed, mut indexed) = good();
    change(&mut expected, &mut observed, &mut indexed);
    judge(&expected, &observed, &indexed, false)
}

fn counted(observed: &mut Observed) -> &mut Counted {
    &mut observed.source.as_mut().unwrap().counted
}

fn failed(report: &Report) -> Vec<&str> {
    assert!(!report.passed);
    let failed = report
        .checks
        .iter()
        .filter(|check| check.verdict == Verdict::Failed);
    failed.map(|check| check.check.as_str()).collect()
}

/// Whether something has failed that no wait can mend.
fn fails_for_good(report: &Report) -> bool {
    let mut checks = report.checks.iter();
    checks.any(|check| check.verdict == Verdict::Failed && !check.may_change)
}

fn actual<'a>(report: &'a Report, row: &str) -> &'a str {
    let found = report.checks.iter().find(|check| check.check == row);
    &found.unwrap().actual
}

fn cent(observed: &mut Observed, units: i128) {
    let window = observed.aggregates.get_mut(&(0, currency("USD"))).unwrap();
    window.purchase_sum = millrace_domain::Sum::from_units(window.purchase_sum.units() + units);
}

#[test]
fn what_is_equal_passes() {
    let report = after(|_, _, _| {});
    assert!(report.passed, "{}", report.to_table());
    assert!(report.is_settled(false));
}

#[test]
fn one_unit_less_fails_and_may_still_come() {
    let report = after(|_, observed, indexed| {
        cent(observed, -1);
        indexed.aggregates = observed.aggregates.clone();
    });
    let rows = failed(&report);
    assert_eq!(
        rows,
        [
            "USD purchases",
            "window 1970-01-01T00:00:00Z USD purchases",
            "windows by currency"
        ]
    );
    assert_eq!(
        report
            .checks
            .iter()
            .find(|check| check.check == "USD purchases")
            .unwrap()
            .difference,
        "0: -0.0001"
    );
    assert!(!report.is_settled(false));
}

#[test]
fn one_unit_more_fails_for_good() {
    let report = after(|_, observed, _| cent(observed, 1));
    assert!(failed(&report).contains(&"USD purchases"));
    assert!(fails_for_good(&report));
}

#[test]
fn errors_that_cancel_out_are_found_in_their_windows() {
    let report = after(|_, observed, indexed| {
        let eur = currency("EUR");
        let moved = totals(1, 100, 0, 0);
        observed.aggregates.get_mut(&(MINUTE, eur)).unwrap().add(&moved);
        observed
            .aggregates
            .insert((0, eur), totals(1, 571_500, 1, 10_000));
        indexed.aggregates = observed.aggregates.clone();
    });
    assert_eq!(
        failed(&report),
        [
            "window 1970-01-01T00:00:00Z EUR purchases",
            "window 1970-01-01T00:01:00Z EUR purchases",
            "windows by currency"
        ]
    );
}

#[test]
fn a_missing_window_fails_and_a_window_from_nowhere_too() {
    let report = after(|_, observed, _| {
        observed.aggregates.remove(&(0, currency("USD")));
    });
    assert!(failed(&report).contains(&"windows by currency"));
    let report = after(|_, observed, indexed| {
        observed
            .aggregates
            .insert((0, currency("GBP")), totals(1, 1, 0, 0));
        indexed.aggregates = observed.aggregates.clone();
    });
    assert!(failed(&report).contains(&"GBP purchases"));
    assert!(report.is_settled(false));
}

#[test]
fn a_missing_late_transaction_fails() {
    let report = after(|_, observed, _| {
        counted(observed).late.clear();
        counted(observed).late_found = 0;
        observed.late_records = 0;
    });
    assert!(failed(&report).contains(&"EUR purchases"));
}

#[test]
fn a_window_that_is_not_closed_fails_unless_allowed() {
    let (expected, mut observed, mut indexed) = good();
    observed.aggregates.remove(&(MINUTE, currency("EUR")));
    indexed.aggregates = observed.aggregates.clone();
    observed.closed_until_ms = Some(MINUTE);
    assert!(judge(&expected, &observed, &indexed, true).passed);
    let strict = judge(&expected, &observed, &indexed, false);
    assert_eq!(strict.outcome, Outcome::NotFinished);
    assert!(!strict.passed && !strict.is_settled(false));
    assert_eq!(strict.counts.lost, 3);
    // With nothing closed there is nothing to say, whatever is allowed.
    observed.aggregates.clear();
    indexed.aggregates.clear();
    for documents in [&mut observed.documents, &mut indexed.documents] {
        documents.clear();
    }
    counted(&mut observed).late.clear();
    observed.closed_until_ms = None;
    let nothing = judge(&expected, &observed, &indexed, true);
    assert_eq!(nothing.outcome, Outcome::NotFinished, "{}", nothing.to_table());
    assert!(!nothing.is_settled(true));
}

#[test]
fn what_fails_for_good_does_not_end_the_wait_for_the_rest() {
    let report = after(|_, observed, _| {
        observed.doubled_anomalies = 1;
        observed
            .dead_letters
            .get_mut("aggregate-partial")
            .unwrap()
            .records -= 1;
    });
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(
        !report.is_settled(false),
        "a dead letter may be on its way: {report:?}"
    );
    let open = after(|_, observed, _| {
        observed.doubled_anomalies = 1;
        observed.aggregates.remove(&(MINUTE, currency("EUR")));
        observed.closed_until_ms = Some(MINUTE);
    });
    assert!(!open.is_settled(false), "a window is open: {open:?}");
}

#[test]
fn what_is_doubled_fails_for_good() {
    let report = after(|_, observed, _| observed.doubled_aggregates = 1);
    assert_eq!(failed(&report), ["aggregates twice with one revision"]);
    assert!(report.is_settled(false));
    let report = after(|_, observed, _| observed.shrunken_aggregates = 1);
    assert_eq!(failed(&report), ["final results below an early one"]);
    assert!(report.is_settled(false));
    let report = after(|_, observed, _| observed.doubled_anomalies = 1);
    assert_eq!(failed(&report), ["anomalies with an id twice"]);
    assert!(report.is_settled(false));
    let report =
        after(|_, observed, _| observed.dead_letters.get_mut("aggregate-partial").unwrap().copies = 1);
    assert_eq!(failed(&report), ["dead letters of aggregate-partial twice"]);
}

#[test]
fn records_and_labels_are_counted() {
    let report = after(|_, observed, _| observed.transactions = Some(10));
    assert_eq!(failed(&report), ["records in the transactions topic"]);
    let report = after(|_, observed, _| observed.labels = 0);
    assert_eq!(failed(&report), ["fraud labels"]);
    let report = after(|_, observed, _| observed.undecodable = 1);
    assert_eq!(failed(&report), ["results that cannot be decoded"]);
}

#[test]
fn elasticsearch_must_hold_what_the_topics_hold() {
    let report = after(|_, _, indexed| *indexed.documents.get_mut(&0).unwrap() = 2);
    assert_eq!(failed(&report), ["Elasticsearch: aggregates"]);
    let report = after(|_, _, indexed| indexed.anomalies = 2);
    assert_eq!(failed(&report), ["Elasticsearch: anomalies"]);
    let report = after(|_, _, indexed| {
        indexed
            .aggregates
            .insert((0, currency("USD")), totals(1, 12_346, 0, 0));
    });
    assert_eq!(
        failed(&report),
        [
            "Elasticsearch: USD purchases",
            "Elasticsearch: windows by currency"
        ]
    );
}

/// As where the topic is not read: nothing came late, and the ledgers alone say what is expected.
fn by_ledgers(expected: &mut Expected, observed: &mut Observed, _: &mut Indexed) {
    expected.other_runs = 0;
    expected.once.clone_from(&observed.aggregates);
    observed.source = None;
    observed.late_records = 0;
}

#[test]
fn the_ledgers_alone_say_what_is_expected_where_the_topic_is_not_read() {
    let report = after(by_ledgers);
    assert!(report.passed, "{}", report.to_table());
    let report = after(|expected, observed, indexed| {
        by_ledgers(expected, observed, indexed);
        cent(observed, -1);
        indexed.aggregates = observed.aggregates.clone();
    });
    assert!(failed(&report).contains(&"USD purchases"));
}

#[test]
fn late_records_are_there_once_and_of_known_transactions() {
    let report = after(|_, observed, _| observed.late_twice = 1);
    assert_eq!(failed(&report), ["records on the late topic twice"]);
    assert_eq!(report.counts.doubled, 1);
    let report = after(|_, observed, _| observed.late_records = 2);
    assert_eq!(failed(&report), ["late records of no transaction in the topic"]);
}

#[test]
fn what_is_lost_and_doubled_is_counted_by_window() {
    let whole = after(|_, _, _| {}).counts;
    assert_eq!((whole.acknowledged, whole.lost, whole.doubled), (8, 0, 0));
    let off = after(|_, observed, _| {
        let eur = currency("EUR");
        observed.aggregates.insert((MINUTE, eur), totals(1, 1, 0, 0));
        observed
            .aggregates
            .insert((0, eur), totals(4, 581_600, 1, 10_000));
        observed.doubled_anomalies = 1;
    });
    assert_eq!(
        (off.counts.acknowledged, off.counts.lost, off.counts.doubled),
        (8, 2, 3)
    );
}
