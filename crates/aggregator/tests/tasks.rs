//! Both tasks without a broker: what they send for what they are given.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use millrace_aggregator::merge::{MergeJob, MergeParts, MergeTask, MergeTopics};
use millrace_aggregator::metrics::WindowMetrics;
use millrace_aggregator::partial::{PartialJob, PartialTask, PartialTopics};
use millrace_codec::{
    PartialReader, RegistryConfig, SchemaFetcher, TransactionReader, aggregate, framing, partial, transaction,
};
use millrace_domain::{
    Amount, Currency, PartialContent, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType,
};
use millrace_engine::HashSeed;
use millrace_engine::aggregate::{EarlyResults, MergePolicy, PartialPolicy};
use millrace_kafka::{
    InputRecord, Job as _, JobMetrics, Outbox, OutputRecord, RecordHeaders, SourcePartitions, Task as _,
    partition_for,
};
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

fn fetcher() -> SchemaFetcher {
    SchemaFetcher::new(RegistryConfig {
        url: "http://127.0.0.1:1".to_owned(),
        username: None,
        password: None,
        timeout_ms: 1,
        tls: millrace_codec::Tls::default(),
    })
}

fn partial_task(partition: i32) -> PartialTask {
    partial_task_counted_as("aggregate-partial", partition)
}

fn partial_task_counted_as(operator: &str, partition: i32) -> PartialTask {
    partial_job_counted_as(operator).task(partition)
}

fn partial_job_counted_as(operator: &str) -> PartialJob {
    PartialJob {
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
            late: "late".to_owned(),
        },
        partials_partitions: PARTIALS_PARTITIONS,
        schema_id: PARTIAL_ID,
        reader: TransactionReader::new(fetcher()).with_own_schema_id(TRANSACTION_ID),
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
            aggregates: "aggregates".to_owned(),
        },
        schema_id: AGGREGATE_ID,
        reader: PartialReader::new(fetcher()).with_own_schema_id(PARTIAL_ID),
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
fn what_cannot_be_decoded_or_is_far_ahead_becomes_a_dead_letter() {
    let (mut task, mut kept) = (partial_task(10), Kept::default());
    let far = value(1, "u-1", "m-1", 100, NOON_MS + 60_001);
    let near = value(2, "u-1", "m-1", 100, NOON_MS + 60_000);
    let cut = &near[..near.len() - 1];
    for payload in [&far[..], cut, b"", b"{}", &near[..]] {
        task.process(&input(0, payload), &mut kept).unwrap();
    }
    let tombstone = InputRecord {
        payload: None,
        ..input(0, b"")
    };
    task.process(&tombstone, &mut kept).unwrap();
    let codes: Vec<_> = kept.dead_letters.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes[0], "far_future");
    assert_eq!(codes[2], "empty");
    assert_eq!(codes.len(), 5, "{:?}", kept.dead_letters);
    assert_eq!(task.max_event_time_ms(), Some(NOON_MS + 60_000));
}

#[test]
fn a_time_before_the_earliest_is_a_dead_letter_that_says_why_and_can_be_allowed() {
    let (mut task, mut kept) = (partial_task(10), Kept::default());
    let seconds = value(1, "u-1", "m-1", 100, NOON_MS / 1_000);
    let old = value(2, "u-1", "m-1", 100, 946_684_800_000 - 1);
    let first = value(3, "u-1", "m-1", 100, 946_684_800_000);
    for payload in [&seconds, &old, &first] {
        task.process(&input(0, payload), &mut kept).unwrap();
    }
    let [(code, seconds), (_, old)] = &kept.dead_letters[..] else {
        panic!("{:?}", kept.dead_letters);
    };
    assert_eq!(*code, "before_earliest_time");
    assert!(
        seconds.ends_with("946684800000 ms: seconds for milliseconds?"),
        "{seconds}"
    );
    assert!(old.ends_with("946684800000 ms"), "{old}");
    assert_eq!(task.max_event_time_ms(), Some(946_684_800_000));

    let mut job = partial_job_counted_as("aggregate-partial");
    let before = job.policy();
    job.earliest_ms = 0;
    assert_ne!(job.policy(), before);
    let (mut task, mut kept) = (job.task(10), Kept::default());
    task.process(&input(0, &value(1, "u-1", "m-1", 100, 0)), &mut kept)
        .unwrap();
    assert!(kept.dead_letters.is_empty());
    assert_eq!(task.max_event_time_ms(), Some(0));
}

/// What `confluent-kafka`'s default partitioner does to a payment that is sent twice: it counts
/// twice, but not in silence.
#[test]
fn a_record_elsewhere_than_its_users_is_counted_or_refused() {
    let operator = "misplaced-in-a-test";
    let count = |reason: &str| {
        let name = "millrace_misplaced_records_total";
        let families = prometheus::gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        let is_it = |metric: &&prometheus::proto::Metric| {
            let values: Vec<_> = metric
                .get_label()
                .iter()
                .map(prometheus::proto::LabelPair::value)
                .collect();
            values == [operator, reason]
        };
        family
            .get_metric()
            .iter()
            .find(is_it)
            .unwrap()
            .get_counter()
            .get_value()
    };
    let right = partition_for(b"u-1", 5);
    let payload = value(1, "u-1", "m-1", 100, NOON_MS);
    let record = |partition, key| InputRecord {
        partition,
        key,
        ..input(0, &payload)
    };
    let elsewhere = (right + 1) % 5;
    let mut job = partial_job_counted_as(operator);
    let (mut task, mut kept) = (job.task(elsewhere), Kept::default());
    for key in [None, Some(&b"u-2"[..]), Some(b"u-1")] {
        task.process(&record(elsewhere, key), &mut kept).unwrap();
    }
    assert_eq!(["no_key", "other_key", "other_partitioner"].map(count), [1.0; 3]);
    assert!(kept.dead_letters.is_empty());
    assert_eq!(task.max_event_time_ms(), Some(NOON_MS));

    job.misplaced_records = MisplacedRecords::DeadLetter;
    assert_ne!(job.policy(), partial_job_counted_as(operator).policy());
    let (mut task, mut kept) = (job.task(elsewhere), Kept::default());
    task.process(&record(elsewhere, None), &mut kept).unwrap();
    assert_eq!(task.max_event_time_ms(), None, "it changed nothing");
    assert_eq!(count("no_key"), 2.0);
    // A replay decides alike, and counts nothing again.
    kept.is_replay = true;
    task.process(&record(elsewhere, None), &mut kept).unwrap();
    assert_eq!(task.max_event_time_ms(), None);
    assert_eq!(count("no_key"), 2.0);
    task.process(&record(right, None), &mut kept).unwrap();
    assert_eq!(task.max_event_time_ms(), Some(NOON_MS));
    let [(code, error), ..] = &kept.dead_letters[..] else {
        panic!("no dead letter");
    };
    assert_eq!(*code, "misplaced");
    assert!(error.contains(&format!(
        "lies in partition {elsewhere} and its user's records in {right}"
    )));
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

#[test]
fn stage_2_makes_one_aggregate_of_the_partitions_it_waits_for_and_keeps_what_comes_later() {
    for merchant in ["m-1", "6f1c2b1e-0d5a-4c55-9a52-0c6f6d2f7a11"] {
        one_aggregate_of_two_partitions(merchant);
    }
}

fn one_aggregate_of_two_partitions(merchant: &str) {
    let (mut merge, mut kept) = (merge_task(2), Kept::default());
    let mut partials = Kept::default();
    for source in 0..3 {
        let mut task = partial_task(source);
        let payload = value(1, &format!("u-{source}"), merchant, 5, NOON_MS);
        task.process(&input(0, &payload), &mut partials).unwrap();
        task.advance(NOON_MS + WINDOW_MS, &mut partials).unwrap();
    }
    let here = Some(partition_for(merchant.as_bytes(), PARTIALS_PARTITIONS));
    for sent in partials.sent.iter().filter(|sent| sent.partition == here) {
        merge.process(&input(0, &sent.payload), &mut kept).unwrap();
    }
    let [sent] = &kept.sent[..] else {
        panic!("{:?}", kept.sent)
    };
    assert_eq!(
        (sent.topic.as_str(), sent.key.as_deref()),
        ("aggregates", Some(merchant.as_bytes()))
    );
    let (id, body) = framing::split(&sent.payload).unwrap();
    assert_eq!(id, AGGREGATE_ID);
    let found = aggregate::decode(body).unwrap();
    assert_eq!((found.totals.purchase_count, found.distinct_users), (2, 2));
    assert_eq!(found.window_start_ms, NOON_MS);
    assert_eq!(found.merchant_id.to_string(), merchant);

    let codes: Vec<_> = kept.dead_letters.iter().map(|(code, _)| *code).collect();
    assert_eq!(
        codes,
        ["late_contribution"],
        "nobody waited for the third source, which came after the window had been sent"
    );
    let again = &partials
        .sent
        .iter()
        .find(|sent| sent.key.is_some())
        .unwrap()
        .payload;
    merge.process(&input(0, again), &mut kept).unwrap();
    assert_eq!(kept.dead_letters[1].0, "late_contribution");
    assert_eq!(kept.sent.len(), 1);
}

/// As a restore does it after the setting was changed: a state of the old policy is restored as it
/// is, and then given the job's.
#[test]
fn a_state_of_another_policy_is_restored_and_then_configured() {
    let job = partial_job_counted_as("aggregate-partial");
    let wanted = job.policy();
    let old = wanted.replace("\"max_disorder_ms\":0", "\"max_disorder_ms\":7000");
    assert_ne!(old, wanted);
    let mut before = job.task_under(0, &old).unwrap();
    before.advance(NOON_MS, &mut Kept::default()).unwrap();
    let mut bytes = Vec::new();
    before.freeze().write(&mut bytes);

    let mut task = job.task_under(0, &old).unwrap();
    task.restore(&bytes).unwrap();
    assert_eq!((task.policy(), task.watermark_ms()), (old.clone(), Some(NOON_MS)));
    task.configure(&wanted, &mut Kept::default()).unwrap();
    assert_eq!((task.policy(), task.watermark_ms()), (wanted, Some(NOON_MS)));
    assert!(job.task_under(0, "{}").is_err());
    let error = task.configure("{}", &mut Kept::default()).unwrap_err();
    assert!(error.to_string().contains("window_ms"), "{error}");
}

#[test]
fn the_bound_on_the_future_is_that_of_the_policy_which_the_task_has() {
    let job = partial_job_counted_as("aggregate-partial");
    let wanted = job.policy();
    let wider = wanted.replace("\"max_future_ms\":60000", "\"max_future_ms\":600000");
    let mut task = job.task_under(0, &wider).unwrap();
    assert_eq!(task.policy(), wider);
    let mut kept = Kept::default();
    let future = |id| value(id, "u-1", "m-1", 100, NOON_MS + 120_000);
    task.process(&input(1, &future(1)), &mut kept).unwrap();
    assert_eq!(kept.dead_letters, []);
    task.configure(&wanted, &mut kept).unwrap();
    task.process(&input(2, &future(2)), &mut kept).unwrap();
    assert_eq!(kept.dead_letters.len(), 1);
}

#[test]
fn a_process_that_has_not_heard_of_all_partitions_lets_no_window_close_without_them() {
    let (mut task, fewer) = (merge_task(8), merge_task(5).policy());
    let mut kept = Kept::default();
    let refused = task.configure(&fewer, &mut kept).unwrap_err().to_string();
    assert!(
        refused.contains("waits for 8 partitions") && refused.contains("knows of 5"),
        "{refused}"
    );
    assert_ne!(task.policy(), fewer);
    kept.is_replay = true;
    task.configure(&fewer, &mut kept).unwrap();
    assert_eq!(task.policy(), fewer, "what was done is repeated");
}
