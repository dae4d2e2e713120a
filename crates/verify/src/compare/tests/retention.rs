//! What retention has removed, and what it excuses.

use super::*;

/// The first window's aggregates are gone but for one merchant's, and Elasticsearch has them still.
fn without_the_beginning(observed: &mut Observed) {
    observed.aggregates.remove(&(0, currency("USD")));
    observed.documents.insert(0, 1);
    observed.retention.topics = vec!["transaction_aggregates".to_owned()];
    observed.retention.aggregates_until_ms = Some(0);
}

#[test]
fn windows_of_which_retention_has_removed_a_part_are_left_out_by_name() {
    let report = after(|_, observed, _| without_the_beginning(observed));
    assert!(report.passed, "{}", report.to_table());
    let row = report
        .checks
        .iter()
        .find(|check| check.check == "windows left out")
        .unwrap();
    assert_eq!(
        row.actual,
        "1, the last of 1970-01-01T00:00:00Z: the beginning was removed of transaction_aggregates"
    );
    assert_eq!(report.counts.lost, 0);
    // What is missing of what is kept fails, and so does what is too much.
    let report = after(|_, observed, _| {
        without_the_beginning(observed);
        observed
            .aggregates
            .insert((MINUTE, currency("EUR")), totals(2, 999_998, 0, 0));
    });
    assert!(failed(&report).contains(&"window 1970-01-01T00:01:00Z EUR purchases"));
    let report = after(|_, observed, _| {
        without_the_beginning(observed);
        observed
            .aggregates
            .insert((0, currency("EUR")), totals(9, 571_600, 1, 10_000));
    });
    assert!(failed(&report).contains(&"window 1970-01-01T00:00:00Z EUR purchases"));
}

#[test]
fn a_verification_that_compares_nothing_does_not_pass() {
    let report = after(|_, observed, _| {
        observed.aggregates.clear();
        observed.documents.clear();
        observed.closed_until_ms = None;
        observed.retention.topics = vec!["transaction_aggregates".to_owned()];
        observed.retention.aggregates_until_ms = Some(i64::MAX);
    });
    assert_eq!(failed(&report), ["windows compared"]);
}

#[test]
fn transactions_that_retention_has_removed_are_left_out() {
    let (eur, usd) = ((0, currency("EUR")), (0, currency("USD")));
    let removed = |observed: &mut Observed| {
        observed.transactions = None;
        observed.retention.topics = vec!["financial_transactions".to_owned()];
        observed.retention.source_until_ms = Some(30_000);
        counted(observed).others.remove(&usd);
        counted(observed).once.remove(&usd);
    };
    let report = after(|_, observed, _| removed(observed));
    assert!(report.passed, "{}", report.to_table());
    // A window that is whole by the ledgers is compared, whenever it was.
    let report = after(|_, observed, indexed| {
        observed.retention.source_until_ms = Some(30_000);
        for windows in [&mut observed.aggregates, &mut indexed.aggregates] {
            windows.insert(eur, totals(2, 571_601, 1, 10_000));
        }
    });
    assert!(failed(&report).contains(&"window 1970-01-01T00:00:00Z EUR purchases"));
    // After the time that retention has come to, nothing may be missing.
    let report = after(|_, observed, _| {
        removed(observed);
        observed.retention.source_until_ms = Some(-1);
    });
    assert!(failed(&report).contains(&"acknowledged windows that the topic has"));
}

#[test]
fn no_more_is_excused_than_late_records_were_removed() {
    let gone = |removed: u64| {
        after(|_, observed, _| {
            counted(observed).late.clear();
            counted(observed).late_found = 0;
            observed.late_records = 0;
            observed.retention.topics = vec!["financial_transactions.late".to_owned()];
            observed.retention.late_until_ms = Some(MINUTE);
            observed.retention.late_removed = removed;
        })
    };
    assert!(gone(1).passed, "{}", gone(1).to_table());
    assert!(failed(&gone(0)).contains(&"windows by currency"));
}
