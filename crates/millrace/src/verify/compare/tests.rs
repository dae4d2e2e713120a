use super::*;
use crate::verify::report::Report;

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

/// Two windows of two currencies, a late transaction, dead letters and an anomaly: all as it must be.
fn good() -> (Expected, Observed, Indexed) {
    let (eur, usd) = (currency("EUR"), currency("USD"));
    let aggregates = Windows::from([
        ((0, eur), totals(2, 571_600, 1, 10_000)),
        ((0, usd), totals(1, 12_345, 0, 0)),
        ((MINUTE, eur), totals(3, 999_999, 0, 0)),
    ]);
    let late = Windows::from([((0, eur), totals(1, 100, 0, 0))]);
    let mut windows = aggregates.clone();
    windows.insert((0, eur), totals(3, 571_700, 1, 10_000));
    let letters = DeadLetters {
        records: 2,
        copies: 0,
        exactly_once: true,
    };
    let expected = Expected {
        window_ms: MINUTE,
        runs: 1,
        acknowledged: 11,
        malformed: 2,
        labels: 1,
        windows,
        ..Expected::default()
    };
    let observed = Observed {
        transactions: Some(11),
        aggregates: aggregates.clone(),
        aggregate_count: 5,
        window_sizes_ms: BTreeSet::from([MINUTE]),
        last_window_ms: Some(MINUTE),
        late,
        dead_letters: BTreeMap::from([("aggregate-partial".to_owned(), letters)]),
        anomalies: 1,
        labels: 1,
        ..Observed::default()
    };
    let indexed = Indexed {
        aggregates,
        aggregate_count: 5,
        anomalies: 1,
    };
    (expected, observed, indexed)
}

/// The report after one change to what is good.
fn after(change: impl FnOnce(&mut Expected, &mut Observed, &mut Indexed)) -> Report {
    let (mut expected, mut observed, mut indexed) = good();
    change(&mut expected, &mut observed, &mut indexed);
    Report::of(compare(&expected, &observed, Some(&indexed)), false)
}

fn failed(report: &Report) -> Vec<&str> {
    assert!(!report.passed);
    let failed = report
        .checks
        .iter()
        .filter(|check| check.verdict == Verdict::Failed);
    failed.map(|check| check.check.as_str()).collect()
}

fn cent(observed: &mut Observed, units: i128) {
    let window = observed.aggregates.get_mut(&(0, currency("USD"))).unwrap();
    window.purchase_sum = millrace_domain::Sum::from_units(window.purchase_sum.units() + units);
}

#[test]
fn what_is_equal_passes() {
    let report = after(|_, _, _| {});
    assert!(report.passed, "{}", report.to_table());
    assert!(!report.may_change());
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
    assert!(report.may_change());
}

#[test]
fn one_unit_more_fails_for_good() {
    let report = after(|_, observed, _| cent(observed, 1));
    assert!(failed(&report).contains(&"USD purchases"));
    assert!(!report.may_change());
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
    assert!(!report.may_change());
}

#[test]
fn a_missing_late_transaction_fails() {
    let report = after(|_, observed, _| observed.late.clear());
    assert!(failed(&report).contains(&"EUR purchases"));
}

#[test]
fn a_window_that_is_not_closed_fails_unless_allowed() {
    let (expected, mut observed, mut indexed) = good();
    observed.aggregates.remove(&(MINUTE, currency("EUR")));
    indexed.aggregates = observed.aggregates.clone();
    observed.last_window_ms = Some(0);
    let checks = compare(&expected, &observed, Some(&indexed));
    assert!(Report::of(checks.clone(), true).passed);
    let strict = Report::of(checks, false);
    assert!(!strict.passed);
    assert!(strict.may_change());
}

#[test]
fn what_is_doubled_fails_for_good() {
    let report = after(|_, observed, _| observed.doubled_aggregates = 1);
    assert_eq!(failed(&report), ["aggregates twice with one revision"]);
    assert!(!report.may_change());
    let report = after(|_, observed, _| observed.shrunken_aggregates = 1);
    assert_eq!(failed(&report), ["final results below an early one"]);
    assert!(!report.may_change());
    let report = after(|_, observed, _| observed.doubled_anomalies = 1);
    assert_eq!(failed(&report), ["anomalies with an id twice"]);
    assert!(!report.may_change());
    let report =
        after(|_, observed, _| observed.dead_letters.get_mut("aggregate-partial").unwrap().copies = 1);
    assert_eq!(failed(&report), ["dead letters of aggregate-partial twice"]);
}

#[test]
fn a_good_record_that_the_sink_could_not_keep_fails() {
    let report = after(|_, observed, _| {
        let letters = DeadLetters {
            records: 2,
            copies: 1,
            exactly_once: false,
        };
        observed.dead_letters.insert("elastic-sink".to_owned(), letters);
    });
    assert_eq!(failed(&report), ["dead letters of elastic-sink"]);
}

#[test]
fn dead_letters_must_be_as_many_as_were_malformed() {
    for records in [1, 3] {
        let report = after(|_, observed, _| {
            let letters = observed.dead_letters.get_mut("aggregate-partial").unwrap();
            letters.records = records;
        });
        assert_eq!(failed(&report), ["dead letters of aggregate-partial"]);
        assert_eq!(report.may_change(), records == 1);
    }
    let report = after(|_, observed, _| observed.dead_letters.clear());
    assert_eq!(failed(&report), ["dead letters"]);
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
    let report = after(|_, _, indexed| indexed.aggregate_count = 4);
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

#[test]
fn what_was_never_acknowledged_may_be_there_or_not() {
    let doubt = |expected: &mut Expected| {
        expected.failed = 1;
        expected
            .doubtful
            .insert((0, currency("USD")), totals(1, 500, 0, 0));
    };
    assert!(after(|expected, _, _| doubt(expected)).passed);
    let there = after(|expected, observed, indexed| {
        doubt(expected);
        observed.transactions = Some(12);
        observed
            .aggregates
            .insert((0, currency("USD")), totals(2, 12_845, 0, 0));
        indexed.aggregates = observed.aggregates.clone();
    });
    assert!(there.passed, "{}", there.to_table());
    let too_much = after(|expected, observed, _| {
        doubt(expected);
        observed
            .aggregates
            .insert((0, currency("USD")), totals(2, 12_846, 0, 0));
    });
    assert!(failed(&too_much).contains(&"USD purchases"));
}

#[test]
fn a_run_that_has_not_ended_is_open_not_failed() {
    let (mut expected, mut observed, indexed) = good();
    expected.unfinished = vec!["run-1".to_owned()];
    observed.transactions = Some(500);
    let checks = compare(&expected, &observed, Some(&indexed));
    assert!(Report::of(checks.clone(), true).passed);
    assert!(!Report::of(checks, false).passed);
}

#[test]
fn no_ledger_at_all_fails() {
    let report = after(|expected, _, _| expected.runs = 0);
    assert_eq!(failed(&report), ["ledgers found"]);
}

#[test]
fn windows_of_another_size_are_named() {
    let report = after(|_, observed, _| {
        observed.window_sizes_ms.insert(MINUTE / 2);
    });
    assert_eq!(failed(&report), ["size of the windows, ms"]);
}

#[test]
fn what_is_lost_and_doubled_is_counted_by_window() {
    let (expected, mut observed, _) = good();
    let whole = counts(&expected, &observed);
    assert_eq!((whole.lost, whole.doubled), (0, 0));
    let eur = currency("EUR");
    observed.aggregates.insert((MINUTE, eur), totals(1, 1, 0, 0));
    observed
        .aggregates
        .insert((0, eur), totals(4, 581_600, 1, 10_000));
    observed.doubled_anomalies = 1;
    let off = counts(&expected, &observed);
    assert_eq!(
        (off.acknowledged, off.lost, off.doubled),
        (whole.acknowledged, 2, 3)
    );
}
