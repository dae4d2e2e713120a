//! The file against a naive recount of the same stream.

use std::sync::Arc;

use millrace_domain::TransactionType;

use super::*;
use crate::source::{Class, Facts};
use crate::stream::{EventClock, Item, Stream, StreamConfig};
use crate::world::{World, WorldConfig};

fn items(count: usize) -> Vec<Item> {
    let world = World::new(&WorldConfig {
        seed: 1,
        users: 2_000,
        merchants: 100,
        zipf_exponent: 1.0,
    })
    .unwrap();
    let config = StreamConfig {
        seed: 1,
        run: None,
        thread: 0,
        threads: 1,
        refund_share: 0.1,
        disorder_share: 0.1,
        max_disorder_ms: 3_000,
        duplicate_share: 0.05,
        malformed_share: 0.05,
        fraud_share: 0.05,
    };
    let mut stream = Stream::new(Arc::new(world), &config);
    let mut clock = EventClock::simulated(1_760_000_000_000, 100, 0, 1);
    (0..count).map(|_| stream.next(clock.tick())).collect()
}

fn heading() -> Heading {
    Heading {
        run_id: "run".to_owned(),
        started_ms: 7,
        run_in_ids: RunTag::parse("1a2b3c4d"),
        topic: "topic".to_owned(),
        window_ms: 60_000,
    }
}

fn facts(item: &Item) -> Facts {
    Facts::of(&item.transaction, item.kind.into())
}

/// The sums of a window and currency, by going through the transactions of a class.
fn recount(items: &[Item], class: Class, line: &WindowLine) -> WindowLine {
    let mut again = WindowLine {
        purchase_count: 0,
        refund_count: 0,
        ..line.clone()
    };
    let (mut purchases, mut refunds) = (0_i128, 0_i128);
    for item in items {
        let transaction = &item.transaction;
        let inside = (line.start_ms..line.start_ms + 60_000).contains(&transaction.transaction_time_ms);
        if Class::from(item.kind) != class || !inside || transaction.currency.as_str() != line.currency {
            continue;
        }
        let units = i128::from(transaction.amount.units());
        match transaction.transaction_type {
            TransactionType::Purchase => {
                again.purchase_count += 1;
                purchases += units;
            }
            TransactionType::Refund => {
                again.refund_count += 1;
                refunds += units;
            }
        }
    }
    again.purchase_sum_units = purchases.to_string();
    again.refund_sum_units = refunds.to_string();
    again
}

#[test]
fn sums_equal_a_naive_recount() {
    let items = items(40_000);
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::create(directory.path(), &heading()).unwrap();
    let mut failed = Vec::new();
    let mut acknowledged = Vec::new();
    // Three threads' tallies, merged in pieces; every hundredth record fails.
    for chunk in items.chunks(3_333) {
        let (mut one, mut other) = (Tally::default(), Tally::default());
        for (at, item) in chunk.iter().enumerate() {
            if at % 100 == 99 {
                one.fail(&facts(item), 60_000, "MessageTimedOut");
                failed.push(*item);
            } else {
                let tally = if at % 2 == 0 { &mut one } else { &mut other };
                tally.acknowledge(&facts(item), 60_000);
                acknowledged.push(*item);
            }
        }
        one.merge(other);
        ledger.add(&one);
    }
    ledger.finish().unwrap();

    let file: LedgerFile = serde_json::from_slice(&fs::read(ledger.path()).unwrap()).unwrap();
    assert!(file.finished);
    assert_eq!(file.acknowledged as usize, acknowledged.len());
    assert_eq!(file.failed as usize, failed.len());
    let count = |wanted: Class| {
        let same = acknowledged
            .iter()
            .filter(|item| Class::from(item.kind) == wanted);
        same.count() as u64
    };
    assert_eq!(file.duplicates, count(Class::Repeat));
    assert_eq!(file.malformed, count(Class::Malformed));
    let in_windows: u64 = file
        .windows
        .iter()
        .map(|line| line.purchase_count + line.refund_count)
        .sum();
    assert_eq!(in_windows, count(Class::First));
    assert!(file.windows.len() > 50, "{}", file.windows.len());
    for line in &file.windows {
        assert_eq!(*line, recount(&acknowledged, Class::First, line));
    }
    let repeated = file.repeated_windows.unwrap();
    let repeats: u64 = repeated
        .iter()
        .map(|line| line.purchase_count + line.refund_count)
        .sum();
    assert_eq!(repeats, file.duplicates);
    for line in &repeated {
        assert_eq!(*line, recount(&acknowledged, Class::Repeat, line));
    }
    assert_eq!(file.id_prefix.as_deref(), Some("1a2b3c4d"));
    assert!(!file.failed_windows.is_empty());
    for line in &file.failed_windows {
        assert_eq!(*line, recount(&failed, Class::First, line));
    }
}

#[test]
fn a_reader_never_sees_half_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::create(directory.path(), &heading()).unwrap();
    let before = fs::read(ledger.path()).unwrap();
    let old = File::open(ledger.path()).unwrap();
    let mut tally = Tally::default();
    for item in items(500) {
        tally.acknowledge(&facts(&item), 60_000);
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
    let error = Ledger::create(&blocked, &heading()).unwrap_err();
    assert!(error.to_string().contains("file/run.json"), "{error}");
}
