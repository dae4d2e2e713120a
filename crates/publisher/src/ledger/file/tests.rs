//! The file of readings of thermometers, which are no transactions.

use proptest::prelude::*;

use super::*;
use crate::Class;
use crate::ledger::testing::{Line, Reading};

const WINDOW_MS: i64 = 60_000;

fn heading() -> Heading {
    Heading {
        run_id: "run".to_owned(),
        started_ms: 7,
        run_in_ids: RunTag::parse("1a2b3c4d"),
        topic: "topic".to_owned(),
        window_ms: WINDOW_MS,
    }
}

fn readings() -> impl Strategy<Value = Reading> {
    let class = prop::sample::select(vec![
        Class::First,
        Class::First,
        Class::Repeat,
        Class::Malformed,
        Class::Aside,
    ]);
    let thermometer = prop::sample::select(vec!["cellar", "roof"]);
    let parts = (class, thermometer, -100_000_i64..100_000, -40_i64..40);
    parts.prop_map(|(class, thermometer, event_time_ms, degrees)| Reading {
        class,
        ..Reading::first(thermometer, event_time_ms, degrees)
    })
}

/// The lines of the readings of a class, by going through all of them for each.
fn recount(readings: &[Reading], class: Class) -> Vec<Line> {
    let of_class: Vec<&Reading> = readings.iter().filter(|reading| reading.class == class).collect();
    let mut lines = Vec::new();
    for start_ms in (-2..2).map(|window| window * WINDOW_MS) {
        for thermometer in ["cellar", "roof"] {
            let window = start_ms..start_ms + WINDOW_MS;
            let inside = of_class.iter().filter(|reading| {
                reading.thermometer == thermometer && window.contains(&reading.event_time_ms)
            });
            let degrees: Vec<i64> = inside.map(|reading| reading.degrees).collect();
            if !degrees.is_empty() {
                lines.push(Line {
                    start_ms,
                    thermometer: thermometer.to_owned(),
                    count: degrees.len() as u64,
                    sum: degrees.iter().sum(),
                });
            }
        }
    }
    lines
}

fn count(readings: &[Reading], class: Class) -> u64 {
    readings.iter().filter(|reading| reading.class == class).count() as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was acknowledged and what failed, in however many pieces it was counted.
    #[test]
    fn the_file_has_what_a_recount_finds(
        acknowledged in prop::collection::vec(readings(), 0..60),
        failed in prop::collection::vec(readings(), 0..20),
        pieces in 1..7_usize,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::create(directory.path(), &heading()).unwrap();
        let mut tallies: Vec<Tally<Reading>> = (0..pieces).map(|_| Tally::default()).collect();
        for (at, reading) in acknowledged.iter().enumerate() {
            tallies[at % pieces].acknowledge(reading, WINDOW_MS);
        }
        for (at, reading) in failed.iter().enumerate() {
            tallies[at % pieces].fail(reading, WINDOW_MS, "MessageTimedOut");
        }
        let mut merged = tallies.pop().unwrap();
        if let Some(other) = tallies.pop() {
            merged.merge(other);
        }
        tallies.iter().chain([&merged]).for_each(|tally| ledger.add(tally));
        ledger.finish().unwrap();

        let file: LedgerFile<Line> = serde_json::from_slice(&fs::read(ledger.path()).unwrap()).unwrap();
        let asides = count(&acknowledged, Class::Aside);
        prop_assert_eq!((file.acknowledged, file.labels), (acknowledged.len() as u64 - asides, asides));
        let asides = count(&failed, Class::Aside);
        prop_assert_eq!((file.failed, file.failed_labels), (failed.len() as u64 - asides, asides));
        prop_assert_eq!(file.duplicates, count(&acknowledged, Class::Repeat));
        prop_assert_eq!(file.malformed, count(&acknowledged, Class::Malformed));
        prop_assert_eq!(file.windows, recount(&acknowledged, Class::First));
        prop_assert_eq!(file.repeated_windows, Some(recount(&acknowledged, Class::Repeat)));
        prop_assert_eq!(file.failed_windows, recount(&failed, Class::First));
        prop_assert!(file.finished);
    }
}

#[test]
fn a_reader_never_sees_half_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::create(directory.path(), &heading()).unwrap();
    let before = fs::read(ledger.path()).unwrap();
    let old = File::open(ledger.path()).unwrap();
    let mut tally = Tally::default();
    for at in 0..500 {
        tally.acknowledge(&Reading::first("cellar", at * WINDOW_MS, 1), WINDOW_MS);
    }
    ledger.add(&tally);
    ledger.finish().unwrap();
    // Who opened the old file reads the old content: it was replaced, not overwritten.
    assert_eq!(std::io::read_to_string(old).unwrap().as_bytes(), before);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let blocked = directory.path().join("file");
    fs::write(&blocked, b"").unwrap();
    let error = Ledger::<Reading>::create(&blocked, &heading()).unwrap_err();
    assert!(error.to_string().contains("file/run.json"), "{error}");
}
