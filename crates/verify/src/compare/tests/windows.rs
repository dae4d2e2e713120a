//! Windows of two sizes, where the settings have changed.

use super::*;

#[test]
fn windows_of_two_sizes_are_compared_in_those_that_hold_both() {
    let report = after(|_, observed, indexed| {
        observed.window_sizes_ms.insert(MINUTE / 2);
        // The index has them as they are.
        let eur = currency("EUR");
        indexed.aggregates.insert((MINUTE, eur), totals(1, 1, 0, 0));
        indexed
            .aggregates
            .insert((MINUTE + MINUTE / 2, eur), totals(2, 999_998, 0, 0));
    });
    assert!(report.passed, "{}", report.to_table());
    let row = report
        .checks
        .iter()
        .find(|check| check.check == "sizes of the windows, ms");
    assert_eq!(row.unwrap().actual, "30000, 60000; compared in 60000");
}

/// Windows of 20 s and 60 s are compared by the minute, and the stream's last window, all of which
/// is there, may end before the minute does.
#[test]
fn a_window_of_which_all_is_there_is_closed() {
    let ends_early = |observed: &mut Observed| {
        observed.window_sizes_ms.insert(MINUTE / 3);
        observed.closed_until_ms = Some(MINUTE + MINUTE / 3);
    };
    let report = after(|_, observed, _| ends_early(observed));
    assert!(report.passed, "{}", report.to_table());
    let report = after(|_, observed, indexed| {
        ends_early(observed);
        let key = (MINUTE, currency("EUR"));
        observed.aggregates.insert(key, totals(2, 999_998, 0, 0));
        indexed.aggregates.clone_from(&observed.aggregates);
    });
    assert_eq!(report.outcome, Outcome::NotFinished);
}
