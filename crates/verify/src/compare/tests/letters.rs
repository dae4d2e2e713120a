//! Dead letters: as many as there must be, and what was sent again.

use super::*;

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
fn what_the_sink_could_not_keep_is_mended_by_sending_it_again() {
    let report = after(|_, observed, _| {
        let letters = DeadLetters {
            records: 2,
            copies: 0,
            exactly_once: false,
        };
        observed.dead_letters.insert("elastic-sink".to_owned(), letters);
        observed.source.as_mut().unwrap().counted.unsunk_mended = 2;
    });
    assert!(report.passed, "{report:?}");
    let row = "dead letters of elastic-sink that were sent again";
    assert_eq!(actual(&report, row), "2");
}

/// Two letters more than what has to be refused, of which `lost` were not taken when they were sent
/// again.
fn with_refused_transactions(lost: u64, letters: u64) -> Report {
    after(|_, observed, _| {
        observed
            .dead_letters
            .get_mut("aggregate-partial")
            .unwrap()
            .records += letters;
        let source = observed.source.as_mut().unwrap();
        source.counted.wrongly_refused = 2;
        source.counted.wrongly_refused_taken = 2 - lost;
        source.counted.wrongly_refused_lost = lost;
        source.replays = 2;
        *observed.transactions.as_mut().unwrap() += 2;
    })
}

#[test]
fn a_refused_transaction_is_lost_until_it_was_sent_again_and_taken() {
    let report = with_refused_transactions(0, 2);
    assert!(report.passed, "{report:?}");
    assert_eq!(report.counts.lost, 0);
    assert_eq!(actual(&report, "records that were sent again"), "2");
    let report = with_refused_transactions(1, 2);
    assert_eq!(failed(&report), ["good transactions among the dead letters"]);
    assert_eq!(report.counts.lost, 1);
    // A letter that is missing elsewhere is not made up for.
    let report = with_refused_transactions(0, 1);
    assert_eq!(failed(&report), ["dead letters of aggregate-partial"]);
}

#[test]
fn what_was_sent_again_makes_up_for_no_record_that_is_missing() {
    let report = after(|_, observed, _| {
        // Eleven were acknowledged: ten are there, and one of them twice.
        observed.source.as_mut().unwrap().replays = 1;
    });
    assert_eq!(failed(&report), ["records in the transactions topic"]);
}

#[test]
fn dead_letters_must_be_as_many_as_were_malformed() {
    for records in [1, 3] {
        for is_read in [true, false] {
            let report = after(|expected, observed, indexed| {
                let letters = observed.dead_letters.get_mut("aggregate-partial").unwrap();
                letters.records = records;
                if !is_read {
                    by_ledgers(expected, observed, indexed);
                }
            });
            assert_eq!(failed(&report), ["dead letters of aggregate-partial"]);
            assert_eq!(report.is_settled(false), records != 1);
        }
    }
    let report = after(|_, observed, _| observed.dead_letters.clear());
    assert_eq!(failed(&report), ["dead letters"]);
}
