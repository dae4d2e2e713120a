//! The ledger's file against a naive recount of the same stream.

use std::fs;
use std::sync::Arc;

use millrace_publisher::RunTag;
use millrace_publisher::ledger::{Heading, LedgerFile, Tally};

use super::*;
use crate::stream::{EventClock, Item, Stream, StreamConfig};
use crate::world::{World, WorldConfig};

type Ledger = millrace_publisher::ledger::Ledger<Facts>;

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
    Facts::of(&item.transaction, class_of(item.kind))
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
        if class_of(item.kind) != class || !inside || transaction.currency.as_str() != line.currency {
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

    let file: LedgerFile<WindowLine> = serde_json::from_slice(&fs::read(ledger.path()).unwrap()).unwrap();
    assert!(file.finished);
    assert_eq!(file.acknowledged as usize, acknowledged.len());
    assert_eq!(file.failed as usize, failed.len());
    let count = |wanted: Class| {
        let same = acknowledged.iter().filter(|item| class_of(item.kind) == wanted);
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
fn the_file_is_that_of_earlier_releases() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::create(directory.path(), &heading()).unwrap();
    let facts = |class, transaction_type, currency: &[u8], units| Facts {
        class,
        transaction_type,
        currency: Currency::parse(currency).unwrap(),
        amount: Amount::from_units(units).unwrap(),
        event_time_ms: 120_001,
    };
    let purchase = |class| facts(class, TransactionType::Purchase, b"EUR", 12_345);
    let mut tally = Tally::default();
    tally.acknowledge(&purchase(Class::First), 60_000);
    tally.acknowledge(&facts(Class::First, TransactionType::Refund, b"CHF", 7), 60_000);
    tally.acknowledge(&purchase(Class::Repeat), 60_000);
    tally.acknowledge(&purchase(Class::Malformed), 60_000);
    tally.acknowledge(&purchase(Class::Aside), 60_000);
    tally.fail(&purchase(Class::First), 60_000, "MessageTimedOut");
    tally.fail(&purchase(Class::Aside), 60_000, "MessageTimedOut");
    ledger.add(&tally);
    ledger.finish().unwrap();
    let expected = concat!(
        r#"{"run_id":"run","started_ms":7,"finished":true,"id_prefix":"1a2b3c4d","topic":"topic","#,
        r#""acknowledged":4,"failed":1,"duplicates":1,"malformed":1,"labels":1,"failed_labels":1,"#,
        r#""window_ms":60000,"forgotten_windows":0,"windows":["#,
        r#"{"start_ms":120000,"currency":"CHF","purchase_count":0,"purchase_sum_units":"0","#,
        r#""refund_count":1,"refund_sum_units":"7"},"#,
        r#"{"start_ms":120000,"currency":"EUR","purchase_count":1,"purchase_sum_units":"12345","#,
        r#""refund_count":0,"refund_sum_units":"0"}],"repeated_windows":["#,
        r#"{"start_ms":120000,"currency":"EUR","purchase_count":1,"purchase_sum_units":"12345","#,
        r#""refund_count":0,"refund_sum_units":"0"}],"failed_windows":["#,
        r#"{"start_ms":120000,"currency":"EUR","purchase_count":1,"purchase_sum_units":"12345","#,
        r#""refund_count":0,"refund_sum_units":"0"}]}"#,
        "\n"
    );
    assert_eq!(fs::read_to_string(ledger.path()).unwrap(), expected);
}
