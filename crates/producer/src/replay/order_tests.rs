//! Rows that would be late: found before they are sent, sorted on request.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use super::case_tests::case;
use super::tests::{JSON, Replayed, bounds, options, order, run, run_on};
use super::*;

fn on(watermarks: [Option<i64>; 5]) -> Order {
    let stream = Stream {
        topic: "financial_transactions".to_owned(),
        watermarks: watermarks.to_vec(),
    };
    Order::new(bounds(), stream)
}

fn refusal(options: &ReplayOptions, order: Order) -> String {
    let opened = Replay::open(options, JSON, Arc::default(), order, &|| false);
    format!("{:#}", opened.err().unwrap())
}

fn times(replayed: &Replayed) -> Vec<i64> {
    let sent = replayed.sent.iter();
    sent.map(|(transaction, _)| transaction.transaction_time_ms)
        .collect()
}

#[test]
fn c10_rows_out_of_order_are_counted_before_any_is_sent_and_sorted_on_request() {
    let directory = tempfile::tempdir().unwrap();
    let with = |name: &str| options(&[case("C10").join(name)], &case("C10/map.yml"), directory.path());
    let expected = run(&with("oldest-first.csv"));
    assert_eq!((expected.sent.len(), expected.late), (600, 0));
    for name in ["newest-first.csv", "by-merchant.csv"] {
        let refused = refusal(&with(name), order());
        assert!(refused.starts_with("nothing was sent: "), "{refused}");
        assert!(
            refused.contains("of 600 rows come after one that is younger by more than 5000 ms"),
            "{refused}"
        );
        assert!(refused.contains("Sort the rows by time with --sort"), "{refused}");
        let count = |before: &str| -> u64 {
            let (head, _) = refused.split_once(before).unwrap();
            head.rsplit(' ').next().unwrap().parse().unwrap()
        };
        let (disordered, late) = (count(" of 600 rows"), count(" of them after their window"));
        assert!(450 < late && late <= disordered && disordered < 600, "{refused}");
        let sorted = run(&ReplayOptions {
            sort: true,
            ..with(name)
        });
        assert_eq!(sorted.late, 0);
        assert_eq!(times(&sorted), times(&expected), "{name}");
        let forced = run(&ReplayOptions {
            force: true,
            ..with(name)
        });
        assert_eq!(forced.sent.len(), 600);
        assert_eq!(forced.late, late, "the same while sending as before");
    }
}

#[test]
fn c11_rows_older_than_the_stream_are_refused_before_any_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let with = options(&[case("C11/rows.csv")], &case("C11/map.yml"), directory.path());
    // Beyond the clock of any run of this test.
    let seen = 4_000_000_000_000;
    let refused = refusal(&with, on([Some(seen); 5]));
    for expected in [
        "nothing was sent: 3 of 3 rows are older than what financial_transactions has seen: its windows are closed up to \
         2096-10-02T07:06:40Z, and they would go to the late topic",
        "millrace up --file",
        "--shift-to now",
        "--force",
    ] {
        assert!(refused.contains(expected), "{refused}");
    }
    assert_eq!(
        run_on(&with, order()).sent.len(),
        3,
        "a topic that has seen nothing"
    );
    let before = 1_522_576_800_000;
    assert_eq!(
        run_on(&with, on([Some(before); 5])).sent.len(),
        3,
        "a topic that has seen what is older"
    );
    let forced = ReplayOptions {
        force: true,
        ..with.clone()
    };
    let replayed = run_on(&forced, on([Some(seen); 5]));
    assert_eq!((replayed.sent.len(), replayed.late), (3, 3));
    let moved = ReplayOptions {
        shift_to: Some(ShiftTo::Time(seen + 60_000)),
        count: Some(1),
        ..with
    };
    let rejected = run_on(&moved, on([Some(seen); 5])).rejected;
    assert!(
        rejected[0]["reason"]
            .as_str()
            .unwrap()
            .contains("ahead of the broker's time"),
        "{rejected:?}"
    );
}

#[test]
fn a_row_from_the_future_is_rejected_and_moves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("future.csv");
    let text = "id,user,amount,time,merchant\n\
                1,u1,1,2024-03-01T10:00:00Z,m\n\
                2,u1,1,2124-03-01T10:00:00Z,m\n\
                3,u1,1,2024-03-01T10:00:01Z,m\n";
    fs::write(&path, text).unwrap();
    let files: [PathBuf; 1] = [path];
    for sort in [false, true] {
        let replayed = run(&ReplayOptions {
            sort,
            ..options(&files, &case("C10/map.yml"), directory.path())
        });
        assert_eq!((replayed.sent.len(), replayed.late), (2, 0));
        assert_eq!(replayed.rejected.len(), 1);
        let reject = &replayed.rejected[0];
        assert!(
            reject["reason"]
                .as_str()
                .unwrap()
                .contains("ahead of the broker's time"),
            "{reject}"
        );
        assert!(
            if sort {
                reject["row"] == 3
            } else {
                reject["line"] == 3
            },
            "{reject}"
        );
    }
}

#[test]
fn a_row_of_before_the_earliest_time_is_rejected_and_sets_no_pace() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("early.csv");
    // The first is in seconds where the others are in milliseconds, and is first by time too.
    let text = "id,user,amount,time,merchant\n\
                1,u1,1,1709287200,m\n\
                2,u1,1,1709287200000,m\n\
                3,u1,1,1709287200000,m\n";
    fs::write(&path, text).unwrap();
    let mapping = directory.path().join("map.yml");
    let of_case = fs::read_to_string(case("C10/map.yml")).unwrap();
    let with_epoch = of_case.replace("{column: time}", "{column: time, format: epoch_ms}");
    assert_ne!(with_epoch, of_case);
    fs::write(&mapping, with_epoch).unwrap();
    let files: [PathBuf; 1] = [path];
    for sort in [false, true] {
        let with = ReplayOptions {
            sort,
            speed: Speed::Factor(1.0),
            ..options(&files, &mapping, directory.path())
        };
        // Were the first to set the pace, the others would be due in 54 years.
        let replayed = run(&with);
        assert_eq!((replayed.sent.len(), replayed.rejected.len()), (2, 1));
        let reason = replayed.rejected[0]["reason"].as_str().unwrap();
        assert!(
            reason.contains("before event_time.earliest_time")
                && reason.ends_with("seconds for milliseconds?"),
            "{reason}"
        );
        // A history that is moved may be as old as it is.
        let moved = ReplayOptions {
            shift_to: Some(ShiftTo::Time(1_000_000_000_000)),
            count: Some(1),
            ..with
        };
        let replayed = run(&moved);
        assert_eq!((replayed.sent.len(), replayed.rejected.len()), (1, 0));
    }
}

#[test]
fn a_look_ahead_and_a_sort_can_be_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let with = options(
        &[case("C10/oldest-first.csv")],
        &case("C10/map.yml"),
        directory.path(),
    );
    for sort in [false, true] {
        let options = ReplayOptions { sort, ..with.clone() };
        let error = Replay::open(&options, JSON, Arc::default(), order(), &|| true)
            .err()
            .unwrap();
        assert!(error.to_string().contains("nothing was sent"), "{error}");
    }
}
