//! The loop over a store in memory, without a broker: what a broker would be told is taken from
//! [`Pipeline::committable`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use millrace_contract::RegistryError;
use millrace_settings::Kafka;
use millrace_telemetry::Health;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::*;
use crate::batch::{Limits, Work};
use crate::reachability::Reachability;
use crate::retry::Backoff;
use crate::sink::{Item, Reason, Record, Refusal, WriteBatch, Written};
use crate::spec::{Names, Source, SourceId};

mod schedules;

/// How long a condition is waited for at most.
const PATIENCE: Duration = Duration::from_secs(60);

/// A row of a table that is named by a letter; the store refuses one that is `bad`, and has one
/// that is `slow` written thrice.
#[derive(Debug)]
struct Row {
    table: u8,
    bad: bool,
    slow: bool,
}

impl Item for Row {
    type Target = u8;

    fn target(&self) -> u8 {
        self.table
    }

    fn size_bytes(&self) -> usize {
        10
    }
}

/// Partition and offset.
type Place = (i32, i64);

/// What a store has seen, which outlives the sinks that write to it.
#[derive(Default)]
struct Seen {
    /// Places of rows written, in the order written.
    rows: Mutex<Vec<Place>>,
    /// Places of the rows of each write.
    writes: Mutex<Vec<Vec<Place>>>,
    /// Places and codes of the dead letters.
    letters: Mutex<Vec<(Place, String)>>,
    /// How often a slow row was tried.
    tries: Mutex<BTreeMap<Place, u32>>,
}

/// What a store does not take now.
#[derive(Default, Clone)]
struct Closed {
    /// Tables that take nothing.
    tables: BTreeSet<u8>,
    /// Writes whose first row is there hang.
    firsts: BTreeSet<Place>,
    /// Nothing is taken, and all is to be written again.
    down: bool,
    /// Dead letters can never be sent again.
    letters: bool,
}

struct Memory {
    seen: Arc<Seen>,
    closed: watch::Sender<Closed>,
}

impl Sink for Memory {
    const NAMES: Names = Names {
        service: "memory-sink",
        section: "memory_sink",
        store: "Memory",
        items: "rows",
        target: "index",
        targets: "tables",
        target_labels: &["a", "b"],
        source_labels: &["rows"],
        reasons: &["full"],
    };

    type Item = Row;

    /// A value is the table's letter, and `!` for a bad row or `~` for a slow one; `?` is no row,
    /// `-` one that is not chosen, and `s` one that another service sends to the dead letters.
    fn decide(&self, record: &Record<'_>) -> Result<Decision<Row>, RegistryError> {
        let value = record.payload.unwrap_or_default();
        Ok(match value {
            b"?" => Decision::Work(Work::DeadLetter {
                code: "no_row",
                error: "not a row".to_owned(),
            }),
            b"-" => Decision::NotChosen,
            b"s" => Decision::Skip { code: "skipped" },
            _ => Decision::Work(Work::Write(Row {
                table: value[0],
                bad: value.ends_with(b"!"),
                slow: value.ends_with(b"~"),
            })),
        })
    }

    async fn write(&self, batch: &WriteBatch<'_, Row>) -> Written<u8> {
        let places: Vec<Place> = batch.items.iter().map(|(origin, _)| place(*origin)).collect();
        self.seen.writes.lock().unwrap().push(places.clone());
        let mut closed = self.closed.subscribe();
        let is_open = |closed: &Closed| !closed.firsts.contains(&places[0]);
        // An error is a store that is gone.
        let closed = closed.wait_for(is_open).await.map(|closed| closed.clone());
        let closed = closed.unwrap_or_default();
        let mut written = Written::default();
        if closed.down {
            written.again = (0..places.len()).collect();
            written.again_message = "down".to_owned();
            return written;
        }
        for (at, (&(_, row), &place)) in batch.items.iter().zip(&places).enumerate() {
            if closed.tables.contains(&row.table) {
                written.blocked.push(at);
                written.reasons.insert(row.table, full());
            } else if row.bad {
                written.refused.push(Refusal {
                    at,
                    code: "bad",
                    message: "a bad row".to_owned(),
                });
            } else if row.slow && self.is_early(place) {
                written.again.push(at);
            } else {
                self.seen.rows.lock().unwrap().push(place);
            }
        }
        written
    }

    fn name(&self, target: u8) -> String {
        format!("table {}", char::from(target))
    }

    fn label(target: u8) -> &'static str {
        if target == b'a' { "a" } else { "b" }
    }
}

impl Memory {
    /// Whether a slow row is written for the first or second time.
    fn is_early(&self, place: Place) -> bool {
        let mut tries = self.seen.tries.lock().unwrap();
        let tried = tries.entry(place).or_default();
        *tried += 1;
        !(*tried).is_multiple_of(3)
    }
}

fn full() -> Reason {
    Reason {
        code: "full",
        message: "no room".to_owned(),
        remedy: "make room",
    }
}

struct Log(Arc<Memory>);

impl Letters for Log {
    async fn send(&self, origin: Origin, kept: &KeptRecord, code: &str, error: &str) -> anyhow::Result<()> {
        anyhow::ensure!(
            kept.payload.is_some() && !error.is_empty(),
            "no copy, or no reason"
        );
        anyhow::ensure!(!self.0.closed.borrow().letters, "no letters any more");
        let letter = (place(origin), code.to_owned());
        self.0.seen.letters.lock().unwrap().push(letter);
        Ok(())
    }
}

fn place(origin: Origin) -> Place {
    (origin.partition.partition, origin.offset)
}

fn key(partition: i32) -> PartitionKey {
    PartitionKey {
        source: SourceId(0),
        partition,
    }
}

fn spec(limits: Limits) -> Spec {
    Spec {
        kafka: Kafka::default(),
        group: "memory-sink".to_owned(),
        instance: "one".to_owned(),
        instance_key: "memory_sink.instance",
        sources: vec![Source {
            topic: "rows".to_owned(),
            dead_letters: "rows.dlq".to_owned(),
            label: "rows",
        }],
        limits,
        in_flight: 3,
        set_aside_bytes: 1_000_000,
        backoff: Backoff {
            initial: Duration::from_millis(1),
            max: Duration::from_millis(2),
        },
        drain_timeout: PATIENCE,
        consumer_properties: BTreeMap::new(),
    }
}

/// Batches of two records, however long they take to come.
const TWO: Limits = Limits {
    bytes: usize::MAX,
    items: 2,
    age: Duration::from_secs(3_600),
};

/// A pipeline over a store in memory. Fields are dropped in order: the runtime last.
struct Harness {
    pipeline: Pipeline<Memory, Log>,
    sink: Arc<Memory>,
    seen: Arc<Seen>,
    health: Health,
    spec: Spec,
    runtime: Runtime,
}

impl Harness {
    fn new(limits: Limits) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let (seen, spec, health) = (Arc::<Seen>::default(), spec(limits), Health::new("memory-sink"));
        let closed = watch::Sender::new(Closed::default());
        let sink = Arc::new(Memory {
            seen: Arc::clone(&seen),
            closed,
        });
        let pipeline = start(&sink, &spec, &health, &runtime);
        Self {
            pipeline,
            sink,
            seen,
            health,
            spec,
            runtime,
        }
    }

    /// The process dies and is started again: what was read and not committed is forgotten.
    fn crash(&mut self) {
        self.pipeline = start(&self.sink, &self.spec, &self.health, &self.runtime);
    }

    fn close(&self, change: impl FnOnce(&mut Closed)) {
        self.sink.closed.send_modify(change);
    }

    /// Reads a record; whether the batch is full.
    fn read(&mut self, (partition, offset): Place, value: &[u8]) -> bool {
        let origin = Origin {
            partition: key(partition),
            offset,
        };
        let record = Record {
            origin,
            append_time_ms: None,
            key: None,
            payload: Some(value),
        };
        let decision = self.sink.decide(&record).unwrap();
        self.pipeline.add(origin, value.len(), decision, || KeptRecord {
            payload: Some(value.to_vec()),
            ..KeptRecord::default()
        })
    }

    /// Reads records of one partition from an offset on, and has each full batch written.
    fn read_all(&mut self, partition: i32, from: i64, values: &[&[u8]]) {
        for (offset, value) in (from..).zip(values) {
            self.read((partition, offset), value);
            self.pipeline.progress().unwrap();
        }
    }

    /// Goes on until it holds.
    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.pipeline.progress().unwrap();
            if holds(self) {
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Commits what may be: partitions and offsets.
    fn commit(&mut self) -> Vec<Place> {
        let commits = self.pipeline.committable();
        self.pipeline.committed(&commits);
        let of = |(partition, offset): Commit| (partition.partition, offset);
        commits.into_iter().map(of).collect()
    }

    fn drain(&mut self, patience: Duration) -> i64 {
        self.pipeline.drain(Instant::now() + patience);
        self.pipeline.open()
    }

    fn rows(&self) -> Vec<Place> {
        let mut rows = self.seen.rows.lock().unwrap().clone();
        rows.sort_unstable();
        rows
    }

    fn letters(&self) -> Vec<(Place, String)> {
        let mut letters = self.seen.letters.lock().unwrap().clone();
        letters.sort_unstable();
        letters
    }
}

fn start(sink: &Arc<Memory>, spec: &Spec, health: &Health, runtime: &Runtime) -> Pipeline<Memory, Log> {
    let reachability = Reachability::new(health.component("memory"));
    reachability.probe(None);
    let delivery = Delivery {
        sink: Arc::clone(sink),
        letters: Log(Arc::clone(sink)),
        backoff: spec.backoff,
        reachability,
    };
    let metrics = Metrics::register(Memory::NAMES).unwrap();
    Pipeline::new(delivery, spec, metrics, runtime.handle().clone())
}

fn places(partition: i32, offsets: std::ops::Range<i64>) -> Vec<Place> {
    offsets.map(|offset| (partition, offset)).collect()
}

#[test]
fn offsets_are_committed_in_turn_however_batches_end() {
    let mut harness = Harness::new(TWO);
    harness.close(|closed| closed.firsts.extend([(0, 0)]));
    harness.read_all(0, 0, &[b"a", b"a", b"b", b"-", b"b", b"a", b"b", b"b"]);
    let later = [(0, 2), (0, 4), (0, 5), (0, 6)];
    harness.until("the later batches are written", |harness| {
        harness.rows() == later && harness.pipeline.in_flight.len() == 1
    });
    assert_eq!(harness.commit(), [], "the first batch is not done");
    harness.close(|closed| closed.firsts.clear());
    harness.until("the first batch is written", |harness| {
        harness.pipeline.in_flight.is_empty()
    });
    assert_eq!(harness.commit(), [(0, 7)], "the last record is in no batch yet");
    assert_eq!(harness.commit(), [], "once");
    assert_eq!(harness.drain(PATIENCE), 0);
    assert_eq!(harness.commit(), [(0, 8)]);
    assert_eq!(harness.letters(), []);
}

#[test]
fn no_more_batches_are_written_at_once_than_may_be() {
    let mut harness = Harness::new(TWO);
    harness.close(|closed| closed.firsts.extend(places(0, 0..20)));
    harness.read_all(0, 0, &[b"a" as &[u8]; 8]);
    assert!(
        harness.pipeline.is_blocked_after_waiting().unwrap(),
        "a fourth waits"
    );
    assert_eq!(harness.pipeline.in_flight.len(), 3);
    harness.close(|closed| closed.firsts.clear());
    harness.until("all are written", |harness| harness.rows() == places(0, 0..8));
    assert!(!harness.pipeline.is_blocked_after_waiting().unwrap());
}

#[test]
fn what_is_given_up_is_written_and_committed_first() {
    let mut harness = Harness::new(TWO);
    harness.read_all(0, 10, &[b"a", b"b", b"a"]);
    harness.read((1, 5), b"a");
    harness.read((1, 9), b"?");
    assert_eq!(harness.drain(PATIENCE), 0);
    assert_eq!(harness.commit(), [(0, 13), (1, 10)]);
    assert_eq!(harness.rows(), [(0, 10), (0, 11), (0, 12), (1, 5)]);
    harness.pipeline.forget(key(0));
    harness.read((1, 10), b"b");
    assert_eq!(harness.drain(PATIENCE), 0);
    assert_eq!(harness.commit(), [(1, 11)], "the other partition goes on");
}

#[test]
fn what_is_not_written_in_time_is_another_members_and_commits_nothing_here() {
    let mut harness = Harness::new(TWO);
    harness.close(|closed| closed.firsts.extend([(0, 0)]));
    harness.read_all(0, 0, &[b"a", b"a"]);
    assert_eq!(harness.drain(Duration::ZERO), 2);
    assert_eq!(harness.commit(), []);
    harness.pipeline.forget(key(0));
    // It comes back, and is read again from what was committed, while the former write still runs.
    harness.read((0, 0), b"b");
    harness.close(|closed| closed.firsts.clear());
    harness.until("the former write ends", |harness| {
        harness.pipeline.in_flight.is_empty()
    });
    assert_eq!(harness.commit(), [], "it says nothing of what was read since");
    assert_eq!(harness.drain(PATIENCE), 0);
    assert_eq!(harness.commit(), [(0, 1)]);
}

#[test]
fn a_write_that_fails_as_a_partition_is_given_up_ends_the_sink_and_loses_nothing() {
    let mut harness = Harness::new(TWO);
    harness.read_all(1, 0, &[b"a", b"a"]);
    harness.until("it is written", |harness| harness.pipeline.open() == 0);
    harness.close(|closed| closed.letters = true);
    harness.read((0, 0), b"?");
    harness.read((0, 1), b"a");
    assert_eq!(harness.drain(PATIENCE), 2);
    assert_eq!(
        harness.commit(),
        [(1, 2)],
        "what is done is committed all the same"
    );
    // The partition of the failed write stays: without an end, nothing of it would ever be
    // committed again.
    harness.pipeline.forget(key(1));
    let failure = harness.pipeline.progress().unwrap_err();
    assert_eq!(failure.to_string(), "no letters any more");
    harness.crash();
    harness.close(|closed| closed.letters = false);
    harness.read_all(0, 0, &[b"?", b"a"]);
    assert_eq!(harness.drain(PATIENCE), 0);
    assert!(harness.pipeline.check().is_ok());
    assert_eq!(harness.commit(), [(0, 2)]);
    assert_eq!(harness.letters(), [((0, 0), "no_row".to_owned())]);
}

#[test]
fn a_blocked_table_holds_up_no_other_and_is_caught_up_on() {
    let mut harness = Harness::new(TWO);
    harness.close(|closed| closed.tables.extend(*b"a"));
    harness.read_all(0, 0, &[b"b", b"a", b"b", b"a", b"b", b"b"]);
    let of_b = [(0, 0), (0, 2), (0, 4), (0, 5)];
    harness.until("the other table is written", |harness| {
        harness.rows() == of_b && harness.pipeline.in_flight.is_empty()
    });
    assert_eq!(harness.commit(), [(0, 1)], "up to the first that waits");
    assert_eq!(harness.pipeline.open(), 2);
    let report = format!("{:?}", harness.health.report());
    let said = "table a takes no rows (full): no room; make room";
    assert!(report.contains(said), "{report}");
    harness.close(|closed| closed.tables.clear());
    harness.until("all is written", |harness| harness.pipeline.open() == 0);
    assert_eq!(harness.rows(), places(0, 0..6), "each once");
    assert_eq!(harness.commit(), [(0, 6)]);
    assert!(harness.health.report().ready);
}

#[test]
fn a_record_that_waits_goes_with_its_partition() {
    let mut harness = Harness::new(TWO);
    harness.close(|closed| closed.tables.extend(*b"a"));
    harness.read_all(0, 0, &[b"a", b"b"]);
    harness.until("one waits", |harness| harness.pipeline.open() == 1);
    assert_eq!(harness.drain(PATIENCE), 1, "a stop does not wait for it");
    harness.pipeline.forget(key(0));
    harness.close(|closed| closed.tables.clear());
    harness.until("none waits", |harness| harness.health.report().ready);
    assert_eq!((harness.pipeline.open(), harness.commit()), (0, Vec::new()));
}

#[test]
fn nothing_more_is_read_when_too_much_waits() {
    let mut harness = Harness::new(TWO);
    harness.spec.set_aside_bytes = 1;
    harness.crash();
    harness.close(|closed| closed.tables.extend(*b"a"));
    harness.read_all(0, 0, &[b"a", b"b"]);
    harness.until("it is full", |harness| harness.pipeline.is_full());
    let report = format!("{:?}", harness.health.report());
    let said = "nothing is read, as rows of memory_sink.set_aside_bytes = 1 wait";
    assert!(report.contains(said), "{report}");
    harness.close(|closed| closed.tables.clear());
    harness.until("it is not", |harness| !harness.pipeline.is_full());
    assert_eq!(harness.rows(), places(0, 0..2));
}

#[test]
fn a_bad_record_is_one_dead_letter() {
    let mut harness = Harness::new(TWO);
    // What is written again with others, and what waits for its table, is no second letter.
    harness.close(|closed| closed.tables.extend(*b"b"));
    harness.read_all(0, 0, &[b"a!", b"a~", b"?", b"b!", b"s", b"-", b"b"]);
    assert_eq!(harness.drain(PATIENCE), 2, "two wait");
    let letter = |offset, code: &str| ((0, offset), code.to_owned());
    assert_eq!(harness.letters(), [letter(0, "bad"), letter(2, "no_row")]);
    harness.close(|closed| closed.tables.clear());
    harness.until("all is done", |harness| harness.pipeline.open() == 0);
    assert_eq!(
        harness.letters(),
        [letter(0, "bad"), letter(2, "no_row"), letter(3, "bad")]
    );
    assert_eq!(harness.rows(), [(0, 1), (0, 6)]);
    assert_eq!(harness.commit(), [(0, 7)]);
}

#[test]
fn only_what_is_to_be_written_again_is() {
    let mut harness = Harness::new(TWO);
    harness.read_all(0, 0, &[b"a", b"a~"]);
    harness.until("it is written", |harness| harness.pipeline.open() == 0);
    let writes = harness.seen.writes.lock().unwrap().clone();
    assert_eq!(writes, [places(0, 0..2), places(0, 1..2), places(0, 1..2)]);
    assert_eq!(harness.rows(), places(0, 0..2));
}

#[test]
fn a_store_that_is_away_is_told_of_until_it_is_back() {
    let mut harness = Harness::new(TWO);
    harness.close(|closed| closed.down = true);
    harness.read_all(0, 0, &[b"a", b"a"]);
    harness.until("it is told of", |harness| {
        format!("{:?}", harness.health.report()).contains("Memory takes no rows: down")
    });
    assert_eq!(harness.commit(), []);
    harness.close(|closed| closed.down = false);
    harness.until("it is back", |harness| {
        harness.pipeline.open() == 0 && harness.health.report().ready
    });
    assert_eq!(harness.commit(), [(0, 2)]);
}
