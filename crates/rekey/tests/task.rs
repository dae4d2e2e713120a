//! What becomes of records, good and bad, new and replayed.

#![allow(clippy::unwrap_used, reason = "a test stops where an expectation fails")]

use millrace_contract::source::{Found, RegistryError, SchemaKind, SchemaSource, WriterSchema};
use millrace_domain::codec::{TransactionReader, json, transaction};
use millrace_domain::{
    Amount, Currency, PaymentMethod, ShortId, Transaction, TransactionId, TransactionType, schema,
};
use millrace_kafka::{RecordHeaders, SourcePartitions, partition_for};
use millrace_rekey::job::{Encoding, NAME, RekeyJob, RekeyParts, RekeyTask};
use millrace_rekey::metrics::RekeyMetrics;
use millrace_rekey::policy::RekeyPolicy;
use millrace_runtime::{InputRecord, Job as _, JobMetrics, Outbox, OutputRecord, Task as _, TaskError};

const NOW_MS: i64 = 1_760_000_000_000;
const WRITERS_ID: u32 = 7;
const OWN_ID: u32 = 9;

/// Keeps what is sent: key and value, and codes of dead letters.
#[derive(Default)]
struct Kept {
    is_replay: bool,
    sent: Vec<(Vec<u8>, Vec<u8>)>,
    letters: Vec<&'static str>,
    /// Offsets of records that were refused by the registry's word.
    refused: Vec<i64>,
}

impl Outbox for Kept {
    fn send(&mut self, record: OutputRecord<'_>) {
        assert_eq!(record.partition, None, "murmur2 of the key decides");
        assert_eq!(record.topic, "keyed");
        assert!(record.headers.is_empty());
        self.sent
            .push((record.key.unwrap().to_vec(), record.payload.to_vec()));
    }

    fn copy(&mut self, _record: &InputRecord<'_>, topic: &str, _headers: &[(&str, &[u8])]) {
        panic!("nothing is copied, and here to {topic}");
    }

    fn dead_letter(&mut self, _record: &InputRecord<'_>, code: &'static str, _error: &str) {
        self.letters.push(code);
    }

    fn note_refusal(
        &mut self,
        record: &InputRecord<'_>,
        _code: &'static str,
        _why: &str,
    ) -> Result<(), TaskError> {
        self.refused.push(record.offset);
        Ok(())
    }

    fn is_replay(&self) -> bool {
        self.is_replay
    }
}

/// A registry that has the writer's schema and no other.
#[derive(Debug)]
struct OfTheWriter;

impl SchemaSource for OfTheWriter {
    fn schema(&self, id: u32) -> Result<Found, RegistryError> {
        let schema = || WriterSchema {
            kind: SchemaKind::Avro,
            text: schema::TRANSACTION.to_owned(),
            references: Vec::new(),
        };
        Ok(match id {
            WRITERS_ID => Found::Whole(schema()),
            _ => Found::Nothing,
        })
    }

    fn check_that_it_answers(&self) -> Result<(), RegistryError> {
        Ok(())
    }

    fn unavailable(&self, action: &str, cause: &str) -> RegistryError {
        panic!("it answers: {action}, {cause}")
    }
}

fn job(encoding: Encoding) -> RekeyJob {
    RekeyJob::new(RekeyParts {
        policy: RekeyPolicy {
            max_future_ms: 60_000,
            earliest_ms: 946_684_800_000,
        },
        max_disorder_ms: 5_000,
        max_skew_ms: 1_000,
        source: std::sync::Arc::new(SourcePartitions::fixed(5)),
        input: "in".to_owned(),
        control: "control".to_owned(),
        output: "keyed".to_owned(),
        encoding,
        reader: TransactionReader::new(OfTheWriter).with_own_schema_id(WRITERS_ID),
        job: JobMetrics::of(NAME).unwrap(),
        metrics: RekeyMetrics::new(NAME).unwrap(),
    })
}

fn purchase(time_ms: i64) -> Transaction {
    let short = |text| ShortId::new(text, "id").unwrap();
    Transaction {
        transaction_id: TransactionId::from_bytes([3; 16]),
        user_id: short("alice"),
        amount: Amount::from_f64(20.0).unwrap(),
        transaction_time_ms: time_ms,
        merchant_id: short("m-1"),
        transaction_type: TransactionType::Purchase,
        location: short("Oslo"),
        payment_method: PaymentMethod::CreditCard,
        is_international: false,
        currency: Currency::parse(b"EUR").unwrap(),
    }
}

fn record(offset: i64, value: &[u8]) -> InputRecord<'_> {
    InputRecord {
        topic: "in",
        partition: (partition_for(b"alice", 5) + 1) % 5,
        offset,
        timestamp_ms: NOW_MS,
        is_append_time: true,
        key: None,
        payload: Some(value),
        headers: RecordHeaders::NONE,
    }
}

fn process(task: &mut RekeyTask, value: &[u8], outbox: &mut Kept) {
    task.process(&record(17, value), outbox).unwrap();
}

fn forms(sent: &Transaction) -> [Vec<u8>; 2] {
    let mut text = b" \n".to_vec();
    json::encode(sent, &mut text);
    let mut avro = Vec::new();
    transaction::encode_framed(WRITERS_ID, sent, &mut avro);
    [text, avro]
}

#[test]
fn every_form_comes_out_in_one_by_its_user() {
    let sent = purchase(NOW_MS);
    let (mut text, mut avro) = (Vec::new(), Vec::new());
    json::encode(&sent, &mut text);
    transaction::encode_framed(OWN_ID, &sent, &mut avro);
    for (encoding, expected) in [(Encoding::Json, text), (Encoding::Avro(OWN_ID), avro)] {
        let (mut task, mut outbox) = (job(encoding).task(0), Kept::default());
        for value in forms(&sent) {
            process(&mut task, &value, &mut outbox);
        }
        let one = (b"alice".to_vec(), expected);
        assert_eq!(outbox.sent, [one.clone(), one]);
        assert!(outbox.letters.is_empty());
        assert_eq!(task.max_event_time_ms(), Some(NOW_MS));
        assert_eq!(task.watermark_ms(), Some(NOW_MS - 5_000));
    }
}

#[test]
fn what_is_no_transaction_or_of_no_time_is_a_dead_letter() {
    let (mut task, mut outbox) = (job(Encoding::Json).task(0), Kept::default());
    let [ahead, _] = forms(&purchase(NOW_MS + 60_001));
    let [seconds, _] = forms(&purchase(NOW_MS / 1_000));
    for value in [b"{".to_vec(), Vec::new(), ahead.clone(), seconds] {
        process(&mut task, &value, &mut outbox);
    }
    assert!(outbox.sent.is_empty());
    assert_eq!(
        outbox.letters,
        ["bad_json", "empty", "far_future", "before_earliest_time"]
    );
    assert_eq!(task.max_event_time_ms(), None, "a dead letter moves nothing");
    assert_eq!(task.event_time_ms(&record(17, &ahead)), None, "nor does it wait");
    let policy = RekeyPolicy {
        max_future_ms: 60_001,
        earliest_ms: 0,
    };
    task.configure(&serde_json::to_string(&policy).unwrap(), &mut outbox)
        .unwrap();
    process(&mut task, &ahead, &mut outbox);
    assert_eq!(outbox.sent.len(), 1, "by the new policy it is none");
}

#[test]
fn a_replay_is_silent_and_a_look_ahead_changes_nothing() {
    let (mut task, mut outbox) = (job(Encoding::Json).task(0), Kept::default());
    let [first, _] = forms(&purchase(NOW_MS));
    let [_, second] = forms(&purchase(NOW_MS + 5));
    let group = [record(3, &first), record(4, &second), record(6, b"{")];
    task.prepare(&group);
    let times = |task: &mut RekeyTask| [0, 1, 2].map(|at| task.event_time_ms(&group[at]));
    assert_eq!(times(&mut task), [Some(NOW_MS), Some(NOW_MS + 5), None]);
    outbox.is_replay = true;
    task.process(&group[0], &mut outbox).unwrap();
    assert!(outbox.sent.is_empty());
    outbox.is_replay = false;
    assert_eq!(task.event_time_ms(&group[1]), Some(NOW_MS + 5));
    task.process(&group[1], &mut outbox).unwrap();
    task.process(&group[2], &mut outbox).unwrap();
    assert_eq!(
        (outbox.sent.len(), outbox.letters.as_slice()),
        (1, &["bad_json"][..])
    );
}

/// A registry learns, so what it refused is a part of what was done; what a record refuses by
/// itself is not.
#[test]
fn what_the_registry_refused_is_noted() {
    let (mut task, mut outbox) = (job(Encoding::Json).task(0), Kept::default());
    let mut unknown = Vec::new();
    transaction::encode_framed(WRITERS_ID + 1, &purchase(NOW_MS), &mut unknown);
    task.process(&record(17, &unknown), &mut outbox).unwrap();
    task.process(&record(18, b"{"), &mut outbox).unwrap();
    assert_eq!(outbox.letters, ["unknown_schema", "bad_json"]);
    assert_eq!(outbox.refused, [17]);
}
