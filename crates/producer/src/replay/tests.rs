//! Files of every format, good and bad.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use millrace_domain::{Transaction, TransactionType};
use millrace_publisher::{Class, Next, Record, Source};
use millrace_settings::Format;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;
use crate::encode::Encoder;

pub(super) const MAPPING: &str = r#"
transactionId: {uuid5: "test/{ID}"}
userId: {template: "u-{CUSTOMER}"}
amount: {column: AMOUNT}
transactionTime: {column: TIME, format: "%Y-%m-%d %H:%M:%S", zone: UTC}
merchantId: {template: "m-{TERMINAL}"}
transactionType: {column: KIND, default: purchase, values: {debit: purchase, credit: refund}}
location: {constant: Paris}
paymentMethod: {constant: credit_card}
isInternational: {constant: false}
currency: {constant: EUR}
"#;

/// No file of the tests has to be waited for as long.
const LONG: Duration = Duration::from_secs(60);

pub(super) fn mapping(text: &str) -> Result<Mapping, String> {
    Mapping::parse(Path::new("m.yml"), text).map_err(|error| error.to_string())
}

/// Id, time, customer, terminal, amount, kind.
const ROWS: [(i64, &str, i64, i64, f64, &str); 4] = [
    (0, "2018-04-01 00:00:31", 596, 3156, 57.16, ""),
    (1, "2018-04-01 00:02:10", 4961, 3412, 146.0, "debit"),
    (2, "2018-04-01 00:02:11", 2, 1365, 0.5, "credit"),
    (3, "2018-04-01 23:59:59", 4128, 8737, 1234.5678, ""),
];

fn write_csv(directory: &Path) -> PathBuf {
    let path = directory.join("rows.csv");
    let mut text = "\u{feff}ID,TIME,CUSTOMER,TERMINAL,AMOUNT,KIND\n".to_owned();
    for (id, time, customer, terminal, amount, kind) in ROWS {
        text += &format!("{id},{time},{customer},{terminal},{amount:?},{kind}\n");
    }
    fs::write(&path, text).unwrap();
    path
}

fn write_ndjson(directory: &Path) -> PathBuf {
    let path = directory.join("rows.ndjson");
    let mut text = String::new();
    for (id, time, customer, terminal, amount, kind) in ROWS {
        let kind = (!kind.is_empty()).then_some(kind);
        let row = serde_json::json!({
            "KIND": kind, "AMOUNT": amount, "ID": id, "TIME": time, "CUSTOMER": customer, "TERMINAL": terminal
        });
        text += &format!("{row}\n\n");
    }
    fs::write(&path, text).unwrap();
    path
}

fn write_parquet(directory: &Path) -> PathBuf {
    let path = directory.join("rows.parquet");
    let schema = "message rows {
        required int64 EXTRA; required int64 ID; required int64 TIME (TIMESTAMP(MILLIS, false));
        required int64 CUSTOMER; required int64 TERMINAL; required double AMOUNT; optional binary KIND (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::default());
    let mut writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, properties).unwrap();
    // Two row groups, so that reading goes from one to the next.
    for rows in ROWS.chunks(3) {
        let times = rows.iter().map(|row| {
            let time: jiff::civil::DateTime = row.1.replace(' ', "T").parse().unwrap();
            time.to_zoned(jiff::tz::TimeZone::UTC)
                .unwrap()
                .timestamp()
                .as_millisecond()
        });
        let integers = [
            rows.iter().map(|_| 7).collect::<Vec<i64>>(),
            rows.iter().map(|row| row.0).collect(),
            times.collect(),
            rows.iter().map(|row| row.2).collect(),
            rows.iter().map(|row| row.3).collect(),
        ];
        let amounts: Vec<f64> = rows.iter().map(|row| row.4).collect();
        let kinds: Vec<ByteArray> = rows
            .iter()
            .filter(|row| !row.5.is_empty())
            .map(|row| row.5.into())
            .collect();
        let present: Vec<i16> = rows.iter().map(|row| i16::from(!row.5.is_empty())).collect();
        let mut group = writer.next_row_group().unwrap();
        for values in &integers {
            let mut column = group.next_column().unwrap().unwrap();
            column
                .typed::<Int64Type>()
                .write_batch(values, None, None)
                .unwrap();
            column.close().unwrap();
        }
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<DoubleType>()
            .write_batch(&amounts, None, None)
            .unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<ByteArrayType>()
            .write_batch(&kinds, Some(&present), None)
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    path
}

fn transactions(path: &Path) -> Vec<Transaction> {
    let mapping = mapping(MAPPING).unwrap();
    let mut rows = mapping.open(path, FileFormat::of(path).unwrap()).unwrap();
    let mut cells = Vec::new();
    let mut found = Vec::new();
    while let Some(row) = rows.next_row(&mut cells).unwrap() {
        row.unwrap();
        found.push(mapping.map(&cells).unwrap());
    }
    found
}

#[test]
fn the_three_formats_agree() {
    let directory = tempfile::tempdir().unwrap();
    let csv = transactions(&write_csv(directory.path()));
    assert_eq!(csv.len(), ROWS.len());
    assert_eq!(csv[0].user_id.text().as_str(), "u-596");
    assert_eq!(csv[0].amount.units(), 571_600);
    assert_eq!(csv[0].transaction_time_ms, 1_522_540_831_000);
    assert_eq!(csv[0].transaction_id.to_string().as_bytes()[14], b'5');
    assert_eq!(csv[1].transaction_type, TransactionType::Purchase);
    assert_eq!(csv[2].transaction_type, TransactionType::Refund);
    assert_eq!(transactions(&write_ndjson(directory.path())), csv);
    assert_eq!(transactions(&write_parquet(directory.path())), csv);
}

#[test]
fn a_column_that_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    for path in [write_csv(directory.path()), write_parquet(directory.path())] {
        let mapping = mapping(&MAPPING.replace("AMOUNT", "PRICE")).unwrap();
        let error = mapping.open(&path, FileFormat::of(&path).unwrap()).err().unwrap();
        let text = error.to_string();
        assert!(
            text.contains("no column PRICE") && text.contains("CUSTOMER"),
            "{text}"
        );
    }
    let text = FileFormat::of(Path::new("rows.txt")).unwrap_err().to_string();
    assert!(text.contains("--file-format"), "{text}");
}

pub(super) const JSON: Encoder = Encoder {
    format: Format::Json,
    transaction_schema_id: 0,
    label_schema_id: 0,
};

/// Options to replay `files` by a mapping as fast as it goes, with the rejects in `directory`.
pub(super) fn options(files: &[PathBuf], mapping: &Path, directory: &Path) -> ReplayOptions {
    ReplayOptions {
        files: files.to_vec(),
        mapping: mapping.to_owned(),
        file_format: None,
        speed: Speed::Max,
        shift_to: None,
        sort: false,
        force: false,
        rejects: Some(directory.join("rejects.ndjson")),
        count: None,
    }
}

/// What was sent, with its classes, until the end or what ended it.
pub(super) struct Replayed {
    pub(super) sent: Vec<(Transaction, Class)>,
    pub(super) rejected: Vec<serde_json::Value>,
    pub(super) failure: Option<String>,
    /// Rows sent that would go to the late topic.
    pub(super) late: u64,
}

/// The default configuration's.
pub(super) fn bounds() -> Bounds {
    Bounds::from(&millrace_settings::Settings::default())
}

/// The order of rows on five partitions that have seen nothing.
pub(super) fn order() -> Order {
    let stream = Stream {
        topic: "financial_transactions".to_owned(),
        watermarks: vec![None; 5],
    };
    Order::new(bounds(), stream)
}

/// Replays without Kafka into a topic that has seen nothing: every record goes through its
/// encoding.
pub(super) fn run(options: &ReplayOptions) -> Replayed {
    run_on(options, order())
}

/// Replays without Kafka into a topic that has seen something.
pub(super) fn run_on(options: &ReplayOptions, order: Order) -> Replayed {
    let counts = Arc::new(ReplayCounts::default());
    let mut source = Replay::open(options, JSON, Arc::clone(&counts), order, &|| false).unwrap();
    let (mut sent, mut record) = (Vec::new(), Record::new());
    let failure = loop {
        record.clear();
        match source.next(&mut record) {
            Ok(Next::Record(facts)) => {
                let transaction = millrace_domain::codec::json::decode(&record.value).unwrap();
                assert_eq!(record.key(), Some(transaction.user_id.text().as_bytes()));
                sent.push((transaction, facts.class));
            }
            Ok(Next::Wait(wait)) => assert!(wait < LONG, "a row waits for {wait:?}"),
            Ok(Next::End) => break None,
            Err(error) => break Some(format!("{error:#}")),
        }
    };
    drop(source);
    let written = fs::read_to_string(options.rejects.as_ref().unwrap()).unwrap_or_default();
    let rejected: Vec<serde_json::Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(counts.rejected.load(Ordering::Relaxed), rejected.len() as u64);
    Replayed {
        sent,
        rejected,
        failure,
        late: counts.late.load(Ordering::Relaxed),
    }
}

/// Replays a file by [`MAPPING`], moved to the year 2001, and gives what was sent and the rejects.
fn replay(
    file: &Path,
    directory: &Path,
    count: Option<u64>,
) -> (Vec<(Transaction, Class)>, Vec<serde_json::Value>) {
    let mapping = directory.join("mapping.yml");
    fs::write(&mapping, MAPPING).unwrap();
    let options = ReplayOptions {
        shift_to: Some(ShiftTo::Time(1_000_000_000_000)),
        count,
        ..options(&[file.to_owned()], &mapping, directory)
    };
    let replayed = run(&options);
    assert_eq!(replayed.failure, None);
    (replayed.sent, replayed.rejected)
}

#[test]
fn bad_rows_are_rejected_and_the_rest_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.csv");
    let text = "ID,TIME,CUSTOMER,TERMINAL,AMOUNT,KIND\n\
                0,2018-04-01 00:00:31,596,3156,57.16,\n\
                1,2018-04-01 00:00:32,596,3156,0.0,\n\
                2,yesterday,596,3156,1.0,\n\
                3,2018-04-01 00:00:33,596,3156\n\
                4,2018-04-01 00:00:34,,3156,1.0,\n\
                5,2018-04-01 00:00:35,12345678901,3156,1.0,\n\
                6,2018-04-01 00:00:36,596,3156,1.0,gift\n\
                0,2018-04-01 00:00:31,596,3156,57.16,\n\
                7,2018-04-01 00:00:41,\"596\",3156,2.00005,\n\
                8,2018-04-01 00:00:51,\"596\",3156,2.0005,\n";
    let long = "1".repeat(63);
    fs::write(&path, text.replace("12345678901", &long)).unwrap();
    let (sent, rejected) = replay(&path, directory.path(), None);
    let classes: Vec<Class> = sent.iter().map(|(_, class)| *class).collect();
    assert_eq!(classes, [Class::First, Class::Repeat, Class::First]);
    let shifted: Vec<i64> = sent
        .iter()
        .map(|(transaction, _)| transaction.transaction_time_ms)
        .collect();
    assert_eq!(shifted, [1_000_000_000_000, 1_000_000_000_000, 1_000_000_020_000]);
    let expected = [
        (3, "amount 0 must be above 0"),
        (4, "transactionTime: \"yesterday\" is not a time as"),
        (5, "the row has 4 fields where the header has 6"),
        (
            6,
            "userId: column CUSTOMER is empty and the mapping gives no default",
        ),
        (7, &*format!("userId \"u-{}\" must be 1 to 64 bytes", &long[..38])),
        (8, "transactionType: \"gift\" is not purchase or refund"),
        (10, "amount 2.00005 has more than four decimals"),
    ];
    assert_eq!(rejected.len(), expected.len(), "{rejected:#?}");
    for ((line, reason), reject) in expected.iter().zip(&rejected) {
        assert_eq!(reject["line"], *line);
        assert!(reject["reason"].as_str().unwrap().starts_with(reason), "{reject}");
        assert!(reject["file"].as_str().unwrap().ends_with("bad.csv"));
    }
    assert_eq!(rejected[0]["record"][4], "0.0");
}

#[test]
fn bad_lines_are_rejected_and_the_rest_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.ndjson");
    let good = r#"{"ID":1,"TIME":"2018-04-01 00:00:31","CUSTOMER":5,"TERMINAL":6,"AMOUNT":1.5}"#;
    let long = format!("{{\"ID\":\"{}\"}}", "x".repeat(1 << 20));
    let nested = good.replace("1.5", "[1.5]");
    fs::write(&path, format!("oops\n{good}\n[1]\n{long}\n\n{nested}\n{good}")).unwrap();
    let (sent, rejected) = replay(&path, directory.path(), None);
    assert_eq!(sent.len(), 2);
    let lines: Vec<u64> = rejected
        .iter()
        .map(|reject| reject["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [1, 3, 4, 6]);
    assert!(
        rejected[0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("the line is no JSON object")
    );
    assert_eq!(rejected[2]["reason"], "the line is longer than 1048576 bytes");
    assert_eq!(rejected[3]["reason"], "AMOUNT is no single value");
}

#[test]
fn a_count_ends_a_replay_and_no_rejects_leave_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = write_csv(directory.path());
    let (sent, rejected) = replay(&path, directory.path(), Some(2));
    assert_eq!((sent.len(), rejected.len()), (2, 0));
    assert!(!directory.path().join("rejects.ndjson").exists());
}

#[test]
fn a_shift_to_now_and_haste_contradict() {
    let options = ReplayOptions {
        files: vec![PathBuf::from("rows.csv")],
        mapping: PathBuf::from("m.yml"),
        file_format: None,
        speed: Speed::Max,
        shift_to: Some(ShiftTo::Now),
        sort: false,
        force: false,
        rejects: None,
        count: None,
    };
    let error = Replay::open(&options, JSON, Arc::default(), order(), &|| false)
        .err()
        .unwrap();
    assert!(error.to_string().contains("event times in the future"), "{error}");
}
