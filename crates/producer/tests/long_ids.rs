//! A replay of more users with long ids than there is to be kept: their texts go with their rows.
//!
//! One test in a process of its own: the texts are the process's.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use millrace_domain::codec::json;
use millrace_domain::texts::{self, InFlight};
use millrace_producer::encode::Encoder;
use millrace_producer::replay::{Bounds, Order, Replay, ReplayCounts, ReplayOptions, Speed, Stream};
use millrace_publisher::{Next, Record, Source as _};
use millrace_settings::{Format, Settings};

/// Two collections are due before so many rows have come, and one run is sorted.
const ROWS: u64 = 210_000;
const MAPPING: &str = r#"
transactionId: {uuid5: "long/{ID}"}
userId: {template: "müller {ID} of a bank with long names"}
amount: {column: AMOUNT}
transactionTime: {column: TIME, format: epoch_ms}
merchantId: {constant: "a merchant of more than twelve bytes"}
transactionType: {constant: purchase}
location: {template: "Llanfairpwllgwyngyll {ID}"}
paymentMethod: {constant: credit_card}
isInternational: {constant: false}
currency: {constant: EUR}
"#;

/// Rows from the youngest to the oldest.
fn write_rows(folder: &Path) {
    let mut rows = BufWriter::new(File::create(folder.join("rows.csv")).unwrap());
    writeln!(rows, "ID,TIME,AMOUNT").unwrap();
    for id in 0..ROWS {
        let time_ms = 1_760_000_000_000 - id;
        writeln!(rows, "{id},{time_ms},1.25").unwrap();
    }
    rows.flush().unwrap();
}

/// Rounds as the sending thread has them; the texts of each record are looked at, one by one.
fn replay(options: &ReplayOptions) -> u64 {
    let stream = Stream {
        topic: "financial_transactions".to_owned(),
        watermarks: vec![None; 5],
    };
    let order = Order::new(Bounds::from(&Settings::default()), stream);
    let encoder = Encoder {
        format: Format::Json,
        transaction_schema_id: 0,
        label_schema_id: 0,
    };
    let counts = Arc::new(ReplayCounts::default());
    let mut source = Replay::open(options, encoder, counts, order, &|| false).unwrap();
    let (mut record, mut sent, mut last_ms) = (Record::new(), 0, i64::MIN);
    loop {
        let _round = InFlight::begin();
        record.clear();
        match source.next(&mut record).unwrap() {
            Next::Record(_) => {
                let found = json::decode(&record.value).unwrap();
                let id = (1_760_000_000_000 - found.transaction_time_ms).to_string();
                let user = format!("müller {id} of a bank with long names");
                assert_eq!(record.key(), Some(user.as_bytes()));
                assert_eq!(found.user_id.text().as_str(), user);
                assert_eq!(
                    found.location.text().as_str(),
                    format!("Llanfairpwllgwyngyll {id}")
                );
                assert!(!options.sort || found.transaction_time_ms > last_ms);
                last_ms = found.transaction_time_ms;
                sent += 1;
            }
            Next::Wait(_) => {}
            Next::End => return sent,
        }
    }
}

#[test]
fn texts_go_with_their_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mapping = folder.path().join("m.yml");
    std::fs::write(&mapping, MAPPING).unwrap();
    write_rows(folder.path());
    let options = ReplayOptions {
        files: vec![folder.path().join("rows.csv")],
        mapping,
        file_format: None,
        speed: Speed::Max,
        shift_to: None,
        sort: false,
        // They are in no order.
        force: true,
        rejects: Some(folder.path().join("rejects")),
        count: None,
    };
    assert_eq!(replay(&options), ROWS);
    assert!(texts::count() <= 150_000, "{} texts", texts::count());
    // Of a run that is sorted in memory, they are kept as long as it is.
    let sorted = ReplayOptions {
        sort: true,
        force: false,
        ..options
    };
    assert_eq!(replay(&sorted), ROWS);
    assert!(texts::count() < 3 * ROWS as usize, "{} texts", texts::count());
    assert!(texts::bytes() < 40 * texts::count(), "{} bytes", texts::bytes());
}
