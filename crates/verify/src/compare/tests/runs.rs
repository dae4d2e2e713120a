//! Runs that were killed, go on, or send again what another has sent.

use super::*;

#[test]
fn a_file_sent_twice_counts_once() {
    let report = after(|expected, observed, _| {
        // Both ledgers have every row, and so has the topic; the second copies came late or were
        // dropped.
        let usd = (0, currency("USD"));
        let again = expected.others[&usd];
        expected.runs += 1;
        expected.acknowledged += 1;
        add_to(&mut expected.others, usd.0, usd.1, &again);
        add_to(&mut expected.once, usd.0, usd.1, &again);
        observed.transactions = Some(12);
        add_to(&mut counted(observed).others, usd.0, usd.1, &again);
        counted(observed).copies = 1;
        counted(observed).late_copies = 1;
        counted(observed).late_found = 2;
        observed.late_records = 2;
    });
    assert!(report.passed, "{}", report.to_table());
}

#[test]
fn what_was_acknowledged_and_is_not_in_the_topic_fails() {
    let usd = (0, currency("USD"));
    let report = after(|_, observed, indexed| {
        counted(observed).others.remove(&usd);
        counted(observed).once.remove(&usd);
        observed.aggregates.remove(&usd);
        indexed.aggregates.remove(&usd);
        observed.transactions = Some(10);
    });
    let rows = failed(&report);
    assert!(rows.contains(&"records in the transactions topic"));
    assert!(rows.contains(&"acknowledged, window 1970-01-01T00:00:00Z USD purchases"));
    assert!(rows.contains(&"acknowledged windows that the topic has"));
    assert_eq!((report.counts.lost, fails_for_good(&report)), (1, true));
    // Another's records do not make good for what a run that has ended is missing.
    let report = after(|_, observed, _| {
        let eur = (0, currency("EUR"));
        let taken = totals(1, 571_700, 0, 0);
        let window = counted(observed).vouched.get_mut(&eur).unwrap();
        *window = totals(2, 0, 1, 10_000);
        add_to(&mut counted(observed).others, eur.0, eur.1, &taken);
    });
    assert_eq!(
        failed(&report),
        [
            "acknowledged, window 1970-01-01T00:00:00Z EUR purchases",
            "acknowledged windows that the topic has"
        ]
    );
}

#[test]
fn what_a_killed_run_sent_beyond_its_ledger_counts_by_the_topic() {
    let report = after(|expected, observed, indexed| {
        expected.killed = vec!["run-1".to_owned()];
        let more = totals(1, 777, 0, 0);
        let usd = (0, currency("USD"));
        let Counted { others, once, .. } = counted(observed);
        for windows in [others, once] {
            add_to(windows, usd.0, usd.1, &more);
        }
        for windows in [&mut observed.aggregates, &mut indexed.aggregates] {
            add_to(windows, usd.0, usd.1, &more);
        }
        observed.transactions = Some(12);
        observed.labels = 2;
    });
    assert!(report.passed, "{}", report.to_table());
    let row = |name: &str| report.checks.iter().find(|check| check.check == name).unwrap();
    assert_eq!(row("runs that were killed").actual, "run-1");
    assert_eq!(row("records there that no ledger has").actual, "1");
    // What came of it must still come out.
    let report = after(|expected, observed, _| {
        expected.killed = vec!["run-1".to_owned()];
        add_to(
            &mut counted(observed).once,
            0,
            currency("USD"),
            &totals(1, 777, 0, 0),
        );
    });
    assert!(failed(&report).contains(&"USD purchases"));
}

#[test]
fn a_ledger_that_cannot_be_read_fails_and_is_named() {
    let report = after(|expected, _, _| expected.unreadable = vec!["zz.json: it is empty".to_owned()]);
    assert_eq!(failed(&report), ["ledgers that cannot be read"]);
    assert!(report.is_settled(false));
    assert_eq!(report.outcome, Outcome::Failed);
    let report = after(|expected, observed, _| {
        expected.unreadable = vec!["zz.json: it is empty".to_owned()];
        observed.aggregates.remove(&(MINUTE, currency("EUR")));
        observed.closed_until_ms = Some(MINUTE);
    });
    assert!(!report.is_settled(false), "the others are waited for");
}

#[test]
fn an_id_with_another_time_counts_again_or_not() {
    let again = |observed: &mut Observed| {
        counted(observed).reused_count = 1;
        counted(observed).copies = 1;
        add_to(
            &mut counted(observed).reused,
            MINUTE,
            currency("EUR"),
            &totals(1, 5, 0, 0),
        );
    };
    assert!(after(|_, observed, _| again(observed)).passed);
    let report = after(|_, observed, indexed| {
        again(observed);
        for windows in [&mut observed.aggregates, &mut indexed.aggregates] {
            add_to(windows, MINUTE, currency("EUR"), &totals(1, 5, 0, 0));
        }
    });
    assert!(report.passed, "{}", report.to_table());
    let report = after(|_, observed, _| {
        again(observed);
        add_to(
            &mut observed.aggregates,
            MINUTE,
            currency("EUR"),
            &totals(1, 6, 0, 0),
        );
    });
    assert!(failed(&report).contains(&"EUR purchases"));
}

#[test]
fn a_run_that_has_not_ended_is_open_not_failed() {
    let (mut expected, mut observed, indexed) = good();
    expected.running = vec!["run-1".to_owned()];
    observed.transactions = Some(500);
    observed.labels = 30;
    let allowed = judge(&expected, &observed, &indexed, true);
    assert!(allowed.passed && !allowed.waits_for_a_run());
    let strict = judge(&expected, &observed, &indexed, false);
    assert_eq!(strict.outcome, Outcome::NotFinished);
    assert!(strict.waits_for_a_run());
}

#[test]
fn no_ledger_at_all_fails() {
    let report = after(|expected, _, _| expected.runs = 0);
    assert_eq!(failed(&report), ["ledgers found"]);
}
