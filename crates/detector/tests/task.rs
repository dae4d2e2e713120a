//! The edge: what becomes of records, good and bad, in a run and in a replay.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use millrace_contract::framing;
use millrace_contract::source::NoRegistry;
use millrace_detector::job::{DetectJob, DetectParts, DetectTask, NAME};
use millrace_detector::live_rules::LiveRules;
use millrace_detector::metrics::DetectMetrics;
use millrace_domain::codec::{TransactionReader, anomaly, json, transaction};
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use millrace_engine::HashSeed;
use millrace_fraud::{DetectOperator, DetectPolicy, DetectSettings};
use millrace_kafka::{RecordHeaders, partition_for};
use millrace_runtime::processor::{Refusal, SkippedRecords};
use millrace_runtime::{InputRecord, Job, JobMetrics, Outbox, OutputRecord, Task};
use millrace_settings::MisplacedRecords;
use prometheus::Encoder as _;

const NOW_MS: i64 = 1_760_000_000_000;
const TRANSACTION_SCHEMA_ID: u32 = 7;
const ANOMALY_SCHEMA_ID: u32 = 9;

/// Keeps what is sent.
#[derive(Default)]
struct Kept {
    is_replay: bool,
    sent: Vec<(String, Option<Vec<u8>>, Vec<u8>)>,
}

impl Outbox for Kept {
    fn send(&mut self, record: OutputRecord<'_>) {
        assert_eq!(record.partition, None, "murmur2 of the key decides");
        let key = record.key.map(<[u8]>::to_vec);
        self.sent
            .push((record.topic.to_owned(), key, record.payload.to_vec()));
    }

    fn copy(&mut self, _record: &InputRecord<'_>, topic: &str, _headers: &[(&str, &[u8])]) {
        panic!("the detector copies nothing, and here to {topic}");
    }

    fn dead_letter(&mut self, _record: &InputRecord<'_>, code: &'static str, error: &str) {
        panic!("the aggregator keeps bad records, not the detector: {code} {error}");
    }

    fn is_replay(&self) -> bool {
        self.is_replay
    }
}

fn job() -> DetectJob {
    DetectJob::new(parts())
}

fn parts() -> DetectParts {
    let settings = DetectSettings::default();
    DetectParts {
        operator: DetectOperator::new(&settings, HashSeed::FIXED).unwrap(),
        rules: std::sync::Arc::new(LiveRules::new(DetectPolicy::new(settings).unwrap())),
        seed: HashSeed::FIXED,
        control: "t.transaction_anomalies.control".to_owned(),
        max_future_ms: 60_000,
        earliest_ms: 946_684_800_000,
        source: std::sync::Arc::new(millrace_kafka::SourcePartitions::fixed(5)),
        refusal: Refusal::Skip(SkippedRecords::of(NAME).unwrap()),
        misplaced_records: MisplacedRecords::DeadLetter,
        input: "t.financial_transactions".to_owned(),
        anomalies: "t.transaction_anomalies".to_owned(),
        schema_id: ANOMALY_SCHEMA_ID,
        reader: TransactionReader::new(NoRegistry).with_own_schema_id(TRANSACTION_SCHEMA_ID),
        job: JobMetrics::of(NAME).unwrap(),
        metrics: DetectMetrics::new(NAME).unwrap(),
    }
}

fn purchase(number: u8) -> Transaction {
    let short = |text| ShortId::new(text, "id").unwrap();
    Transaction {
        transaction_id: TransactionId::from_bytes([number; 16]),
        user_id: short("alice"),
        amount: Amount::from_f64(20.0).unwrap(),
        transaction_time_ms: NOW_MS + i64::from(number) * 100,
        merchant_id: short("m-1"),
        transaction_type: TransactionType::Purchase,
        location: short("Atlantis"),
        payment_method: PaymentMethod::CreditCard,
        is_international: false,
        currency: Currency::parse(b"EUR").unwrap(),
    }
}

fn process(task: &mut DetectTask, value: Option<&[u8]>, outbox: &mut Kept) {
    let record = InputRecord {
        topic: "t.financial_transactions",
        partition: partition_for(b"alice", 5),
        offset: 17,
        timestamp_ms: NOW_MS,
        is_append_time: true,
        key: Some(b"alice"),
        payload: value,
        headers: RecordHeaders::NONE,
    };
    task.process(&record, outbox).unwrap();
}

fn send(task: &mut DetectTask, transaction: &Transaction, outbox: &mut Kept) {
    let mut value = Vec::new();
    transaction::encode_framed(TRANSACTION_SCHEMA_ID, transaction, &mut value);
    process(task, Some(&value), outbox);
}

/// One metric's value, 0 where there is none yet.
fn metric(line: &str) -> f64 {
    let mut text = Vec::new();
    prometheus::TextEncoder::new()
        .encode(&prometheus::gather(), &mut text)
        .unwrap();
    let text = String::from_utf8(text).unwrap();
    let value = text.lines().find_map(|found| found.strip_prefix(line));
    value.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// After partitions were added, a start replays what was refused before, whatever is set now.
#[test]
fn a_replay_refuses_what_was_refused_before_partitions_were_added() {
    let before = job().policy();
    let grown = DetectJob::new(DetectParts {
        source: std::sync::Arc::new(millrace_kafka::SourcePartitions::fixed(8)),
        misplaced_records: MisplacedRecords::Count,
        ..parts()
    });
    let partition = (partition_for(b"alice", 5) + 1) % 5;
    let mut task = grown.task_under(partition, &before).unwrap();
    let mut value = Vec::new();
    transaction::encode_framed(TRANSACTION_SCHEMA_ID, &purchase(1), &mut value);
    let record = InputRecord {
        topic: "t.financial_transactions",
        partition,
        offset: 17,
        timestamp_ms: NOW_MS,
        is_append_time: true,
        key: Some(b"alice"),
        payload: Some(&value),
        headers: RecordHeaders::NONE,
    };
    let mut outbox = Kept {
        is_replay: true,
        ..Kept::default()
    };
    task.process(&record, &mut outbox).unwrap();
    assert_eq!(task.max_event_time_ms(), None, "it was refused");
}

/// One test, as the metrics are the process's.
#[test]
fn records_become_anomalies_or_counts() {
    let job = job();
    let (mut task, mut outbox) = (job.task(3), Kept::default());
    a_burst_is_written_as_an_anomaly(&mut task, &mut outbox);
    a_replay_is_silent(&mut task, &mut job.task(4));
    bad_records_are_counted_and_passed_over(&mut task, &mut outbox);
    a_changed_payload_is_an_anomaly_and_a_copy_is_counted(&mut task, &mut outbox);
    task.before_commit(&mut outbox).unwrap();
    assert_eq!(metric("millrace_profiles{partition=\"3\"}"), 1.0);
    drop(task);
    assert_eq!(
        metric("millrace_profiles{partition=\"3\"}"),
        0.0,
        "gone with its task"
    );
}

fn state(task: &mut DetectTask) -> Vec<u8> {
    let mut bytes = Vec::new();
    task.freeze().write(&mut bytes);
    bytes
}

fn a_burst_is_written_as_an_anomaly(task: &mut DetectTask, outbox: &mut Kept) {
    for number in 0..20 {
        send(task, &purchase(number), outbox);
    }
    let [(topic, key, value)] = &outbox.sent[..] else {
        panic!("{} anomalies", outbox.sent.len());
    };
    assert_eq!(
        (topic.as_str(), key.as_deref()),
        ("t.transaction_anomalies", Some(&b"alice"[..]))
    );
    let (schema_id, body) = framing::split(value).unwrap();
    let found = anomaly::decode(body).unwrap();
    assert_eq!((schema_id, found.rule.as_str()), (ANOMALY_SCHEMA_ID, "velocity"));
    assert_eq!(found.entity.text().as_str(), "alice");
    assert!(
        found.detection_time_ms > found.event_time_ms,
        "stamped by the clock of today"
    );
    assert_eq!(
        metric("millrace_anomalies_total{rule=\"velocity\",severity=\"critical\"}"),
        1.0
    );
    assert_eq!(
        metric("millrace_unknown_locations_total{operator=\"detect\"}"),
        20.0
    );
}

fn a_replay_is_silent(task: &mut DetectTask, replayed: &mut DetectTask) {
    let mut silent = Kept {
        is_replay: true,
        ..Kept::default()
    };
    for number in 0..20 {
        send(replayed, &purchase(number), &mut silent);
    }
    process(replayed, None, &mut silent);
    assert!(silent.sent.is_empty());
    assert_eq!(state(replayed), state(task));
    assert_eq!(
        metric("millrace_anomalies_total{rule=\"velocity\",severity=\"critical\"}"),
        1.0
    );
    assert_eq!(
        metric("millrace_unknown_locations_total{operator=\"detect\"}"),
        20.0
    );
}

fn bad_records_are_counted_and_passed_over(task: &mut DetectTask, outbox: &mut Kept) {
    let before = state(task);
    let mut far = purchase(50);
    far.transaction_time_ms = NOW_MS + 60_001;
    send(task, &far, outbox);
    process(task, None, outbox);
    process(task, Some(b"\x00\x00"), outbox);
    process(task, Some(b"{\"userId\":"), outbox);
    far.transaction_time_ms = NOW_MS / 1_000;
    send(task, &far, outbox);
    let mut elsewhere = purchase(51);
    elsewhere.user_id = ShortId::new("bob", "userId").unwrap();
    assert_ne!(partition_for(b"bob", 5), partition_for(b"alice", 5));
    send(task, &elsewhere, outbox);
    for code in ["before_earliest_time", "misplaced"] {
        let name = format!("millrace_skipped_records_total{{code=\"{code}\",operator=\"detect\"}}");
        assert_eq!(metric(&name), 1.0, "{code}");
    }
    let misplaced = "millrace_misplaced_records_total{operator=\"detect\",reason=\"other_key\"}";
    assert_eq!(metric(misplaced), 1.0);
    assert_eq!(
        metric("millrace_skipped_records_total{code=\"far_future\",operator=\"detect\"}"),
        1.0
    );
    assert_eq!(state(task), before, "they changed nothing");
}

fn a_changed_payload_is_an_anomaly_and_a_copy_is_counted(task: &mut DetectTask, outbox: &mut Kept) {
    // As JSON, for once.
    let mut changed = purchase(1);
    changed.amount = Amount::from_f64(30.0).unwrap();
    let mut value = Vec::new();
    json::encode(&changed, &mut value);
    process(task, Some(&value), outbox);
    send(task, &purchase(2), outbox);
    assert_eq!(outbox.sent.len(), 2);
    let (_, body) = framing::split(&outbox.sent[1].2).unwrap();
    assert_eq!(anomaly::decode(body).unwrap().rule, "replay");
    assert_eq!(
        metric("millrace_duplicate_records_total{operator=\"detect\"}"),
        2.0
    );
}
