//! Both tasks without a broker: what they send for what they are given.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

mod merge;
mod policies;
mod refused;

use millrace_aggregator::merge::{MergeJob, MergeParts, MergeTask, MergeTopics};
use millrace_aggregator::partial::{PartialJob, PartialParts, PartialTask, PartialTopics};
use millrace_contract::framing;
use millrace_contract::source::NoRegistry;
use millrace_domain::codec::{PartialReader, TransactionReader, aggregate, partial, transaction};
use millrace_domain::{
    Amount, Currency, PartialContent, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use millrace_engine::HashSeed;
use millrace_engine::windowed::{EarlyResults, MergePolicy, PartialPolicy};
use millrace_kafka::{RecordHeaders, SourcePartitions, partition_for};
use millrace_runtime::processor::Refusal;
use millrace_runtime::windowed::WindowMetrics;
use millrace_runtime::{InputRecord, Job as _, JobMetrics, Outbox, OutputRecord, Task as _};
use millrace_settings::{EarliestTime, MisplacedRecords};

const TRANSACTION_ID: u32 = 1;
const PARTIAL_ID: u32 = 2;
const AGGREGATE_ID: u32 = 3;
const PARTIALS_PARTITIONS: i32 = 3;
const WINDOW_MS: i64 = 60_000;
const EARLY_MS: i64 = 20_000;
const NOON_MS: i64 = 1_760_011_200_000;

/// One record as it would be in the log.
#[derive(Debug, Clone, PartialEq)]
struct Sent {
    topic: String,
    partition: Option<i32>,
    key: Option<Vec<u8>>,
    payload: Vec<u8>,
    headers: Vec<(String, String)>,
}

/// Keeps what a task sends.
#[derive(Default)]
struct Kept {
    sent: Vec<Sent>,
    dead_letters: Vec<(&'static str, String)>,
    is_replay: bool,
}

impl Outbox for Kept {
    fn send(&mut self, record: OutputRecord<'_>) {
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        self.sent.push(Sent {
            topic: record.topic.to_owned(),
            partition: record.partition,
            key: record.key.map(<[u8]>::to_vec),
            payload: record.payload.to_vec(),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), text(value)))
                .collect(),
        });
    }

    fn copy(&mut self, record: &InputRecord<'_>, topic: &str, headers: &[(&str, &[u8])]) {
        self.send(OutputRecord {
            topic,
            partition: None,
            key: record.key,
            payload: record.payload.unwrap_or_default(),
            headers,
        });
    }

    fn dead_letter(&mut self, _record: &InputRecord<'_>, code: &'static str, error: &str) {
        self.dead_letters.push((code, error.to_owned()));
    }

    fn is_replay(&self) -> bool {
        self.is_replay
    }
}

fn partial_task(partition: i32) -> PartialTask {
    partial_task_counted_as("aggregate-partial", partition)
}

fn partial_task_counted_as(operator: &str, partition: i32) -> PartialTask {
    partial_job_counted_as(operator).task(partition)
}

fn partial_job_counted_as(operator: &str) -> PartialJob {
    PartialJob::new(partial_parts_counted_as(operator))
}

fn partial_parts_counted_as(operator: &str) -> PartialParts {
    PartialParts {
        policy: PartialPolicy::new(WINDOW_MS, 0, 0)
            .unwrap()
            .with_early(Some(EarlyResults::every_ms(EARLY_MS).unwrap())),
        max_future_ms: 60_000,
        earliest_ms: EarliestTime::default().ms(),
        source: std::sync::Arc::new(SourcePartitions::fixed(5)),
        upstream: None,
        misplaced_records: MisplacedRecords::Count,
        seed: HashSeed::FIXED,
        topics: PartialTopics {
            input: "in".to_owned(),
            control: "control".to_owned(),
            partials: "partials".to_owned(),
            partials_control: "partials-control".to_owned(),
            late: Some("late".to_owned()),
        },
        partials_partitions: PARTIALS_PARTITIONS,
        schema_id: PARTIAL_ID,
        reader: TransactionReader::new(NoRegistry).with_own_schema_id(TRANSACTION_ID),
        refusal: Refusal::DeadLetter,
        metrics: JobMetrics::of(operator).unwrap(),
        windows: WindowMetrics::of("aggregate-partial").unwrap(),
    }
}

fn merge_task(source_partitions: usize) -> MergeTask {
    let job = MergeJob::new(MergeParts {
        policy: MergePolicy::new(source_partitions, 0)
            .unwrap()
            .with_early(Some(EarlyResults::every_ms(EARLY_MS).unwrap())),
        seed: HashSeed::FIXED,
        topics: MergeTopics {
            input: "partials".to_owned(),
            control: "partials.control".to_owned(),
            results: "aggregates".to_owned(),
        },
        schema_id: AGGREGATE_ID,
        reader: PartialReader::new(NoRegistry).with_own_schema_id(PARTIAL_ID),
        refusal: Refusal::DeadLetter,
        metrics: JobMetrics::of("aggregate-merge").unwrap(),
        windows: WindowMetrics::of("aggregate-merge").unwrap(),
    });
    job.task(0)
}

fn value(id: u8, user: &str, merchant: &str, cents: i64, time_ms: i64) -> Vec<u8> {
    let record = Transaction {
        transaction_id: TransactionId::from_bytes([id; 16]),
        user_id: ShortId::new(user, "userId").unwrap(),
        amount: Amount::from_units(cents * 100).unwrap(),
        transaction_time_ms: time_ms,
        merchant_id: ShortId::new(merchant, "merchantId").unwrap(),
        transaction_type: TransactionType::Purchase,
        location: ShortId::new("Berlin", "location").unwrap(),
        payment_method: PaymentMethod::CreditCard,
        is_international: false,
        currency: Currency::parse(b"EUR").unwrap(),
    };
    let mut bytes = Vec::new();
    transaction::encode_framed(TRANSACTION_ID, &record, &mut bytes);
    bytes
}

fn input(offset: i64, payload: &[u8]) -> InputRecord<'_> {
    InputRecord {
        topic: "in",
        partition: 4,
        offset,
        timestamp_ms: NOON_MS,
        is_append_time: true,
        key: Some(b"u-1"),
        payload: Some(payload),
        headers: RecordHeaders::NONE,
    }
}

/// What is told to come next changes nothing, whether it comes, comes late, comes twice, or is
/// something else.
#[test]
fn preparing_changes_nothing() {
    let (mut plain, mut expected) = (partial_task(11), Kept::default());
    let (mut prepared, mut kept) = (partial_task(12), Kept::default());
    let values: Vec<Vec<u8>> = (0..200_u8)
        .map(|number| match number % 9 {
            7 => b"{}".to_vec(),
            8 => value(1, "u-1", "m-1", 100, NOON_MS + 60_001),
            user => {
                let time_ms = NOON_MS - 120_000 + i64::from(number) * 1_000;
                value(number, &format!("u-{user}"), "m-1", 100, time_ms)
            }
        })
        .collect();
    let records: Vec<_> = (0..)
        .zip(&values)
        .map(|(offset, value)| input(offset, value))
        .collect();
    for (at, record) in records.iter().enumerate() {
        if at % 50 == 10 {
            prepared.prepare(&records[at..(at + 64).min(records.len())]);
        }
        // Some are left out, and some come again after others.
        if at % 11 == 3 {
            continue;
        }
        for record in [record, &records[at - at % 5]] {
            plain.process(record, &mut expected).unwrap();
            prepared.process(record, &mut kept).unwrap();
        }
    }
    assert!(expected.sent.len() > 3 && expected.dead_letters.len() > 20);
    assert_eq!(kept.dead_letters, expected.dead_letters);
    assert_eq!(kept.sent.len(), expected.sent.len());
    let state = |task: &mut PartialTask| {
        let mut bytes = Vec::new();
        task.freeze().write(&mut bytes);
        bytes
    };
    assert_eq!(state(&mut prepared), state(&mut plain));
}

#[test]
fn a_late_record_goes_on_unchanged_and_a_duplicate_nowhere() {
    let (mut task, mut kept) = (partial_task(11), Kept::default());
    let early = value(1, "u-1", "m-1", 100, NOON_MS - 1);
    for payload in [&value(2, "u-1", "m-1", 100, NOON_MS), &early, &early] {
        task.process(&input(7, payload), &mut kept).unwrap();
    }
    let late: Vec<_> = kept.sent.iter().filter(|sent| sent.topic == "late").collect();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = Sent {
        topic: "late".to_owned(),
        partition: None,
        key: Some(b"u-1".to_vec()),
        payload: early,
        headers: vec![header("late.by_ms", "1")],
    };
    assert_eq!(late, [&expected]);
}

#[test]
fn a_replay_counts_nothing() {
    let operator = "test-replay";
    let (mut task, mut kept) = (partial_task_counted_as(operator, 12), Kept::default());
    let metrics = JobMetrics::of(operator).unwrap();
    let counts = || (metrics.duplicate_records.get(), metrics.late_records.get());
    let times_ms = [NOON_MS, NOON_MS, NOON_MS - 1];
    for (replay, expected) in [(true, (0, 0)), (false, (2, 1))] {
        kept.is_replay = replay;
        for (id, time_ms) in [1, 1, if replay { 2 } else { 3 }].into_iter().zip(times_ms) {
            let payload = value(id, "u-1", "m-1", 100, time_ms);
            task.process(&input(0, &payload), &mut kept).unwrap();
        }
        assert_eq!(counts(), expected, "replay: {replay}");
    }
}

#[test]
fn contributions_go_to_the_merchants_partition_and_the_watermark_to_all_after_them() {
    let (mut task, mut kept) = (partial_task(2), Kept::default());
    let mut state = Vec::new();
    for (id, user, merchant, cents) in [(1, "u-1", "m-2", 5), (2, "u-1", "m-1", 7), (3, "u-2", "m-2", 11)] {
        task.process(&input(0, &value(id, user, merchant, cents, NOON_MS)), &mut kept)
            .unwrap();
    }
    task.freeze().write(&mut state);
    let mut task = partial_task(2);
    task.restore(&state).unwrap();
    assert_eq!(task.open_until_ms(), Some(NOON_MS + WINDOW_MS));
    kept.sent.clear();
    task.advance(NOON_MS + WINDOW_MS, &mut kept).unwrap();
    assert_eq!(task.open_until_ms(), None);

    let partition = |merchant: &str| Some(partition_for(merchant.as_bytes(), PARTIALS_PARTITIONS));
    let to: Vec<_> = kept.sent.iter().map(|sent| sent.partition).collect();
    assert_eq!(
        to,
        [partition("m-1"), partition("m-2"), Some(0), Some(1), Some(2)]
    );
    let read = |sent: &Sent| {
        let (id, body) = framing::split(&sent.payload).unwrap();
        assert_eq!(id, PARTIAL_ID);
        partial::decode(body).unwrap()
    };
    let second = read(&kept.sent[1]);
    assert_eq!(second.source_partition, 2);
    let PartialContent::Final(contributions) = second.content else {
        panic!("{second:?}");
    };
    let [contribution] = contributions[..] else {
        panic!("{contributions:?}");
    };
    assert_eq!(contribution.distinct_users, 2);
    assert_eq!(contribution.totals.purchase_sum.to_string(), "0.16");
    let marker = read(&kept.sent[4]);
    assert_eq!(
        (marker.watermark_ms, marker.content),
        (NOON_MS + WINDOW_MS, PartialContent::Watermark)
    );
}

#[test]
fn early_results_go_to_the_merchants_partition_and_grow_to_the_final_one() {
    let (mut task, mut kept) = (partial_task(0), Kept::default());
    let mut merge = merge_task(1);
    for (id, after_ms) in [(1, 0), (2, EARLY_MS), (3, 2 * EARLY_MS)] {
        let payload = value(id, "u-1", "m-1", 5, NOON_MS + after_ms);
        task.process(&input(0, &payload), &mut kept).unwrap();
    }
    task.advance(NOON_MS + WINDOW_MS, &mut kept).unwrap();
    let here = Some(partition_for(b"m-1", PARTIALS_PARTITIONS));
    let mut results = Kept::default();
    for sent in &kept.sent {
        assert!(sent.key.is_none() || sent.partition == here, "{sent:?}");
        if sent.partition == here {
            merge.process(&input(0, &sent.payload), &mut results).unwrap();
        }
    }
    assert_eq!(
        (&kept.dead_letters, &results.dead_letters),
        (&Vec::new(), &Vec::new())
    );
    let revisions: Vec<_> = results
        .sent
        .iter()
        .map(|sent| {
            assert_eq!(
                (sent.topic.as_str(), sent.key.as_deref()),
                ("aggregates", Some(b"m-1".as_slice()))
            );
            let found = aggregate::decode(framing::split(&sent.payload).unwrap().1).unwrap();
            (
                found.revision,
                found.totals.purchase_sum.to_string(),
                found.distinct_users,
            )
        })
        .collect();
    let result = |revision, sum: &str| (revision, sum.to_owned(), 1);
    assert_eq!(
        revisions,
        [
            result(-40_000, "0.10"),
            result(-20_000, "0.15"),
            result(0, "0.15")
        ]
    );
}
